"""Dashboards that are not where they usually are: another port, a prefix, none at all."""

import urllib.request

import pytest
from distributed import Client

from dask_k8s_client import make_cluster_spec


def spec_with(name, *args, n_workers=0, **fields):
    spec = make_cluster_spec(name, n_workers=n_workers)
    container = spec["spec"]["scheduler"]["spec"]["containers"][0]
    container["args"] += args
    container |= fields
    return spec, container


def status(link):
    with urllib.request.urlopen(link, timeout=30) as answer:
        return answer.status


@pytest.mark.core
def test_behind_a_prefix(make, kube):
    spec, container = spec_with("prefixed", "--dashboard-prefix", "/team/dask", n_workers=1)
    for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
        container[probe]["httpGet"]["path"] = "/team/dask/health"
    cluster = make("", spec=spec)
    assert cluster.dashboard_link.endswith("/team/dask/status")
    assert status(cluster.dashboard_link) == 200
    address = kube.get("daskcluster/prefixed")["status"]["dashboardAddress"]
    assert address.endswith(":8787/team/dask")
    # The agent's routes have no prefix.
    cluster.scale(0)
    kube.wait("daskworkergroup/prefixed-default", "jsonpath={.status.replicas}=0")


def test_on_another_port(make, kube):
    """The service leads to the port of the argument, and no port or probe has a usual name or number."""
    spec, container = spec_with("moved", "--dashboard-address", ":9797", n_workers=1)
    container["ports"] = [{"name": "comm", "containerPort": 8786}, {"name": "web", "containerPort": 9797}]
    for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
        container[probe]["httpGet"]["port"] = "web"
    spec["spec"]["scheduler"]["service"]["ports"] = [
        {"name": "tcp-comm", "port": 8786, "targetPort": "comm"},
        {"name": "pages", "port": 80, "targetPort": "web"},
    ]
    cluster = make("", spec=spec)
    assert status(cluster.dashboard_link) == 200
    with Client(cluster) as client:
        client.wait_for_workers(1)
    # The controller asks the agent on that port.
    cluster.scale(0)
    kube.wait("daskworkergroup/moved-default", "jsonpath={.status.replicas}=0")
    address = kube.get("daskcluster/moved")["status"]["dashboardAddress"]
    assert address == f"http://moved-scheduler.{kube.namespace}.svc.cluster.local:80"


def test_none(make, kube, dask):
    spec, _ = spec_with("undashed", "--no-dashboard")
    cluster = make("", spec=spec)
    assert cluster.dashboard_link == ""
    assert "dashboardAddress" not in kube.get("daskcluster/undashed")["status"]
    done = dask("dashboard", "undashed", "--no-browser", fails=1)
    assert "has no dashboard: its scheduler runs with --no-dashboard" in done
