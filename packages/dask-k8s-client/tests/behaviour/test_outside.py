"""From outside, with a kubeconfig of a user who has only the documented role."""

import operator

import pytest
from distributed import Client

from dask_k8s_client import KubeCluster, make_cluster_spec, make_job_spec, run_job


@pytest.mark.real("the local Kubernetes lets everybody do everything")
@pytest.mark.usefixtures("login")
def test_outside(kube, quick_spec):
    spec = quick_spec(make_cluster_spec("from-outside", n_workers=0))
    with KubeCluster(custom_cluster_spec=spec) as cluster:
        assert cluster.namespace == kube.namespace
        assert cluster.scheduler_address.startswith("tcp://127.0.0.1:")  # forwarded
        cluster.scale(1)
        with Client(cluster) as client:
            assert client.submit(operator.add, 20, 1).result(timeout=60) == 21
        assert "Scheduler at:" in cluster.get_logs()["from-outside-scheduler"]
        cluster.add_worker_group("more", n_workers=0)
        cluster.scale(1, worker_group="more")
        cluster.delete_worker_group("more")
        cluster.adapt(minimum=1, maximum=2)
        job = make_job_spec("from-outside", ["echo", "done"], cluster_name="from-outside")
        said = []
        assert run_job(job, log=said.append).succeeded
        assert said == ["done"]
        cluster.scale(1)
    assert not kube.exists("daskcluster/from-outside")

    forbidden = r'cannot create resource "daskclusters" .* in the namespace "default"'
    with pytest.raises(PermissionError, match=forbidden):
        KubeCluster(name="from-outside", namespace="default")
