"""Which pod is the scheduler."""

import itertools

import pytest

from dask_k8s_crds.scheduler_pod import PodState, current

OLD, NEW = "2026-11-23T12:00:00Z", "2026-11-23T12:00:01Z"


def pod(created, name, *, terminating=False, finished=False):
    return PodState(created, name, terminating, finished)


@pytest.mark.parametrize(
    "pods, scheduler",
    [
        pytest.param([], None, id="none"),
        pytest.param([pod(OLD, "a")], "a", id="one"),
        pytest.param([pod(OLD, "b"), pod(NEW, "a")], "b", id="the older of two"),
        pytest.param([pod(OLD, "b"), pod(OLD, "a")], "a", id="of the same second: by name"),
        pytest.param([pod(OLD, "a", terminating=True)], None, id="one that terminates"),
        pytest.param([pod(OLD, "a", terminating=True), pod(NEW, "b")], "b", id="the successor of a lost one"),
        pytest.param(
            [pod(OLD, "a", finished=True), pod(NEW, "b")], "b", id="the successor of one that ended"
        ),
        pytest.param([pod(OLD, "a"), pod(NEW, "b", terminating=True)], "a", id="the younger terminates"),
    ],
)
def test_current(pods, scheduler):
    for order in itertools.permutations(pods):
        found = current(order, lambda pod: pod)
        assert (found and found.name) == scheduler
