"""The status of a worker group."""

import pytest

from dask_k8s_controller.dask.findings import Finding
from dask_k8s_controller.dask.workergroup.desired import Desired
from dask_k8s_controller.dask.workergroup.observe import Observed
from dask_k8s_controller.dask.workergroup.retirement import Retirement
from dask_k8s_controller.dask.workergroup.status import report, running, suspended, waiting
from dask_k8s_controller.runtime.plan import Create
from dask_k8s_controller.runtime.results import Outcome, WriteError
from dask_k8s_crds import DaskCluster, DaskWorkerGroup, labels
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import PODS

from .builders import NOW, ago, cluster, group, pod, record

PARSED = DaskWorkerGroup.parse(group(replicas=2))
DESIRED = Desired(PARSED, DaskCluster.parse(cluster()), "cluster.local")
FINE = Outcome()
NONE = Retirement()
QUOTA = Outcome((WriteError(Create(PODS, pod("p")), ApiError(403, "Forbidden", "exceeded quota: q")),))


def ready(name, **more):
    return record(PODS, pod(name, ready=True, **more))


def starting(name):
    return record(PODS, pod(name, phase="Pending"))


def unschedulable(name):
    body = pod(name, phase="Pending")
    body["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no node"}
    ]
    return record(PODS, body)


@pytest.mark.parametrize(
    "records, expected, outcome, retirement, numbers, reasons",
    [
        pytest.param([], [], FINE, NONE, (0, 0, 0), ("WorkersNotReady", "Scaling", "Healthy"), id="none"),
        pytest.param(
            [], ["a"], FINE, NONE, (1, 0, 0), ("WorkersNotReady", "Scaling", "Healthy"), id="one created"
        ),
        pytest.param(
            [ready("a"), starting("b")],
            [],
            FINE,
            NONE,
            (2, 1, 0),
            ("WorkersNotReady", "Scaling", "Healthy"),
            id="one ready",
        ),
        pytest.param(
            [ready("a"), ready("b")],
            [],
            FINE,
            NONE,
            (2, 2, 0),
            ("WorkersReady", "Complete", "Healthy"),
            id="all",
        ),
        pytest.param(
            [ready("a"), ready("b"), ready("c", deletion=-9)],
            [],
            FINE,
            NONE,
            (2, 2, 1),
            ("WorkersReady", "Complete", "Healthy"),
            id="all, one terminates",
        ),
        pytest.param(
            [ready("a"), ready("b"), ready("c")],
            [],
            FINE,
            NONE,
            (3, 3, 0),
            ("WorkersNotReady", "Scaling", "Healthy"),
            id="too many",
        ),
        pytest.param(
            [ready("a"), ready("b"), ready("c")],
            [],
            FINE,
            Retirement(retiring=1, finding=Finding("SchedulerSilent", "1 worker stays: no answer")),
            (3, 3, 1),
            ("WorkersNotReady", "SchedulerSilent", "Healthy"),
            id="too many, and the scheduler is silent",
        ),
        pytest.param(
            [ready("a"), unschedulable("b")],
            [],
            FINE,
            NONE,
            (2, 1, 0),
            ("Unschedulable", "Unschedulable", "Unschedulable"),
            id="one does not fit",
        ),
        pytest.param(
            [ready("a")],
            [],
            QUOTA,
            NONE,
            (1, 1, 0),
            ("QuotaExceeded", "QuotaExceeded", "QuotaExceeded"),
            id="quota",
        ),
        pytest.param(
            [ready("a"), record(PODS, pod("b", phase="Failed"))],
            [],
            FINE,
            NONE,
            (1, 1, 0),
            ("PodFailed", "PodFailed", "PodFailed"),
            id="one failed",
        ),
    ],
)
def test_report(records, expected, outcome, retirement, numbers, reasons):
    observed = Observed.of_pods(records, expected)
    found = running(DESIRED, observed, outcome, retirement, NOW)
    reported = report(PARSED, observed, retirement, found)
    assert (reported.replicas, reported.ready_replicas, reported.retiring) == numbers
    assert {each.type: each.reason for each in found} == dict(
        zip(("Ready", "Progressing", "Degraded"), reasons, strict=True)
    )
    degraded = reasons[2] != "Healthy"
    complete = reasons[0] == "WorkersReady"
    assert {each.type for each in found if each.status == "True"} == {
        "Ready" if complete else "Degraded" if degraded else "Progressing"
    }
    assert reported.observed_generation == 1
    assert reported.selector == (
        "dask.org/cluster-name=c,dask.org/workergroup-name=c-default,dask.org/component=worker"
    )


