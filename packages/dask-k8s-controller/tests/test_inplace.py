"""What changes about existing workers without a restart."""

import pytest

from dask_k8s_controller.dask.workergroup.desired import Desired
from dask_k8s_controller.dask.workergroup.plan import edits
from dask_k8s_controller.dask.workergroup.retirement import Retirement
from dask_k8s_crds import DaskCluster, DaskWorkerGroup, labels
from dask_k8s_crds.resources import PODS

from .builders import NOW, ago, cluster, group, pod, record


def example(**metadata):
    body = group()
    body["spec"]["worker"]["metadata"] = metadata
    return Desired(DaskWorkerGroup.parse(body), DaskCluster.parse(cluster()), "x").pod


def worker(like, **annotations):
    found = {**like["metadata"]["annotations"], **annotations}
    return record(PODS, pod("w", ready=True, annotations=found, labels=like["metadata"]["labels"]))


def edited(present, desired, retirement=None):
    found = edits([present], desired, retirement or Retirement(), NOW)
    return [patch.body["metadata"] for patch in found]


def test_a_current_worker_is_left_alone():
    assert edited(worker(example()), example()) == []


def test_labels_change_without_a_restart():
    [patch] = edited(worker(example(labels={"a": "1"})), example(labels={"b": "2"}))
    assert patch["uid"] == "uid-of-w"
    assert patch["labels"].items() >= {"a": None, "b": "2"}.items()
    assert labels.TEMPLATE_DIGEST not in patch["annotations"]


@pytest.mark.parametrize(
    "since, drains, mark",
    [
        pytest.param(None, False, [], id="works"),
        pytest.param(None, True, ["2026-11-23T12:00:00Z"], id="begins to drain"),
        pytest.param(9, True, [], id="drains"),
        pytest.param(9, False, [None], id="no longer has to drain"),
    ],
)
def test_since_when_a_worker_drains_is_recorded(since, drains, mark):
    present = worker(example(), **({labels.DRAINING_SINCE: ago(since)} if since else {}))
    retirement = Retirement(retiring=1, draining=(present,)) if drains else Retirement()
    assert [
        patch["annotations"][labels.DRAINING_SINCE] for patch in edited(present, example(), retirement)
    ] == mark


def test_a_worker_that_is_deleted_is_not_edited():
    present = worker(example())
    assert edited(present, example(labels={"b": "2"}), Retirement(pods=(present,))) == []
