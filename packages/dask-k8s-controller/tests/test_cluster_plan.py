"""Which children a cluster creates, adopts and edits."""

import pytest

from dask_k8s_controller.dask.cluster.desired import children
from dask_k8s_controller.dask.cluster.observe import Observed, WorkerGroup
from dask_k8s_controller.dask.cluster.plan import SchedulerPlan, plan
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_crds import DaskCluster
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS, SERVICES

from .builders import NOW, cluster, group, owned_by, pod, record, service

ANNOTATION = "kubernetes.dask.org/cluster-replicas"
TEMPLATE = cluster()["spec"]["worker"]["spec"]
OWNER = owned_by("DaskCluster", "c", "uid-of-cluster")
CHILDREN = children(DaskCluster.parse(cluster()), token="token")
SCHEDULER = record(
    PODS,
    pod(
        "c-scheduler",
        component="scheduler",
        owner=OWNER,
        annotations=CHILDREN.scheduler["metadata"]["annotations"],
    ),
)
SERVICE = record(SERVICES, service(annotations=CHILDREN.service["metadata"]["annotations"]))
RECORD = CHILDREN.default_group["metadata"]["annotations"]


def default_group(reached="3", replicas=3, **more):
    body = group(
        replicas=replicas, annotations=RECORD | {ANNOTATION: reached}, ownerReferences=[OWNER], **more
    )
    return record(DASK_WORKER_GROUPS, body)


def planned(
    body,
    *,
    schedulers=(SCHEDULER,),
    service=SERVICE,
    groups=(),
    expected=(),
    make=None,
    outdated=None,
):
    observed = Observed(
        tuple(schedulers), "token", service, tuple(map(WorkerGroup.of, groups)), frozenset(expected), NOW
    )
    scheduler = SchedulerPlan(name=make, outdated=outdated)
    return plan(DaskCluster.parse(body), record(DASK_CLUSTERS, body), observed, scheduler)


@pytest.mark.parametrize(
    "present, actions",
    [
        pytest.param(
            {"service": None, "schedulers": (), "make": "c-scheduler"},
            [
                "create Pod ns/c-scheduler",
                "create Service ns/c-scheduler",
                "create DaskWorkerGroup ns/c-default",
            ],
            id="nothing",
        ),
        pytest.param(
            {"service": None, "groups": (default_group(),)},
            ["create Service ns/c-scheduler"],
            id="no service",
        ),
        pytest.param({}, ["create DaskWorkerGroup ns/c-default"], id="no default group"),
        pytest.param({"groups": (default_group(),)}, [], id="all exist"),
        pytest.param(
            {
                "service": None,
                "expected": {
                    Key(SERVICES, "ns", "c-scheduler"),
                    Key(DASK_WORKER_GROUPS, "ns", "c-default"),
                },
            },
            [],
            id="all created, not all seen yet",
        ),
    ],
)
def test_missing_children_are_made(present, actions):
    assert [str(action) for action in planned(cluster(), **present)] == actions


@pytest.mark.parametrize(
    "desired, reached, has, patched",
    [
        pytest.param(3, "3", 3, None, id="nothing changed"),
        pytest.param(5, "3", 3, 5, id="the cluster was scaled"),
        pytest.param(3, "3", 8, None, id="the group was scaled by itself: it keeps its size"),
        pytest.param(5, "3", 8, 5, id="the group was scaled by itself, then the cluster"),
        pytest.param(5, "3", 5, 5, id="both were scaled to the same size: remember it"),
        pytest.param(None, "1", 7, None, id="no replicas means one"),
        pytest.param(0, "3", 3, 0, id="to nothing"),
    ],
)
def test_replicas_reach_the_default_group_when_they_change(desired, reached, has, patched):
    present = default_group(reached, has)
    patches = planned(cluster(replicas=desired), groups=[present]).patch
    if patched is None:
        assert not patches
    else:
        [patch] = patches
        assert patch.key == present.key
        assert patch.body["spec"] == {"worker": {"replicas": patched}}
        assert patch.body["metadata"]["annotations"] == {ANNOTATION: str(patched)}


def test_replicas_are_not_passed_on_to_a_group_that_changed_meanwhile():
    present = default_group("3")
    [patch] = planned(cluster(replicas=5), groups=[present]).patch
    assert patch.body["metadata"]["resourceVersion"] == str(present.version)


