"""The status of a cluster: its phase, its numbers, its conditions."""

import pytest

from dask_k8s_controller.dask.cluster.observe import Observed, WorkerGroup
from dask_k8s_controller.dask.cluster.status import conditions, report
from dask_k8s_controller.dask.findings import Finding
from dask_k8s_controller.dask.findings import conditions as found_conditions
from dask_k8s_controller.runtime.plan import Create
from dask_k8s_controller.runtime.results import Outcome, WriteError
from dask_k8s_crds import DaskCluster
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import DASK_WORKER_GROUPS, PODS, SERVICES

from .builders import NOW, cluster, group, owned_by, pod, record, service

OWNER = owned_by("DaskCluster", "c", "uid-of-cluster")
FINE = Outcome()


def scheduler(**more):
    return record(PODS, pod("c-scheduler", component="scheduler", owner=OWNER, **more))


def crashing():
    state = {"waiting": {"reason": "CrashLoopBackOff"}}
    last = {"terminated": {"exitCode": 1, "reason": "Error"}}
    body = pod("c-scheduler", component="scheduler", owner=OWNER)
    body["status"]["containerStatuses"] = [{"name": "scheduler", "state": state, "lastState": last}]
    return record(PODS, body)


def workers(name="c-default", ready=3, replicas=3, degraded=None, seen=1):
    body = group(name, replicas=replicas, ownerReferences=[OWNER])
    found = found_conditions(1, Degraded=(degraded is not None, Finding(degraded or "Healthy", "why")))
    body["status"] = {
        "replicas": replicas,
        "readyReplicas": ready,
        "observedGeneration": seen,
        "conditions": [condition.to_dict() for condition in found],
    }
    return WorkerGroup.of(record(DASK_WORKER_GROUPS, body))


def reported(*, scheduler=(), service=None, groups=(), outcome=FINE, suspend=False):
    body = cluster()
    body["spec"]["suspend"] = suspend
    parsed = DaskCluster.parse(body)
    observed = Observed(tuple(scheduler), "token", service, tuple(groups), frozenset(), NOW)
    found = conditions(parsed, observed, outcome)
    status = report(parsed, observed, found, None, domain="cluster.local").to_dict()
    status["conditions"] = {each.type: f"{each.status} {each.reason}" for each in found}
    return status


SERVICE = record(SERVICES, service())
REFUSED = Outcome((WriteError(Create(PODS, pod("p")), ApiError(422, "Invalid", "spec.x: no")),))
QUOTA = Outcome((WriteError(Create(PODS, pod("p")), ApiError(403, "Forbidden", "exceeded quota: q")),))
RUNS = scheduler(ready=True)


def balancer(**status):
    body = service()
    body["spec"]["type"] = "LoadBalancer"
    return record(SERVICES, body | {"status": {"loadBalancer": status}})


@pytest.mark.parametrize(
    "observed, phase, numbers, held",
    [
        pytest.param(
            {},
            "Created",
            ("0/3", 0, 0),
            ["SchedulerMissing", "WorkersNotReady", "SchedulerMissing", "SchedulerMissing", "Healthy"],
            id="nothing yet",
        ),
        pytest.param(
            {"scheduler": [scheduler(phase="Pending")], "service": SERVICE, "groups": [workers(ready=0)]},
            "Pending",
            ("0/3", 3, 0),
            ["SchedulerNotReady", "WorkersNotReady", "SchedulerNotReady", "SchedulerNotReady", "Healthy"],
            id="the scheduler starts",
        ),
        pytest.param(
            {"scheduler": [RUNS], "groups": [workers()]},
            "Pending",
            ("3/3", 3, 3),
            ["ServiceMissing", "WorkersReady", "ServiceMissing", "ServiceMissing", "Healthy"],
            id="no service yet",
        ),
        pytest.param(
            {"scheduler": [RUNS], "service": balancer(), "groups": [workers()]},
            "Pending",
            ("3/3", 3, 3),
            ["LoadBalancerPending", "WorkersReady", "LoadBalancerPending", "LoadBalancerPending", "Healthy"],
            id="the load balancer has no address yet",
        ),
        pytest.param(
            {"scheduler": [RUNS], "service": balancer(ingress=[{"ip": "192.0.2.1"}]), "groups": [workers()]},
            "Running",
            ("3/3", 3, 3),
            ["SchedulerReady", "WorkersReady", "Complete", "Complete", "Healthy"],
            id="the load balancer has an address",
        ),
        pytest.param(
            {"scheduler": [RUNS], "service": SERVICE, "groups": [workers(ready=1)]},
            "Running",
            ("1/3", 3, 1),
            ["SchedulerReady", "WorkersNotReady", "WorkersNotReady", "WorkersNotReady", "Healthy"],
            id="workers start",
        ),
        pytest.param(
            {"scheduler": [RUNS], "service": SERVICE, "groups": [workers(), workers("big", 2, 2)]},
            "Running",
            ("5/5", 3, 3),
            ["SchedulerReady", "WorkersReady", "Complete", "Complete", "Healthy"],
            id="complete, with a second group",
        ),
        pytest.param(
            {"scheduler": [RUNS], "service": SERVICE, "groups": [workers(ready=4)]},
            "Running",
            ("4/3", 3, 4),
            ["SchedulerReady", "WorkersReady", "Complete", "Complete", "Healthy"],
            id="scaled down and one still retires",
        ),
        pytest.param(
            {"scheduler": [scheduler(deletion=-9)], "service": SERVICE, "groups": [workers()]},
            "Pending",
            ("3/3", 3, 3),
            ["SchedulerMissing", "WorkersReady", "SchedulerMissing", "SchedulerMissing", "Healthy"],
            id="the scheduler terminates",
        ),
        pytest.param(
            {"scheduler": [crashing()], "service": SERVICE, "groups": [workers(ready=0)]},
            "Pending",
            ("0/3", 3, 0),
            [
                "CrashLoopBackOff",
                "WorkersNotReady",
                "CrashLoopBackOff",
                "CrashLoopBackOff",
                "CrashLoopBackOff",
            ],
            id="the scheduler crashes",
        ),
        pytest.param(
            {
                "scheduler": [RUNS],
                "service": SERVICE,
                "groups": [workers(ready=0, degraded="ImagePullBackOff")],
            },
            "Running",
            ("0/3", 3, 0),
            ["SchedulerReady", "WorkersNotReady", "WorkersNotReady", "ImagePullBackOff", "ImagePullBackOff"],
            id="a group is degraded",
        ),
        pytest.param(
            {"outcome": REFUSED},
            "Error",
            ("0/3", 0, 0),
            ["SchedulerMissing", "WorkersNotReady", "SchedulerMissing", "InvalidSpec", "InvalidSpec"],
            id="the template is refused",
        ),
        pytest.param(
            {"outcome": QUOTA},
            "Created",
            ("0/3", 0, 0),
            ["SchedulerMissing", "WorkersNotReady", "SchedulerMissing", "QuotaExceeded", "QuotaExceeded"],
            id="the quota is exhausted",
        ),
    ],
)
def test_report(observed, phase, numbers, held):
    status = reported(**observed)
    reasons = dict(
        zip(("SchedulerReady", "WorkersReady", "Ready", "Progressing", "Degraded"), held, strict=True)
    )
    assert {kind: value.split()[1] for kind, value in status["conditions"].items()} == reasons
    assert status["phase"] == phase
    assert (status["workers"], status["replicas"], status["readyReplicas"]) == numbers
    holds = {kind for kind, value in status["conditions"].items() if value.startswith("True")}
    degraded = reasons["Degraded"] != "Healthy"
    complete = reasons["Ready"] == "Complete"
    assert holds == {
        *(["SchedulerReady"] if reasons["SchedulerReady"] == "SchedulerReady" else []),
        *(["WorkersReady"] if reasons["WorkersReady"] == "WorkersReady" else []),
        *(["Ready"] if complete else []),
        *(["Degraded"] if degraded else []),
        *([] if complete or degraded else ["Progressing"]),
    }


