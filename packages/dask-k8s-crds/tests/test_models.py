import copy
from collections import UserDict
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from dask_k8s_crds import (
    Condition,
    DaskAutoscaler,
    DaskCluster,
    DaskClusterStatus,
    DaskJob,
    DaskJobStatus,
    DaskWorkerGroup,
    InvalidObject,
)
from dask_k8s_crds.metadata import owner_reference
from dask_k8s_crds.resources import DASK_CLUSTERS

FROM_THE_API_SERVER = {
    "metadata": {
        "name": "example",
        "namespace": "default",
        "uid": "1-2-3",
        "resourceVersion": "7",
        "generation": 4,
        "creationTimestamp": "2026-11-23T12:00:00Z",
        "managedFields": [{"manager": "kubectl"}],
        "labels": {"a": "b"},
        "ownerReferences": [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "4"},
            {"apiVersion": "v1", "kind": "Other", "name": "y", "uid": "5", "controller": True},
        ],
    }
}


def test_metadata_is_read_as_far_as_it_is_ours(make):
    metadata = DaskCluster.parse(make() | FROM_THE_API_SERVER).metadata
    assert (metadata.uid, metadata.resource_version, metadata.generation) == ("1-2-3", "7", 4)
    assert metadata.creation_timestamp == datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert metadata.deletion_timestamp is None
    assert metadata.controller.name == "y"


def test_an_owner_reference_names_the_controller(make):
    cluster = DaskCluster.parse(make() | FROM_THE_API_SERVER)
    assert owner_reference(DASK_CLUSTERS, cluster.metadata) == {
        "apiVersion": "kubernetes.dask.org/v1",
        "kind": "DaskCluster",
        "name": "example",
        "uid": "1-2-3",
        "controller": True,
        "blockOwnerDeletion": True,
    }


def test_parsing_neither_changes_nor_shares_the_body(make):
    body = make(set={"spec.worker.spec.nodeSelector": None})
    before = copy.deepcopy(body)
    cluster = DaskCluster.parse(body)
    assert body == before
    body["spec"]["worker"]["spec"]["containers"][0]["name"] = "another"
    assert cluster.spec.worker.spec["containers"][0]["name"] == "worker"


def test_models_are_frozen(make):
    cluster = DaskCluster.parse(make())
    with pytest.raises(ValidationError, match="frozen"):
        cluster.spec.worker.replicas = 5


def test_any_mapping_is_a_body(make):
    assert DaskCluster.parse(UserDict(make())) == DaskCluster.parse(make())


@pytest.mark.parametrize("path", ["spec.worker.replicas", "spec.worker.metadata", "spec.worker.cluster"])
def test_null_means_absent(make, path):
    null, absent = make(set={path: None}), make(set={path: None}, unset=[path])
    assert DaskCluster.parse(null) == DaskCluster.parse(absent)


def test_null_means_absent_inside_of_a_template(make):
    body = make(set={"spec.worker.spec.containers": [{"name": "x", "env": None, "args": ["a"]}]})
    assert DaskCluster.parse(body).spec.worker.spec == {"containers": [{"name": "x", "args": ["a"]}]}


def test_a_worker_group_has_one_worker_by_default(make):
    assert (
        DaskWorkerGroup.parse(make("DaskWorkerGroup", unset=["spec.worker.replicas"])).spec.worker.replicas
        == 1
    )


def test_an_autoscaler_of_nothing_but_a_cluster(make):
    """The defaults are the scaling rules that autoscalers have always had, and no upper bound."""
    spec = DaskAutoscaler.parse(make("DaskAutoscaler", set={"spec": {"cluster": "example"}})).spec
    assert (spec.minimum, spec.maximum, spec.groups) == (0, None, ())
    assert (spec.scale_up.stabilization_seconds, spec.scale_up.max_step) == (0, None)
    assert (spec.scale_down.stabilization_seconds, spec.scale_down.max_step_percent) == (15, 25)
    assert (spec.interval_seconds, spec.target_duration_seconds) == (5, None)


