"""What the workspace's `docs/status.md` says of clusters and groups: phases, conditions, reasons.

All situations of a cluster that are a few single steps away from its creation are visited, and reported.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest

from dask_k8s_controller.dask.cluster import agent, idle
from dask_k8s_controller.dask.cluster.observe import Observed, OwnerJob, WorkerGroup
from dask_k8s_controller.dask.cluster.status import conditions, report
from dask_k8s_controller.dask.findings import Finding
from dask_k8s_controller.dask.findings import conditions as found_conditions
from dask_k8s_controller.dask.scheduler.answers import AgentError
from dask_k8s_controller.dask.workergroup import observe, status
from dask_k8s_controller.dask.workergroup.desired import Desired
from dask_k8s_controller.dask.workergroup.retirement import Retirement
from dask_k8s_controller.runtime.plan import Create
from dask_k8s_controller.runtime.results import Outcome, WriteError
from dask_k8s_crds import Condition, DaskCluster, DaskWorkerGroup, labels
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.object_size import SIZE_MAX
from dask_k8s_crds.resources import DASK_WORKER_GROUPS, PODS, SERVICES

from .builders import NOW, cluster, group, owned_by, pod, record, service

PAGE = Path(__file__).parents[3] / "docs/status.md"
OWNER = owned_by("DaskCluster", "c", "uid-of-cluster")
FINE = Outcome()
REFUSED = Outcome((WriteError(Create(PODS, pod("p")), ApiError(422, "Invalid", "spec.x: no")),))


def rows(heading):
    """The table below a heading of the page: of each cell the code."""
    page = PAGE.read_text(encoding="utf-8")
    (below,) = re.findall(rf"^### {heading}\n(.*?)(?=^#|\Z)", page, re.MULTILINE | re.DOTALL)
    lines = [line.strip("|").split("|") for line in below.splitlines() if line.startswith("|")][2:]
    return [[re.findall(r"`(\w+)`", cell) for cell in cells] for cells in lines]


def conditions_of(kind):
    return {word for (word,), *_ in rows(f"Conditions of a {kind}")}


def documented(heading):
    """Pairs of condition and reason."""
    return {
        (kind, reason) for reasons, kinds, *_ in rows(heading) for reason, kind in product(reasons, kinds)
    }


TROUBLE = {reason for reasons, *_ in rows("Reasons of trouble") for reason in reasons}


class Situation(NamedTuple):
    """What exists of a cluster."""

    scheduler: str = "none"
    service: str = "none"
    workers: str = "none"
    suspend: str = "no"
    spec: str = "good"
    job: str = "none"


STEPS = {
    "scheduler": {
        "none": ["starts"],
        "starts": ["ready", "crashes", "terminates", "none"],
        "ready": ["starts", "crashes", "terminates", "none"],
        "crashes": ["ready", "terminates"],
        "terminates": ["none"],
    },
    "service": {"none": ["waits", "there"], "waits": ["there"], "there": ["waits", "none"]},
    "workers": {
        "none": ["start"],
        "start": ["ready", "troubled", "none"],
        "ready": [
            "start",
            "edited",
            "Retiring",
            "RollingUpdate",
            "SurgeRefused",
            "WaitingForSuccessors",
            "WorkersNotRegistered",
            "WorkersStuck",
            "none",
        ],
        "troubled": ["ready", "none"],
    },
    "suspend": {"no": ["yes"], "yes": ["no"]},
    "spec": {"good": ["refused"], "refused": ["good"]},
    "job": {"none": ["active"], "active": ["finished"]},
}
"""What can become of what, one step at a time."""


def next_ones(now: Situation) -> Iterator[Situation]:
    for field, steps in STEPS.items():
        for value in steps.get(getattr(now, field), ()):
            made = field in {"scheduler", "workers"} and getattr(now, field) == "none"
            if not (made and now.suspend == "yes"):  # a cluster that rests makes none
                yield now._replace(**{field: value})


def scheduler_of(now: Situation):
    body = pod("c-scheduler", component=labels.SCHEDULER, owner=OWNER, ready=now.scheduler == "ready")
    if now.scheduler == "terminates":
        body["metadata"]["deletionTimestamp"] = body["metadata"]["creationTimestamp"]
    if now.scheduler == "crashes":
        waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
        body["status"]["containerStatuses"] = [{"name": "dask", "state": waiting}]
    return () if now.scheduler == "none" else (record(PODS, body),)


def service_of(now: Situation):
    body = service()
    if now.service == "waits":
        body["spec"]["type"] = "LoadBalancer"
    return None if now.service == "none" else record(SERVICES, body)


def group_of(now: Situation):
    body = group(replicas=3, ownerReferences=[OWNER])
    rollout = now.workers not in {"none", "start", "ready", "edited", "troubled"}
    found = found_conditions(
        1,
        Progressing=(rollout, Finding(now.workers if rollout else "Scaling", "…")),
        Degraded=(now.workers == "troubled", Finding("Unschedulable", "…")),
    )
    body["status"] = {
        "replicas": 0 if now.workers == "none" else 3,
        "readyReplicas": 0 if now.workers in {"none", "start", "troubled"} else 3,
        "observedGeneration": 0 if now.workers == "edited" else 1,
        "conditions": [condition.to_dict() for condition in found],
    }
    return WorkerGroup.of(record(DASK_WORKER_GROUPS, body))


def reported(now: Situation):
    """The phase, and the conditions with their reasons."""
    body = cluster()
    body["spec"] |= {"suspend": now.suspend == "yes", "idleTimeout": 600}
    job = {"active": OwnerJob("demo", None), "finished": OwnerJob("demo", NOW)}.get(now.job)
    parsed = DaskCluster.parse(body)
    observed = Observed(
        scheduler_of(now), "token", service_of(now), (group_of(now),), frozenset(), NOW, job=job
    )
    found = conditions(parsed, observed, REFUSED if now.spec == "refused" else FINE)
    phase = report(parsed, observed, found, None, domain="cluster.local").phase
    return phase, {(each.type, each.reason) for each in found}


@pytest.fixture(scope="module")
def world():
    """All situations that can be reached, by what is reported of them."""
    found, new = {}, [Situation()]
    while new:
        now = new.pop()
        if now not in found:
            found[now] = reported(now)
            new += next_ones(now)
    return found


def test_phases_of_a_cluster(world):
    steps = {(world[now][0], world[then][0]) for now in world for then in next_ones(now)}
    page = {(phase, after) for (phase,), _, nexts in rows("Phases of a DaskCluster") for after in nexts}
    assert {(before, after) for before, after in steps if before != after} == page


def without_trouble(pairs):
    """Trouble stands in `Degraded`, and is repeated in others; the page says so once."""
    return {(kind, reason) for kind, reason in pairs if reason not in TROUBLE}


def silent_scheduler():
    """The conditions of a cluster that is ready and whose scheduler does not say whether it is idle."""
    ready = Situation(scheduler="ready", service="there", workers="ready")
    observed = Observed(scheduler_of(ready), "token", service_of(ready), (group_of(ready),), frozenset(), NOW)
    unknown = idle.unknown(AgentError("AgentMissing", "…"), None).unknown
    found = conditions(DaskCluster.parse(cluster()), observed, FINE, idleness_unknown=unknown)
    return {(each.type, each.reason) for each in found}


def foreign_scheduler():
    """The conditions of a cluster whose scheduler has another token, or had one before."""
    parsed, [own] = DaskCluster.parse(cluster()), scheduler_of(Situation(scheduler="ready"))
    other, older = own._replace(value=replace(own.value, agent_secret="other")), NOW - timedelta(days=1)
    before = Condition(type="TokenMismatch", status="True", last_transition_time=older)
    observed = (
        Observed((pod,), "token", None, (), frozenset(), since, mismatch=before)
        for pod, since in [(other, NOW), (other, older), (own, NOW)]
    )
    return {(each.type, each.reason) for now in observed for each in agent.token_conditions(parsed, now)}


def test_reasons_of_a_cluster(world):
    pairs = set().union(*(found for _, found in world.values()), silent_scheduler(), foreign_scheduler())
    assert without_trouble(pairs) == documented("Reasons of a DaskCluster")
    assert {kind for kind, _ in pairs} == conditions_of("DaskCluster")
    repeating = {kind for kind, _ in pairs - without_trouble(pairs)}
    assert repeating == {"SchedulerReady", "Ready", "Progressing", "Degraded", "TokenMismatch"}


def test_the_largest_size_of_an_object():
    assert f"at most {SIZE_MAX // 1024} KiB as JSON" in PAGE.read_text(encoding="utf-8")


def test_reasons_of_a_group():
    parsed = DaskWorkerGroup.parse(group(replicas=2))
    desired = Desired(parsed, DaskCluster.parse(cluster()), "cluster.local")
    stays = [
        *("SchedulerUnreachable", "SchedulerSilent", "Unauthorized", "AgentMissing", "BadAnswer"),
        *("Retiring", "SurgeRefused", "WaitingForSuccessors", "WorkersNotRegistered", "WorkersStuck"),
    ]
    retirements = [Retirement(), *(Retirement(retiring=1, finding=Finding(reason, "…")) for reason in stays)]
    old = {labels.TEMPLATE_DIGEST: "old"}
    workers = [
        [],
        [pod("a", ready=True), pod("b", phase="Pending")],
        [pod("a", ready=True), pod("b", ready=True)],
        [pod("a", ready=True, annotations=old), pod("b", ready=True)],
        [pod("a", ready=True), pod("b", phase="Failed")],
        [pod("a", ready=True), pod("b", phase="Succeeded")],
    ]
    found = [*status.waiting(parsed)]
    for bodies, outcome, each in product(workers, (FINE, REFUSED), retirements):
        observed = observe.Observed.of_pods([record(PODS, body) for body in bodies], digest="new")
        found += status.running(desired, observed, outcome, each, NOW)
        found += status.suspended(parsed, observed, outcome)
    pairs = {(each.type, each.reason) for each in found}
    assert without_trouble(pairs) == documented("Reasons of a DaskWorkerGroup")
    assert {kind for kind, _ in pairs - without_trouble(pairs)} == conditions_of("DaskWorkerGroup")
