"""Edits of an existing Service."""

import pytest

from dask_k8s_controller.dask.cluster.desired import children
from dask_k8s_controller.dask.cluster.service_edits import edit, recreate, without_immutable_errors
from dask_k8s_controller.runtime.plan import Create, Delete, Patch
from dask_k8s_controller.runtime.results import Outcome, WriteError
from dask_k8s_crds import DaskCluster
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import SERVICES

from .builders import cluster, record, service

PORTS = [{"name": "tcp-comm", "port": 8786}]
OTHER_PORTS = [{"name": "tcp-comm", "port": 9000}]
ASSIGNED = {"clusterIP": "10.0.0.7", "clusterIPs": ["10.0.0.7"], "type": "ClusterIP"}


def desired(**spec):
    body = cluster()
    body["spec"]["scheduler"]["service"] = {"ports": PORTS, **spec}
    return children(DaskCluster.parse(body), token="token").service


def existing(made, **assigned):
    body = service(annotations=made["metadata"]["annotations"], labels=made["metadata"]["labels"])
    return record(SERVICES, body | {"spec": {**ASSIGNED, **made["spec"], **assigned}})


@pytest.mark.parametrize(
    "before, after, spec",
    [
        pytest.param({}, {"ports": OTHER_PORTS}, {"ports": OTHER_PORTS}, id="other ports"),
        pytest.param({}, {"type": "NodePort"}, {"type": "NodePort"}, id="another type"),
        pytest.param({"type": "LoadBalancer"}, {}, {"type": None}, id="no type any more"),
        pytest.param(
            {"selector": {"a": "1", "b": "1"}},
            {"selector": {"a": "2"}},
            {"selector": {"a": "2", "b": None}},
            id="map",
        ),
        pytest.param(
            {}, {"sessionAffinity": "ClientIP"}, {"sessionAffinity": "ClientIP"}, id="one more field"
        ),
    ],
)
def test_edits_in_place(before, after, spec):
    found = edit(existing(desired(**before)), desired(**after))
    assert isinstance(found, Patch)
    assert found.body["spec"].items() >= spec.items()
    assert "clusterIP" not in found.body["spec"]
    assert found.body["metadata"]["uid"] == "uid-of-c-scheduler"


@pytest.mark.parametrize(
    "before, after",
    [
        pytest.param({}, {"clusterIP": "None"}, id="headless"),
        pytest.param({"clusterIP": "None"}, {}, id="no longer headless"),
        pytest.param({"clusterIP": "10.0.0.7"}, {"clusterIP": "10.0.0.8"}, id="another address"),
    ],
)
def test_another_address_needs_another_service(before, after):
    assert isinstance(edit(existing(desired(**before)), desired(**after)), Delete)


def test_a_current_service_is_left_alone():
    assert edit(existing(desired()), desired()) is None


def test_what_others_assigned_is_left_alone():
    found = edit(existing(desired(), loadBalancerClass="theirs"), desired(ports=OTHER_PORTS))
    assert set(found.body["spec"]) == {"ports", "selector"}


def test_one_of_an_older_controller_is_brought_up_to_date_in_place():
    older = record(SERVICES, service() | {"spec": {**ASSIGNED, "ports": OTHER_PORTS}})
    found = edit(older, desired())
    assert found.body["spec"]["ports"] == PORTS


@pytest.mark.parametrize(
    "action, reason, message, deleted",
    [
        pytest.param("patch", "Invalid", "spec.loadBalancerClass: may not change once set", True, id="fixed"),
        pytest.param(
            "patch", "Invalid", "spec.healthCheckNodePort: field is immutable", True, id="immutable"
        ),
        pytest.param(
            "patch", "Invalid", "spec.ports[0].port: must be between 1 and 65535", False, id="a mistake"
        ),
        pytest.param("patch", "Forbidden", "field is immutable", False, id="no right"),
        pytest.param("create", "Invalid", "field is immutable", False, id="not an edit"),
    ],
)
def test_a_refused_edit(action, reason, message, deleted):
    present = existing(desired())
    act = Patch(present.key, {}) if action == "patch" else Create(SERVICES, desired())
    error = WriteError(act, ApiError(422, reason, message))
    outcome = Outcome((error,))
    assert (recreate(present, outcome).delete == (Delete(present.key, present.uid),)) is deleted
    assert without_immutable_errors(outcome).errors == (() if deleted else (error,))
