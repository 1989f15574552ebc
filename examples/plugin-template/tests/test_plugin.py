"""Without a Kubernetes: what is made, what is reported, and which rights that takes."""

from datetime import UTC, datetime

import pytest

from dask_dashboard.desired import service
from dask_dashboard.kind import DaskDashboard
from dask_dashboard.status import report

NOW = datetime(2026, 11, 23, tzinfo=UTC)
DASHBOARD = DaskDashboard.admit(
    {
        "apiVersion": "example.org/v1",
        "kind": "DaskDashboard",
        "metadata": {"name": "public", "namespace": "ns", "uid": "1"},
        "spec": {"cluster": "my-cluster", "type": "LoadBalancer"},
    }
)


def test_makes_a_service_that_leads_to_the_scheduler():
    made = service(DASHBOARD)
    assert made["spec"]["type"] == "LoadBalancer"
    assert made["spec"]["selector"] == {
        "dask.org/cluster-name": "my-cluster",
        "dask.org/component": "scheduler",
    }
    assert [owner["kind"] for owner in made["metadata"]["ownerReferences"]] == ["DaskDashboard"]


@pytest.mark.parametrize("has_cluster, reason", [(True, "Served"), (False, "ClusterNotFound")])
def test_reports_whether_there_is_a_cluster(has_cluster, reason):
    (ready,) = report(DASHBOARD, "public-dashboard", NOW, has_cluster=has_cluster).conditions
    assert (ready.type, ready.status, ready.reason) == ("Ready", str(has_cluster), reason)


def test_asks_for_these_rights(manifests):
    (role,) = (each for each in manifests if each["kind"] == "ClusterRole")
    rights = {
        rule["resources"][0]: rule["verbs"] for rule in role["rules"] if rule["apiGroups"] == ["example.org"]
    }
    assert rights == {
        "daskdashboards": ["list", "watch"],
        "daskdashboards/finalizers": ["update"],
        "daskdashboards/status": ["patch"],
    }