def ended(name, code, *, created, failures=0):
    body = pod(name, phase="Failed" if code else "Succeeded", created=created)
    end = {"exitCode": code, "reason": "Error" if code else "Completed"}
    body["status"]["containerStatuses"] = [{"name": "dask", "state": {"terminated": end}}]
    body["metadata"]["annotations"] = {labels.FAILURES: str(failures)}
    return record(PODS, body)


@pytest.mark.parametrize(
    "records, reason, message",
    [
        pytest.param(
            [ended("a", 0, created=4)],
            "PodCompleted",
            f"pod a: exit code 0 (Completed); after a back-off, a is replaced at {ago(-6)}",
            id="exit code 0",
        ),
        pytest.param(
            [ended("a", 1, created=4, failures=2), ended("b", 1, created=9), ready("c")],
            "PodFailed",
            f"pod a (and 1 more): exit code 1 (Error); after a back-off, b is replaced at {ago(-1)},"
            " and 1 more later",
            id="several, one soon",
        ),
    ],
)
def test_who_waits_for_a_back_off_and_until_when(records, reason, message):
    _, _, degraded = running(DESIRED, Observed.of_pods(records), FINE, NONE, NOW)
    assert (degraded.status, degraded.reason, degraded.message) == ("True", reason, message)


def test_a_group_without_its_cluster_names_it():
    ready, progressing, degraded = waiting(PARSED)
    assert (ready.status, ready.reason) == ("False", "ClusterNotFound")
    assert 'spec.cluster: there is no DaskCluster "c" in namespace "ns"' in ready.message
    assert (progressing.status, degraded.status) == ("False", "False")


@pytest.mark.parametrize(
    "records, outcome, held, reasons",
    [
        pytest.param([], FINE, [], ("Suspended", "Suspended", "Healthy"), id="no workers"),
        pytest.param(
            [ready("a"), ready("b", deletion=-9)],
            FINE,
            ["Progressing"],
            ("Suspending", "Suspending", "Healthy"),
            id="terminating",
        ),
        pytest.param(
            [ready("a")], QUOTA, ["Degraded"], ("Suspending", "QuotaExceeded", "QuotaExceeded"), id="refused"
        ),
    ],
)
def test_suspended(records, outcome, held, reasons):
    found = suspended(PARSED, Observed.of_pods(records), outcome)
    assert tuple(each.reason for each in found) == reasons
    assert [each.type for each in found if each.status == "True"] == held


def test_a_template_in_which_nothing_shows_the_container_of_dask():
    """The workers are ready and nothing is under way all the same."""
    body = group(replicas=1)
    body["spec"]["worker"]["spec"] = {"containers": [{"name": "a"}, {"name": "b"}]}
    observed = Observed.of_pods([ready("w")])
    desired = Desired(DaskWorkerGroup.parse(body), DESIRED.cluster, "cluster.local")
    found = running(desired, observed, FINE, NONE, NOW)
    assert {each.type: (each.status, each.reason) for each in found} == {
        "Ready": ("True", "WorkersReady"),
        "Progressing": ("False", "Complete"),
        "Degraded": ("True", "ContainerUnidentified"),
    }
