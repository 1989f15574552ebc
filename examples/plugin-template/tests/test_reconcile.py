"""Without a Kubernetes: reconciles in a world in memory."""

import asyncio

import pytest

from dask_dashboard.kind import DASHBOARDS
from dask_dashboard.plugin import PLUGIN
from dask_dashboard.reconcile import dashboards_of_cluster, reconcile
from dask_k8s_controller import Key
from dask_k8s_controller.testing import FakeWorld, objects
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import DASK_CLUSTERS, SERVICES

KEY = Key(DASHBOARDS, "ns", "public")
SERVICE = Key(SERVICES, "ns", "public-dashboard")
DASHBOARD = {
    "apiVersion": "example.org/v1",
    "kind": "DaskDashboard",
    "metadata": objects.metadata("public"),
    "spec": {"cluster": "c"},
}


def turn(world):
    """Reconcile the dashboard once."""
    return asyncio.run(reconcile(KEY, world))


def test_creates_the_service_and_reports_it():
    world = FakeWorld(DASHBOARD, objects.cluster("c"), plugins=[PLUGIN])
    turn(world)
    assert world.writes == ["create Service ns/public-dashboard", "report DaskDashboard ns/public"]
    assert world.objects[SERVICE]["spec"]["type"] == "NodePort"
    assert world.statuses[-1]["service"] == "public-dashboard"


def test_changes_nothing_the_second_time():
    world = FakeWorld(DASHBOARD, plugins=[PLUGIN])
    turn(world)
    world.writes.clear()
    world.advance(60)
    turn(world)
    assert world.writes == []


def test_creates_the_service_again_when_somebody_deleted_it():
    world = FakeWorld(DASHBOARD, plugins=[PLUGIN])
    turn(world)
    world.remove(SERVICE)
    turn(world)
    assert SERVICE in world.objects


def test_creates_one_service_although_the_cache_lags():
    world = FakeWorld(DASHBOARD, plugins=[PLUGIN])
    world.lagging = True
    turn(world)
    turn(world)
    assert len(world.plans) == 1
    world.relist()
    turn(world)
    assert len(world.plans) == 1


def test_tries_again_when_the_api_server_refuses():
    world = FakeWorld(DASHBOARD, plugins=[PLUGIN])
    world.refuse = lambda action: ApiError(403, "Forbidden", "exceeded quota: services")
    with pytest.raises(ExceptionGroup, match="could be written"):
        turn(world)
    assert SERVICE not in world.objects


def test_a_cluster_enqueues_its_dashboards():
    world = FakeWorld(DASHBOARD, objects.cluster("c"), objects.cluster("other", uid="2"), plugins=[PLUGIN])
    assert dashboards_of_cluster(world.get(Key(DASK_CLUSTERS, "ns", "c")), world) == [KEY]
    assert dashboards_of_cluster(world.get(Key(DASK_CLUSTERS, "ns", "other")), world) == []
