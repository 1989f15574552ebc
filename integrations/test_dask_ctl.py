"""Dask's control panel from Python, with the last release of dask-ctl."""

import dask_ctl.config  # noqa: F401  # sets the defaults that the functions need
from dask_ctl import lifecycle

from dask_k8s_client import KubeCluster


def test_clusters_are_found_scaled_and_left_alone(here):
    with KubeCluster(name="by-ctl", n_workers=0, quiet=True):
        assert "by-ctl" in [cluster.name for cluster in lifecycle.list_clusters()]
        lifecycle.scale_cluster("by-ctl", 1)
        assert here.get("daskworkergroup/by-ctl-default")["spec"]["worker"]["replicas"] == 1
        with lifecycle.get_cluster("by-ctl") as cluster:
            cluster.wait_for_workers(1)
        assert here.exists("daskcluster/by-ctl")
    assert not here.exists("daskcluster/by-ctl")
