"""What living workers are told without a restart."""

import pytest

from dask_k8s_controller.dask.workergroup.desired import example
from dask_k8s_controller.dask.workergroup.inplace import patches
from dask_k8s_controller.dask.workergroup.retire import Retirement
from dask_k8s_crds import DaskCluster, DaskWorkerGroup, labels
from dask_k8s_crds.resources import PODS

from .builders import NOW, ago, cluster, group, pod, record


def made(**metadata):
    body = group()
    body["spec"]["worker"]["metadata"] = metadata
    return example(DaskWorkerGroup.parse(body), DaskCluster.parse(cluster()), domain="x")


def worker(like, **annotations):
    found = {**like["metadata"]["annotations"], **annotations}
    return record(PODS, pod("w", ready=True, annotations=found, labels=like["metadata"]["labels"]))


def told(present, wanted, leaving=None):
    found = list(patches([present], wanted, leaving or Retirement(), NOW))
    return [patch.body["metadata"] for patch in found]


def test_who_is_current_is_left_alone():
    assert told(worker(made()), made()) == []


def test_labels_change_without_a_restart():
    [patch] = told(worker(made(labels={"a": "1"})), made(labels={"b": "2"}))
    assert patch["uid"] == "uid-of-w"
    assert patch["labels"].items() >= {"a": None, "b": "2"}.items()
    assert labels.TEMPLATE_DIGEST not in patch["annotations"]


@pytest.mark.parametrize(
    "since, hands_over, mark",
    [
        pytest.param(None, False, [], id="works"),
        pytest.param(None, True, ["2026-11-23T12:00:00Z"], id="begins to hand over"),
        pytest.param(9, True, [], id="hands over"),
        pytest.param(9, False, [None], id="need not any more"),
    ],
)
def test_a_hand_over_is_remembered(since, hands_over, mark):
    present = worker(made(), **({labels.DRAINING_SINCE: ago(since)} if since else {}))
    leaving = Retirement(staying=1, draining=(present,)) if hands_over else Retirement()
    assert [patch["annotations"][labels.DRAINING_SINCE] for patch in told(present, made(), leaving)] == mark


def test_who_goes_is_told_nothing():
    present = worker(made())
    assert told(present, made(labels={"b": "2"}), Retirement(pods=(present,))) == []
