"""Processes that end without closing their clusters."""

import re
import signal
import subprocess
import sys
import textwrap

import pytest

from dask_k8s_client import make_cluster_spec

# Dask may log warnings meanwhile, but not at the end.
NOISE = re.compile("Traceback|ERROR|(?i:unclosed)|left behind")

SYNC = """
    cluster = KubeCluster(**arguments)
    print("up", flush=True)
"""
ASYNC = """
    import asyncio
    async def main():
        global cluster
        cluster = await KubeCluster(**arguments, asynchronous=True)
        print("up", flush=True)
    asyncio.run(main())
"""
WITH_CLIENT = """
    from distributed import Client
    cluster = KubeCluster(**arguments)
    client = Client(cluster)
    assert client.submit(sum, [1, 2]).result() == 3
    print("up", flush=True)
"""
FORK = """
    import os, sys
    cluster = KubeCluster(**arguments)
    if os.fork() == 0:
        sys.exit()
    os.wait()
    print(cluster.get_logs().keys(), "up", flush=True)
"""
WAITING = """
    import signal
    signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs in a shell's background ignores it
    print("waiting", flush=True)
    KubeCluster(**arguments)
"""


@pytest.fixture
def program(here, quick_spec):
    """Start a Python process that creates a cluster."""

    def start(name, code, **options):
        spec = quick_spec(make_cluster_spec(name, n_workers=1))
        spec["spec"]["scheduler"]["spec"] |= options
        head = f"""
            import warnings
            warnings.filterwarnings("ignore", "Mismatched versions")
            from dask_k8s_client import KubeCluster
            arguments = {{"custom_cluster_spec": {spec!r}, "namespace": {here!r}}}
        """
        text = textwrap.dedent(head) + textwrap.dedent(code)
        return subprocess.Popen(
            [sys.executable, "-c", text],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(SYNC, id="plain"),
        pytest.param(ASYNC, id="asynchronous"),
        pytest.param(WITH_CLIENT, id="with a client"),
        pytest.param(FORK, id="forked"),
    ],
)
def test_end_of_the_process(program, kube, code):
    process = program("ended", code)
    out, err = process.communicate(timeout=180)
    assert "up" in out, err
    assert not NOISE.search(err), err
    assert process.returncode == 0
    assert kube("get", "daskcluster", "ended", "--ignore-not-found") == ""


def test_shutdown_on_close_is_heeded(program, kube):
    process = program("kept", SYNC.replace("**arguments", "**arguments, shutdown_on_close=False"))
    _, err = process.communicate(timeout=180)
    assert not NOISE.search(err), err
    kube("delete", "daskcluster", "kept")


def test_interrupted_start(program, kube):
    process = program("interrupted", WAITING, nodeSelector={"disktype": "none-has-it"})
    kube.wait("daskcluster/interrupted", "create")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in err
    assert kube("get", "daskcluster", "interrupted", "--ignore-not-found") == ""