def test_bounds_that_an_older_crd_let_in_are_refused_when_read(make):
    body = make("DaskAutoscaler", set={"spec.minimum": 8, "spec.maximum": 4})
    with pytest.raises(InvalidObject) as caught:
        DaskAutoscaler.parse(body)
    assert str(caught.value) == (
        'DaskAutoscaler "example" is invalid: spec.maximum: Invalid value: "object": '
        "must not be less than minimum"
    )


def test_a_job_of_a_runner_and_a_cluster(make):
    """The defaults are as always: the runner is restarted, and the cluster deleted."""
    spec = DaskJob.parse(make("DaskJob")).spec
    assert spec.job.spec["restartPolicy"] == "OnFailure"
    assert (spec.suspend, spec.cluster_cleanup, spec.cluster_name) == (False, "Always", None)
    assert (spec.backoff_limit, spec.active_deadline_seconds, spec.ttl_seconds_after_finished) == (None,) * 3
    assert spec.cluster.spec == DaskCluster.parse(_cluster(make("DaskJob"))).spec


def _cluster(job):
    spec = job["spec"]["cluster"]["spec"]
    return {"apiVersion": job["apiVersion"], "kind": "DaskCluster", "metadata": {"name": "c"}, "spec": spec}


def test_the_times_of_a_job_are_written_as_always():
    time = datetime(2026, 11, 23, 12, 0, 0, 5, tzinfo=UTC)
    status = DaskJobStatus(job_status="Running", job_runner_pod_name="a-runner-x", start_time=time)
    assert status.to_dict() == {
        "jobStatus": "Running",
        "jobRunnerPodName": "a-runner-x",
        "startTime": "2026-11-23T12:00:00Z",
        "conditions": [],
    }


def test_a_cluster_is_not_idle_out_of_itself(make):
    spec = DaskCluster.parse(make()).spec
    assert (spec.idle_timeout, spec.idle_action) == (0, "Delete")


def test_dask_resources_are_numbers(make):
    resources = {"spec.worker.daskResources": {"GPU": 1, "memory": 0.5, "none": None}}
    for model, kind in ((DaskCluster, "DaskCluster"), (DaskWorkerGroup, "DaskWorkerGroup")):
        assert model.parse(make(kind, set=resources)).spec.worker.dask_resources == {"GPU": 1, "memory": 0.5}
        with pytest.raises(InvalidObject, match=r"spec\.worker\.daskResources\.GPU"):
            model.admit(make(kind, set={"spec.worker.daskResources": {"GPU": float("inf")}}))


def test_what_an_older_crd_let_in_is_refused_when_read(make):
    with pytest.raises(InvalidObject, match=r'^DaskCluster "a.b" is invalid: metadata.name: '):
        DaskCluster.parse(make(set={"metadata.name": "a.b", "status": {"phase": "Error"}}))


def test_a_status_becomes_json_without_what_is_not_known():
    now = datetime(2026, 11, 23, 12, 0, 0, 5, tzinfo=UTC)
    ready = Condition(type="Ready", status="True", reason="Up", last_transition_time=now)
    assert DaskClusterStatus(phase="Running", ready_replicas=0, conditions=(ready,)).to_dict() == {
        "phase": "Running",
        "readyReplicas": 0,
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "Up",
                "message": "",
                "lastTransitionTime": "2026-11-23T12:00:00Z",
            }
        ],
    }


