"""Which pod is the scheduler: the status and the agent agree, whatever other pods there are."""

import itertools

import pytest

from dask_k8s_controller.dask.cluster.observe import Observed
from dask_k8s_controller.dask.cluster.plan import plan_scheduler
from dask_k8s_controller.dask.pods.view import LOST_SECONDS
from dask_k8s_controller.dask.scheduler.pod import answering, current
from dask_k8s_crds import DaskCluster
from dask_k8s_crds.resources import PODS

from .builders import NOW, cluster, pod, record

STATES = {
    "none": None,
    "ready": {"ready": True},
    "not ready": {},
    "starts": {"phase": "Pending"},
    "failed": {"phase": "Failed"},
    "terminates": {"ready": True, "deletion": -20},
    "terminates, ended": {"phase": "Failed", "deletion": -20},
    "lost": {"ready": True, "deletion": LOST_SECONDS},
}


def scheduler(name, state, created=60):
    return record(PODS, pod(name, component="scheduler", created=created, **STATES[state]))


def schedulers(older, younger):
    named = (("a", older, 60), ("b", younger, 30))
    return [scheduler(name, state, created) for name, state, created in named if state != "none"]


@pytest.mark.parametrize(
    "older, younger, is_scheduler, answers",
    [
        pytest.param("none", "none", None, None, id="none"),
        pytest.param("ready", "none", "a", "a", id="ready"),
        pytest.param(
            "not ready", "none", "a", "a", id="not ready, for example on a node that is not: it may return"
        ),
        pytest.param("starts", "none", "a", None, id="it starts: it has no data"),
        pytest.param("failed", "none", None, None, id="it ended"),
        pytest.param("terminates", "none", None, "a", id="it terminates: until it ends it has data"),
        pytest.param("terminates, ended", "none", None, None, id="its process has ended"),
        pytest.param("lost", "none", None, None, id="it is lost: nobody has data"),
        pytest.param("lost", "starts", "b", None, id="the successor of a lost one starts"),
        pytest.param("lost", "ready", "b", "b", id="the successor of a lost one is asked, not the lost one"),
        pytest.param("terminates", "starts", "b", "a", id="the one before still runs"),
        pytest.param("terminates", "ready", "b", "b", id="the one before still runs, its successor too"),
        pytest.param("failed", "ready", "b", "b", id="the successor of one that failed"),
        pytest.param("ready", "ready", "a", "a", id="two: the older stays"),
        pytest.param("not ready", "ready", "a", "a", id="two: the older, ready or not"),
        pytest.param("ready", "lost", "a", "a", id="the younger of two is lost"),
    ],
)
def test_which_pod(older, younger, is_scheduler, answers):
    for pods in itertools.permutations(schedulers(older, younger)):
        found = current(pods), answering(pods, NOW)
        assert [each and each.key.name for each in found] == [is_scheduler, answers]


@pytest.mark.parametrize("older, younger", list(itertools.product(STATES, repeat=2)))
def test_all_agree(older, younger):
    """The status is about the scheduler, its agent is asked once it runs, and no second one is created."""
    pods = schedulers(older, younger)
    observed = Observed(tuple(pods), None, None, (), frozenset(), NOW)
    found = current(pods)
    assert observed.scheduler is found
    if found is not None and found.value.running:
        assert answering(pods, NOW) is found
    planned = plan_scheduler(DaskCluster.parse(cluster()), observed, NOW)
    assert found is None or (planned.name is None and found not in planned.delete)
    assert planned.name is None or answering(pods, NOW) is None
