"""On a Kubernetes, with the controller as a process: what users do, and what they get."""

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
    here("apply", "-f", "-", input=DASHBOARD)
    here.wait("daskdashboard/public", "jsonpath={.status.conditions[0].reason}=ClusterNotFound")
    here("apply", "-f", "-", input=CLUSTER)
    here.wait("daskdashboard/public", "condition=Ready")
    assert here("get", "service", "public-dashboard", "-o", "jsonpath={.spec.type}") == "NodePort"
    assert here("get", "daskdashboard", "public", "-o", "jsonpath={.status.service}") == "public-dashboard"
    assert here("get", "daskdashboards").split()[5:9] == ["public", "my-cluster", "NodePort", "True"]

    here("delete", "service", "public-dashboard")
    here.wait("service/public-dashboard", "create")
    here("delete", "daskdashboard", "public")
    here.wait("service/public-dashboard", "delete")


def test_survives_a_restart_of_the_controller(here, controller):
    here("apply", "-f", "-", input=CLUSTER)
    here("apply", "-f", "-", input=DASHBOARD)
    here.wait("service/public-dashboard", "create")
    controller.kill()
    here("delete", "service", "public-dashboard")
    controller.start()
    here.wait("service/public-dashboard", "create")


def test_a_misspelt_field_is_refused(here, crds):
    with pytest.raises(subprocess.CalledProcessError) as refused:
        here("apply", "-f", "-", input=DASHBOARD.replace("cluster:", "klaster:"))
    assert 'unknown field "spec.klaster"' in refused.value.stderr