def test_a_group_made_by_a_user_is_adopted_and_keeps_its_other_owners():
    other = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "uid-x"}
    mine = record(DASK_WORKER_GROUPS, group("mine", ownerReferences=[other]))
    [patch] = planned(cluster(), groups=[default_group(), mine]).patch
    assert patch.key == mine.key
    assert patch.needs_owner
    assert patch.body == {
        "metadata": {"resourceVersion": str(mine.version), "ownerReferences": [other, OWNER]}
    }


def test_a_default_group_made_by_a_user_is_adopted_and_scaled_in_one_write():
    mine = record(DASK_WORKER_GROUPS, group(replicas=8))
    [patch] = planned(cluster(), groups=[mine]).patch
    assert patch.body == {
        "metadata": {
            "resourceVersion": str(mine.version),
            "ownerReferences": [OWNER],
            "annotations": RECORD,
            "labels": CHILDREN.default_group["metadata"]["labels"],
        },
        "spec": {"worker": {"replicas": 3, "metadata": {"labels": {}, "annotations": {}}, "spec": TEMPLATE}},
    }


@pytest.mark.parametrize(
    "command, annotations, reported",
    [
        pytest.param("dask-scheduler", {}, True, id="a removed command"),
        pytest.param("dask", {}, False, id="a current command"),
        pytest.param("dask-scheduler", {"kubernetes.dask.org/legacy-commands": "keep"}, False, id="kept"),
    ],
)
def test_a_removed_command_is_reported_when_the_scheduler_is_created(command, annotations, reported):
    body = cluster(annotations=annotations)
    body["spec"]["scheduler"]["spec"]["containers"][0]["args"] = [command]
    planning = planned(body, schedulers=(), make="c-scheduler")
    assert [event.reason for event in planning.events] == ["LegacyCommand"] * reported
    assert not planned(body).events


def edited(**worker):
    body = cluster()
    body["spec"]["worker"] |= worker
    return body


@pytest.mark.parametrize(
    "body, changed",
    [
        pytest.param(edited(spec={"containers": []}), {"spec": {"containers": []}}, id="the template"),
        pytest.param(
            edited(metadata={"labels": {"a": "b"}}),
            {"metadata": {"labels": {"a": "b"}, "annotations": {}}},
            id="its labels",
        ),
        pytest.param(edited(daskResources={"GPU": 1}), {"daskResources": {"GPU": 1}}, id="Dask resources"),
        pytest.param(edited(replicas=5), {"replicas": 5}, id="replicas alone"),
        pytest.param(
            edited(replicas=5, daskResources={"GPU": 1}),
            {"replicas": 5, "daskResources": {"GPU": 1}},
            id="both",
        ),
    ],
)
def test_the_template_reaches_the_default_group_when_it_changes(body, changed):
    present = default_group(replicas=8)
    [patch] = planned(body, groups=[present]).patch
    worker = patch.body["spec"]["worker"]
    assert worker.items() >= changed.items()
    assert ("replicas" in worker) is ("replicas" in changed)
    assert ("spec" in worker) is (set(changed) != {"replicas"})
    assert patch.body["metadata"]["resourceVersion"] == str(present.version)


def test_a_group_that_was_edited_by_itself_stays_so():
    present = default_group()
    present.value["spec"]["worker"]["spec"] = {"containers": [{"name": "mine"}]}
    assert not planned(cluster(), groups=[present]).patch


def test_what_the_cluster_does_not_say_any_more_goes():
    before = children(DaskCluster.parse(edited(daskResources={"GPU": 1})), token="token").default_group
    present = default_group()
    present.value["metadata"]["annotations"].update(before["metadata"]["annotations"])
    present.value["spec"]["worker"] |= {"daskResources": {"GPU": 1}, "spec": TEMPLATE | {"hostNetwork": True}}
    [patch] = planned(cluster(), groups=[present]).patch
    worker = patch.body["spec"]["worker"]
    assert worker["daskResources"] is None
    assert worker["spec"]["hostNetwork"] is None


def test_labels_reach_scheduler_service_and_group_in_place():
    planning = planned(cluster(labels={"team": "weather"}), groups=[default_group()])
    assert not planning.create
    assert not planning.delete
    assert {str(patch) for patch in planning.patch} == {
        "patch Pod ns/c-scheduler",
        "patch Service ns/c-scheduler",
        "patch DaskWorkerGroup ns/c-default",
    }
    for patch in planning.patch:
        assert patch.body["metadata"]["labels"]["team"] == "weather"


def test_an_outdated_scheduler_is_deleted_and_that_is_reported():
    planning = planned(cluster(), groups=[default_group()], outdated=SCHEDULER)
    assert [str(action) for action in planning] == [
        "delete Pod ns/c-scheduler",
        "report SchedulerReplaced for DaskCluster ns/c",
    ]
