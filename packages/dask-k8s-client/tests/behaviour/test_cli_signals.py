"""Commands of `dask kubernetes` that run until they are interrupted or the cluster is deleted."""

import re
import signal
import urllib.request

import pytest
from distributed import Client

from dask_k8s_client import make_cluster_spec

from .commands import end, line


def test_what_ends_with_the_cluster(start, kube, quick_spec):
    """Logs are followed to the end, those of pods that come later too; the dashboard is gone."""
    kube.apply(quick_spec(make_cluster_spec("followed", n_workers=0)))
    with start("logs", "followed", "-f") as logs, start("dashboard", "followed", "--no-browser") as dashboard:
        line(logs, "^followed-scheduler .*Scheduler at")
        kube("scale", "daskworkergroup/followed-default", "--replicas=1")
        link = line(dashboard, r"Dashboard at (http://\S+)/status")[1]
        with urllib.request.urlopen(f"{link}/health", timeout=60) as response:
            assert response.read() == b"ok"
        line(logs, r"^followed-default-worker-\w+ .*Registered to")
        kube.delete("daskcluster/followed")
        assert "the DaskCluster followed in the namespace" in end(dashboard, 1)
        end(logs, 0)


@pytest.mark.core
def test_port_forward(start, dask, standing, unused_tcp_port):
    with start("port-forward", standing, "--port", str(unused_tcp_port)) as process:
        address = line(process, r"Scheduler at (\S+)")[1]
        assert address == f"tcp://127.0.0.1:{unused_tcp_port}"
        with Client(address) as client:
            assert client.submit(sum, [1, 2]).result() == 3
        taken = dask("port-forward", standing, "--port", str(unused_tcp_port), fails=1)
        assert "Choose another port" in taken
        process.send_signal(signal.SIGINT)
        end(process, 0)


def test_a_job_that_is_interrupted(start, kube, standing):
    sleeps = ("sh", "-c", "echo begun; sleep 600")
    with start("run", "typed-long", "--cluster", standing, "--", *sleeps) as process:
        line(process, "begun")
        process.send_signal(signal.SIGINT)
        goes_on = r"the job typed-long goes on, `kubectl delete daskjob typed-long -n \S+` ends it"
        assert re.search(goes_on, end(process, 1))
    kube.wait("daskjob/typed-long", "jsonpath={.status.jobStatus}=Running")
    kube.delete("daskjob/typed-long")
