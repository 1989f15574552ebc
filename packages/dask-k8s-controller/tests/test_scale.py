"""How many workers a group creates or retires."""

import pytest

from dask_k8s_controller.dask.pods.restarts import FIRST_SECONDS, LONGEST_SECONDS
from dask_k8s_controller.dask.workergroup.observe import Observed
from dask_k8s_controller.dask.workergroup.scale import CALM_SECONDS, SLICE, decide
from dask_k8s_crds import labels
from dask_k8s_crds.resources import PODS

from .builders import NOW, pod, record


def running(name, **more):
    return record(PODS, pod(name, ready=True, **more))


def pending(name, **more):
    return record(PODS, pod(name, phase="Pending", **more))


def ended(name, *, failures=0, digest="now", **more):
    body = pod(name, phase="Failed", **more)
    body["metadata"]["annotations"] = {labels.FAILURES: str(failures), labels.TEMPLATE_DIGEST: digest}
    return record(PODS, body)


def ended_by_node(name, *, started=True, **more):
    body = pod(name, phase="Failed", **more)
    ended = {"name": "dask", "state": {"terminated": {"exitCode": 137}}}
    body["status"] |= {"reason": "Evicted", "containerStatuses": [ended] * started}
    return record(PODS, body)


def terminating(name, **more):
    return record(PODS, pod(name, ready=True, deletion=-30, **more))


def decided(records, replicas, expected=()):
    observed = Observed.of_pods(records, expected, digest="now")
    decision = decide(observed, replicas, NOW)
    return {
        "create": decision.create,
        "surplus": observed.surplus(replicas),
        "finished": sorted(pod.key.name for pod in decision.finished),
        "look_again": decision.look_again,
        "failures": decision.failures,
    }


@pytest.mark.parametrize(
    "records, expected, replicas, decision",
    [
        pytest.param([], [], 0, {}, id="none desired, none there"),
        pytest.param([], [], 3, {"create": 3}, id="from nothing"),
        pytest.param([running("a"), running("b")], [], 2, {}, id="as many as desired"),
        pytest.param([running("a")], [], 3, {"create": 2}, id="some missing"),
        pytest.param([running("a")], ["b", "c"], 3, {}, id="created and not seen yet counts"),
        pytest.param([running("a")], ["a"], 3, {"create": 2}, id="seen and still expected counts once"),
        pytest.param(
            [running("a"), terminating("b")], [], 2, {"create": 1}, id="a terminating one does not count"
        ),
        pytest.param([running("a"), running("b")], [], 0, {"surplus": 2}, id="to nothing"),
        pytest.param(
            [running("a", created=9), running("b", created=5)], [], 1, {"surplus": 1}, id="one too many"
        ),
        pytest.param(
            [running("a"), running("b")],
            ["c", "d"],
            2,
            {},
            id="running ones stay when those created last are too many",
        ),
        pytest.param(
            [running("a"), pending("b")],
            ["c"],
            1,
            {"surplus": 1},
            id="too many even without those created last",
        ),
        pytest.param(
            [running("a"), ended("b", created=FIRST_SECONDS)],
            [],
            2,
            {"create": 1, "finished": ["b"], "failures": 1},
            id="an old one that ended is replaced",
        ),
        pytest.param(
            [running("a"), ended("b", created=FIRST_SECONDS - 4)],
            [],
            2,
            {"look_again": 4.0},
            id="a young one that ended is replaced later",
        ),
        pytest.param(
            [running("a"), ended("b", created=1), ended("c", created=99)],
            [],
            3,
            {"create": 1, "finished": ["c"], "look_again": 9.0, "failures": 1},
            id="of two that ended only the old one is replaced",
        ),
        pytest.param(
            [running("a", created=9), running("b", created=5), ended("x", created=1)],
            [],
            1,
            {"surplus": 1, "finished": ["x"], "look_again": 9.0},
            id="when there are too many, all that ended are deleted",
        ),
        pytest.param(
            [running("a"), ended_by_node("b", created=1), ended_by_node("c", started=False, created=1)],
            [],
            3,
            {"create": 1, "finished": ["b"], "look_again": 9.0},
            id="one that its node ended is replaced at once, one that it rejected is not",
        ),
        pytest.param(
            [ended("b", created=39, failures=2), ended("c", created=20, failures=1)],
            [],
            2,
            {"create": 1, "finished": ["c"], "look_again": 1.0, "failures": 2},
            id="one that fails again and again is replaced later and later",
        ),
        pytest.param(
            [ended("b", created=LONGEST_SECONDS - 1, failures=9000)],
            [],
            1,
            {"look_again": 1.0},
            id="but not later than that",
        ),
        pytest.param(
            [ended("b", created=CALM_SECONDS, failures=9)],
            [],
            1,
            {"create": 1, "finished": ["b"], "failures": 1},
            id="a long life ends the series",
        ),
        pytest.param(
            [ended("b", created=1, failures=9, digest="old")],
            [],
            1,
            {"create": 1, "finished": ["b"]},
            id="a failure of an older template is replaced at once",
        ),
        pytest.param([], [], SLICE + 1, {"create": SLICE, "look_again": 0.0}, id="more than a slice"),
        pytest.param([], [], SLICE, {"create": SLICE}, id="just a slice"),
    ],
)
def test_decide(records, expected, replicas, decision):
    nothing = {"create": 0, "surplus": 0, "finished": [], "look_again": None, "failures": 0}
    assert decided(records, replicas, expected) == nothing | decision
