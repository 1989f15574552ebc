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
KEPT = SYNC.replace("**arguments", "**arguments, shutdown_on_close=False")
WAITING = """
    import signal
    signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs in a shell's background ignores it
    print("waiting", flush=True)
    KubeCluster(**arguments)
"""


@pytest.fixture
def program(here, quick_spec):
    """Start a Python process that creates a cluster."""

    def start(name, code, n_workers=0, **options):
        spec = quick_spec(make_cluster_spec(name, n_workers=n_workers))
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


def test_end_of_the_process(program, kube):
    """All processes run at the same time."""
    codes = {"plain": SYNC, "asynchronous": ASYNC, "with-a-client": WITH_CLIENT, "forked": FORK, "kept": KEPT}
    processes = {name: program(name, code, int(code is WITH_CLIENT)) for name, code in codes.items()}
    for name, process in processes.items():
        out, err = process.communicate(timeout=180)
        assert "up" in out, f"{name}: {err}"
        assert not NOISE.search(err), f"{name}: {err}"
        assert process.returncode == 0, name
    # Those that did not pass `shutdown_on_close=False` have deleted their clusters.
    assert codes.keys() & kube.names("daskclusters") == {"kept"}
    kube.delete("daskcluster/kept")


@pytest.mark.core
def test_interrupted_start(program, kube):
    process = program("interrupted", WAITING, nodeSelector={"disktype": "none-has-it"})
    kube.wait("daskcluster/interrupted", "create")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in err
    assert not kube.exists("daskcluster/interrupted")