def test_addresses_follow_the_ports_of_the_service():
    body = cluster()
    parsed = DaskCluster.parse(body)
    observed = Observed((), "token", None, (), frozenset(), NOW)
    status = report(parsed, observed, (), None, domain="example.org")
    assert status.scheduler_address == "tcp://c-scheduler.ns.svc.example.org:8786"
    assert status.dashboard_address == "http://c-scheduler.ns.svc.example.org:8787"
    body["spec"]["scheduler"]["service"]["ports"] = [
        {"name": "tcp-comm", "port": 1},
        {"name": "http-dashboard", "port": 2},
    ]
    status = report(DaskCluster.parse(body), observed, (), None, domain="example.org")
    assert status.scheduler_address.endswith(":1")
    assert status.dashboard_address.endswith(":2")


def test_the_selector_is_that_of_the_default_group():
    status = reported()["selector"]
    assert status == ("dask.org/cluster-name=c,dask.org/workergroup-name=c-default,dask.org/component=worker")


@pytest.mark.parametrize(
    "observed, phase, held",
    [
        pytest.param(
            {"scheduler": [RUNS], "service": SERVICE, "groups": [workers()]},
            "Running",
            ["SchedulerReady", "Suspended", "Suspended", "Suspending", "Healthy"],
            id="all pods exist",
        ),
        pytest.param(
            {
                "scheduler": [scheduler(deletion=-9)],
                "service": SERVICE,
                "groups": [workers(ready=0, replicas=0)],
            },
            "Pending",
            ["Suspended", "Suspended", "Suspended", "Suspending", "Healthy"],
            id="the scheduler terminates",
        ),
        pytest.param(
            {"service": SERVICE, "groups": [workers(ready=0, replicas=0)]},
            "Suspended",
            ["Suspended"] * 4 + ["Healthy"],
            id="suspended",
        ),
        pytest.param({}, "Suspended", ["Suspended"] * 4 + ["Healthy"], id="it never ran"),
    ],
)
def test_suspended(observed, phase, held):
    status = reported(**observed, suspend=True)
    assert status["phase"] == phase
    assert [value.split()[1] for value in status["conditions"].values()] == held
    holds = {kind for kind, value in status["conditions"].items() if value.startswith("True")}
    assert holds == {
        *(["SchedulerReady"] if phase == "Running" else []),
        *(["Progressing"] if phase != "Suspended" else []),
    }


@pytest.mark.parametrize(
    "group, passed_on",
    [
        pytest.param(workers(seen=0), False, id="the group has not looked at it yet"),
        pytest.param(workers(seen=1), True, id="it has been passed on just now"),
    ],
)
def test_an_edit_is_under_way(group, passed_on):
    parsed = DaskCluster.parse(cluster())
    observed = Observed((RUNS,), "token", SERVICE, (group,), frozenset(), NOW)
    found = {each.type: each for each in conditions(parsed, observed, FINE, passed_on=passed_on)}
    assert (found["Progressing"].status, found["Progressing"].reason) == ("True", "Updating")
    assert found["Ready"].status == "True"
