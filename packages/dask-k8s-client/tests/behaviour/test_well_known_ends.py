"""Containers that end for well-known reasons: the conditions and exceptions say what to do."""

import pytest

from dask_k8s_client import CrashLoopBackOffError, make_cluster_spec


def test_a_removed_command_in_a_shell_line(kube):
    """It is not rewritten, since it may be anything; the status says what to write."""
    spec = make_cluster_spec("shell-line", n_workers=1)
    (container,) = spec["spec"]["worker"]["spec"]["containers"]
    container["command"] = ["/bin/sh", "-c"]
    container["args"] = ["cd / && exec dask-worker --name $(DASK_WORKER_NAME) --nthreads 1"]
    kube.apply(spec)
    try:
        found = kube.wait("daskcluster/shell-line", "condition=Degraded")
    finally:
        kube.delete("daskcluster/shell-line")
    message = next(each["message"] for each in found["status"]["conditions"] if each["type"] == "Degraded")
    assert "exit code 127" in message
    assert message.endswith(
        'the command "dask-worker" does not exist in distributed 2026.6.0 and later: '
        'write "dask worker" instead'
    )


@pytest.mark.parametrize(
    "name, code, hint",
    [
        pytest.param(
            "no-command", "exec no-such-command", "does not contain a command that it runs", id="127"
        ),
        pytest.param(
            "no-module",
            "exec python -c 'import no_such_module'",
            'does not contain the Python module "no_such_module"',
            id="module",
        ),
    ],
)
def test_a_scheduler_that_ends(make, name, code, hint):
    spec = make_cluster_spec(name, n_workers=0)
    (container,) = spec["spec"]["scheduler"]["spec"]["containers"]
    container["command"], container["args"] = ["/bin/sh", "-c"], [code]
    with pytest.raises(CrashLoopBackOffError) as raised:
        make("", spec=spec)
    assert hint in str(raised.value)
