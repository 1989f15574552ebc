"""On a Kubernetes: what users do, and what comes of it."""

import subprocess

import pytest

CLUSTER = """
apiVersion: kubernetes.dask.org/v1
kind: DaskCluster
metadata: {name: my-cluster}
spec:
  suspend: true
  scheduler:
    spec: &pod {containers: [{name: dask, image: "ghcr.io/dask/dask:latest"}]}
    service: {ports: [{name: http-dashboard, port: 8787}]}
  worker: {spec: *pod}
"""
DASHBOARD = """
apiVersion: example.org/v1
kind: DaskDashboard
metadata: {name: public}
spec: {cluster: my-cluster}
"""


def test_has_a_service_for_as_long_as_it_is_there(here, controller):
    def wait(what, until):
        here("wait", what, f"--for={until}", "--timeout=120s")

    here("apply", "-f", "-", input=DASHBOARD)
    wait("daskdashboard/public", "jsonpath={.status.conditions[0].reason}=ClusterNotFound")
    here("apply", "-f", "-", input=CLUSTER)
    wait("daskdashboard/public", "condition=Ready")
    assert here("get", "service", "public-dashboard", "-o", "jsonpath={.spec.type}") == "NodePort"
    assert here("get", "daskdashboard", "public", "-o", "jsonpath={.status.service}") == "public-dashboard"
    assert here("get", "daskdashboards").split()[5:9] == ["public", "my-cluster", "NodePort", "True"]

    here("delete", "service", "public-dashboard")
    wait("service/public-dashboard", "create")
    here("delete", "daskdashboard", "public")
    wait("service/public-dashboard", "delete")


def test_a_misspelt_field_is_refused(here, crds):
    with pytest.raises(subprocess.CalledProcessError) as refused:
        here("apply", "-f", "-", input=DASHBOARD.replace("cluster:", "klaster:"))
    assert 'unknown field "spec.klaster"' in refused.value.stderr
