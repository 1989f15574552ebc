"""Findings: what the API server refused, and what keeps most pods from running."""

import pytest

from dask_k8s_controller.dask.findings import Finding, conditions, refused
from dask_k8s_controller.dask.pods.view import trim, troubled
from dask_k8s_controller.runtime.object_errors import conditions_of
from dask_k8s_controller.runtime.plan import Create, Event
from dask_k8s_controller.runtime.results import Outcome, WriteError
from dask_k8s_crds import DaskWorkerGroupStatus
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import PODS

from .builders import cluster, pod

QUOTA = 'pods "p" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2'
CREATE = Create(PODS, pod("p"))
EVENT = Event(cluster(), "LegacyCommand", "…")


def failed(status, reason, message="…", *, action=CREATE, causes=()):
    return Outcome((WriteError(action, ApiError(status, reason, message, causes=causes)),))


@pytest.mark.parametrize(
    "outcome, reason",
    [
        pytest.param(Outcome(), None, id="nothing"),
        pytest.param(failed(403, "Forbidden", QUOTA), "QuotaExceeded", id="quota"),
        pytest.param(failed(403, "Forbidden", "no right"), "Forbidden", id="no right"),
        pytest.param(
            failed(403, "Forbidden", causes=("NamespaceTerminating",)),
            "NamespaceTerminating",
            id="namespace is going",
        ),
        pytest.param(failed(422, "Invalid"), "InvalidSpec", id="invalid"),
        pytest.param(failed(400, "BadRequest", "strict decoding error"), "InvalidSpec", id="misspelt"),
        pytest.param(failed(409, "AlreadyExists"), "AlreadyExists", id="name taken"),
        pytest.param(failed(429, "TooManyRequests"), None, id="too many requests, perhaps for a moment"),
        pytest.param(failed(418, ""), "Refused", id="no reason"),
        pytest.param(failed(0, "Unreachable"), None, id="no answer"),
        pytest.param(failed(500, "InternalError"), None, id="the server failed"),
        pytest.param(failed(403, "Forbidden", action=EVENT), None, id="only an event"),
        pytest.param(Outcome((ValueError("x"),)), None, id="another error"),
    ],
)
def test_refused(outcome, reason):
    found = refused(outcome)
    assert (found.reason if found else None) == reason
    if found:
        assert found.message.startswith("create Pod ns/p: ")


def test_the_first_refusal_of_the_plan_is_reported():
    both = Outcome((*failed(422, "Invalid", "first").errors, *failed(403, "Forbidden", "second").errors))
    assert refused(both) == Finding("InvalidSpec", "create Pod ns/p: first")


def in_trouble(name, reason="CrashLoopBackOff"):
    found = trim(pod(name))
    return type(found)(
        **{field: getattr(found, field) for field in found.__slots__} | {"trouble": Finding(reason, "why")}
    )


@pytest.mark.parametrize(
    "pods, finding",
    [
        pytest.param([], None, id="no pods"),
        pytest.param([trim(pod("a"))], None, id="none in trouble"),
        pytest.param([trim(pod("a")), in_trouble("b")], ("CrashLoopBackOff", "pod b: why"), id="one"),
        pytest.param(
            [in_trouble("c"), in_trouble("b")],
            ("CrashLoopBackOff", "pod b (and 1 more): why"),
            id="two: the first by name",
        ),
        pytest.param(
            [in_trouble("a", "Unschedulable"), in_trouble("b"), in_trouble("c")],
            ("CrashLoopBackOff", "pod b (and 1 more): why"),
            id="the most frequent",
        ),
    ],
)
def test_troubled(pods, finding):
    assert troubled(pods) == (Finding(*finding) if finding else None)


def test_conditions_are_written_as_they_are_read():
    found = conditions(7, Ready=(True, Finding("Complete", "all")), Degraded=(False, Finding("Healthy", "")))
    body = {"status": {"conditions": [condition.to_dict() for condition in found]}}
    assert conditions_of(body) == list(found)
    assert [(each.type, each.status, each.observed_generation) for each in found] == [
        ("Ready", "True", 7),
        ("Degraded", "False", 7),
    ]


@pytest.mark.parametrize(
    "body", [{}, {"status": None}, {"status": {}}, {"status": {"conditions": None}}], ids=str
)
def test_no_conditions_yet(body):
    assert conditions_of(body) == []


@pytest.mark.parametrize(
    "status", [None, [], {"replicas": "many"}, {"conditions": [{"type": "Ready"}]}], ids=str
)
def test_an_unreadable_status_counts_as_none(status):
    assert DaskWorkerGroupStatus.of({"status": status}) == DaskWorkerGroupStatus()
