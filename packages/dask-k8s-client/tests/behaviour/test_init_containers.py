"""The logs of init containers, which often prepare credentials or certificates and fail."""

import pytest

from dask_k8s_client import CrashLoopBackOffError, KubeCluster, make_cluster_spec, make_job_spec, run_job

from .commands import end, line

IMAGE = "ghcr.io/dask/dask:latest"
LINE = "no-proxy-here"


def init_container(code):
    command = ["sh", "-c", f"echo {LINE} >&2; exit {code}"]
    return {"initContainers": [{"name": "proxy", "image": IMAGE, "command": command}]}


@pytest.mark.core
def test_logs_show_the_init_container_that_fails(dask, kube, here, quick_spec):
    spec = quick_spec(make_cluster_spec("init-fails", n_workers=1))
    spec["spec"]["worker"]["spec"] |= init_container(7)
    kube.apply(spec)
    kube.wait("daskcluster/init-fails", "condition=SchedulerReady")
    printed = kube.poll(lambda: dask("logs", "init-fails", "--component", "worker"))
    worker, *heading = printed.splitlines()[0].split(maxsplit=1)
    assert worker.startswith("init-fails-default-worker-")
    assert heading == ["--- proxy ---"]
    assert f"{worker} {LINE}" in printed.splitlines()
    with KubeCluster.from_name("init-fails", namespace=here) as cluster:
        assert LINE in cluster.get_logs()[worker]
    kube.delete("daskcluster/init-fails")


def test_logs_that_are_followed(start, kube, quick_spec):
    spec = quick_spec(make_cluster_spec("init-followed", n_workers=1))
    spec["spec"]["worker"]["spec"] |= init_container(7)
    kube.apply(spec)
    with start("logs", "init-followed", "-f", "--component", "worker") as logs:
        line(logs, rf"^init-followed-default-worker-\w+ {LINE}$")
        kube.delete("daskcluster/init-followed")
        end(logs, 0)


def test_a_start_error_quotes_the_init_container(make):
    spec = make_cluster_spec("init-start", n_workers=0)
    spec["spec"]["scheduler"]["spec"] |= init_container(7)
    with pytest.raises(CrashLoopBackOffError, match=rf"container proxy [^$]*\n{LINE}"):
        make("", spec=spec)


def test_a_job_shows_the_init_container_that_fails(here, standing):
    """That of a client which starts is not shown: its lines are not those of the client."""
    spec = make_job_spec("init-job", ["echo", "client"], cluster_name=standing, backoffLimit=0)
    pod = spec["spec"]["job"]["spec"]
    pod |= {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, **init_container(7)}
    said = []
    assert not run_job(spec, namespace=here, log=said.append).succeeded
    assert said == [LINE]

    pod |= init_container(0)
    spec["metadata"]["name"] = "init-job-succeeds"
    said = []
    assert run_job(spec, namespace=here, log=said.append).succeeded
    assert said == ["client"]