def test_a_condition_is_read_as_it_was_written():
    condition = Condition(
        type="Ready",
        status="False",
        reason="Down",
        message="why",
        last_transition_time=datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert Condition.model_validate(condition.to_dict()) == condition


LATER = {
    "DaskCluster": ["spec.later", "spec.scheduler.later", "spec.worker.later", "spec.updateStrategy.later"],
    "DaskWorkerGroup": ["spec.later", "spec.worker.later", "spec.worker.metadata.later"],
    "DaskAutoscaler": ["spec.later", "spec.scaleUp.later", "spec.groups[1].later"],
    "DaskJob": ["spec.later", "spec.job.later", "spec.cluster.later", "spec.cluster.spec.worker.later"],
}
"""Fields that a later version may add."""
MODELS = {"DaskCluster": DaskCluster, "DaskWorkerGroup": DaskWorkerGroup, "DaskAutoscaler": DaskAutoscaler}
MODELS |= {"DaskJob": DaskJob}


@pytest.mark.parametrize("value", ["x", 5, True, {"a": {"b": None}}, ["c"], [{"d": 1}]], ids=str)
@pytest.mark.parametrize("kind", LATER)
def test_fields_of_a_later_version_are_read_and_named(make, kind, value):
    body = make(kind)
    if kind == "DaskAutoscaler":
        body["spec"]["groups"] = [{"name": "a"}, {"name": "b"}]
    known = MODELS[kind].parse(body)
    assert known.unknown_fields() == ()
    for path in LATER[kind]:
        *steps, field = path.replace("[1]", ".1").split(".")
        place = body
        for step in steps:
            place = place[int(step)] if step.isdecimal() else place.setdefault(step, {})
        place[field] = value
    later = MODELS[kind].parse(body)
    assert sorted(later.unknown_fields()) == sorted(LATER[kind])
    assert later.metadata == known.metadata
    # For a user who types one, it is a mistake.
    with pytest.raises(InvalidObject, match="unknown field"):
        MODELS[kind].admit(body)


def test_a_field_of_a_later_version_that_is_null_is_absent(make):
    assert DaskCluster.parse(make(set={"spec.later": None})).unknown_fields() == ()


def test_fields_of_pods_are_those_of_kubernetes(make):
    body = make(set={"spec.worker.spec.later": 1, "metadata.later": 1, "later": 1})
    assert DaskCluster.parse(body).unknown_fields() == ()


def test_a_field_of_a_later_version_is_passed_on(make):
    """To the cluster of a job, by which another controller may know it."""
    job = DaskJob.parse(make("DaskJob", set={"spec.cluster.spec.worker.later": {"aB": 1}}))
    assert job.spec.cluster.spec.to_dict()["worker"]["later"] == {"aB": 1}


@pytest.mark.parametrize(
    "status, model, expected",
    [
        pytest.param(
            {"phase": "Hibernating", "readyReplicas": 2},
            DaskClusterStatus,
            {"phase": "Hibernating", "ready_replicas": 2},
            id="a phase of a later version",
        ),
        pytest.param(
            {"jobStatus": "Queued", "failures": 1},
            DaskJobStatus,
            {"job_status": "Queued", "failures": 1},
            id="a phase of a job",
        ),
        pytest.param({"later": {"a": [1]}, "replicas": 3}, DaskClusterStatus, {"replicas": 3}, id="a field"),
        pytest.param(
            {"replicas": {"desired": 3}, "idleSince": "never", "workers": "2/3"},
            DaskClusterStatus,
            {"replicas": None, "idle_since": None, "workers": "2/3"},
            id="fields of another type",
        ),
        pytest.param(
            {"conditions": [{"type": "Ready", "status": "Perhaps"}], "replicas": 3},
            DaskClusterStatus,
            {"conditions": (), "replicas": 3},
            id="a condition that is neither true nor false",
        ),
        pytest.param(None, DaskClusterStatus, {"phase": None}, id="none"),
        pytest.param("text", DaskClusterStatus, {"phase": None}, id="text"),
    ],
)
def test_a_status_is_read_as_far_as_it_is_understood(status, model, expected):
    found = model.of({"status": status})
    assert {field: getattr(found, field) for field in expected} == expected


def test_a_condition_of_a_later_version_is_read():
    entry = {"type": "Later", "status": "Unknown", "reason": "Why", "severity": "Warning"}
    (found,) = DaskClusterStatus.of({"status": {"conditions": [entry]}}).conditions
    assert (found.type, found.status, found.reason) == ("Later", "Unknown", "Why")
