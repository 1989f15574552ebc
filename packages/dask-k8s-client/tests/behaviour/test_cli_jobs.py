"""`dask kubernetes run`."""

import re

import pytest

from .commands import end, line


@pytest.mark.core
def test_a_job(dask, standing):
    code = "from distributed import Client; c = Client(); print('sum', c.submit(sum, range(10)).result())"
    args = ("run", "typed", "--cluster", standing, "--", "python", "-c", code)
    assert dask(*args).splitlines()[-1] == "sum 45"
    assert "`kubectl delete daskjob typed" in dask(*args, fails=1)


@pytest.mark.core
def test_logs_of_a_job(dask, kube, start, standing):
    """They are found by the name of the job, although no cluster has this name."""
    dask("run", "typed-logs", "--cluster", standing, "--", "echo", "printed")
    pod = kube.get("daskjob/typed-logs")["status"]["jobRunnerPodName"]
    assert dask("logs", "typed-logs") == f"{pod} printed\n"
    assert dask("logs", "typed-logs", "--component", "worker") == ""
    with start("logs", "typed-logs", "-f") as following:
        line(following, rf"^{pod} printed$")
        end(following, 0)


def test_a_job_that_fails(dask, kube, standing):
    said = dask("run", "typed-fails", "--cluster", standing, "--", "sh", "-c", "echo no; exit 3", fails=1)
    assert "the job typed-fails in the namespace" in said
    assert "BackoffLimitExceeded" in said
    pod = re.search("kubectl logs (\\S+)", said)[1]
    assert kube("logs", pod) == "no\n"
