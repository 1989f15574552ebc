"""Which workers to create, patch, retire and delete. Pure; the time and the agent's answers are passed in."""

import dataclasses
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice

from dask_k8s_controller.dask import last_applied
from dask_k8s_controller.dask.pods.template import legacy_command_events
from dask_k8s_controller.dask.workergroup import rollout, surge
from dask_k8s_controller.dask.workergroup.desired import Desired, worker_names
from dask_k8s_controller.dask.workergroup.observe import Observed
from dask_k8s_controller.dask.workergroup.retirement import Retirement, Step
from dask_k8s_controller.dask.workergroup.scale import SLICE, decide, scale_down
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.objects import Body
from dask_k8s_controller.runtime.plan import Delete, Event, Patch, Plan
from dask_k8s_crds import labels


def next_step(
    observed: Observed,
    desired: Desired,
    now: datetime,
    unregistered: Sequence[Record] = (),
    *,
    surge_refused: bool = False,
) -> Step:
    """Return which workers leave next: those that are too many, or else outdated ones.

    Those that ended in order leave anyway: their successors start without the back-off of the kubelet.
    """
    replicas, strategy = desired.replicas, desired.strategy
    if desired.suspended:
        # The scheduler goes too, and with it all data.
        return Step(delete=observed.living)
    if ended := observed.backing_off:
        others = tuple(pod for pod in observed.living if pod.uid not in observed.in_order)
        rest = dataclasses.replace(observed, living=others)
        step = next_step(rest, desired, now, unregistered, surge_refused=surge_refused)
        return dataclasses.replace(step, delete=(*ended, *step.delete))
    if surplus := observed.surplus(surge.limit(observed, replicas, strategy)):
        return scale_down(observed.living, surplus, desired.digest)
    surges = surge.coming(observed, replicas, strategy, now, refused=surge_refused) > replicas
    least = replicas - strategy.unavailable(replicas, surges=surges)
    step = rollout.next_step(observed.living, least, desired.digest, strategy, unregistered=unregistered)
    return dataclasses.replace(rollout.delete_overdue(step, now), surge_refused=surge_refused)


def plan(
    record: Record, observed: Observed, desired: Desired, retirement: Retirement, now: datetime
) -> tuple[Plan, float | None]:
    """Create, delete and patch workers; return also in how many seconds the next reconcile is due."""
    replicas = desired.replicas
    number = replicas if retirement.surge_refused else surge.limit(observed, replicas, desired.strategy)
    scaling = decide(observed, number, now)
    names = worker_names(desired.group, scaling.create, observed.names, observed.doubted)
    create = tuple(desired.creations(names, failures=scaling.failures))
    patch = tuple(islice(edits(observed.living, desired.pod, retirement, now), SLICE))
    delete = tuple(islice(deletions(scaling.finished, retirement.pods), SLICE))
    events: tuple[Event, ...] = ()
    if create and not observed.names:
        template, annotations = desired.group.spec.worker.spec, desired.group.metadata.annotations
        events = legacy_command_events(record.value, template, annotations)
    waits = (
        scaling.look_again,
        retirement.look_again,
        0.0 if SLICE in (len(patch), len(delete)) else None,
        surge.look_again(observed, desired.strategy, now),
    )
    soonest = min((wait for wait in waits if wait is not None), default=None)
    return Plan(create=create, patch=patch, delete=delete, events=events), soonest


def deletions(finished: Sequence[Record], retired: Sequence[Record]) -> Iterator[Delete]:
    """Yield the deletion of each worker that has ended or may leave."""
    for pod in finished:
        yield Delete(pod.key, pod.uid)
    for pod in retired:
        # With the version of one that does not run, the API server refuses it if by now the pod does.
        yield Delete(pod.key, pod.uid, None if pod.value.running else pod.version)


def edits(living: Sequence[Record], example: Body, retirement: Retirement, now: datetime) -> Iterator[Patch]:
    """Yield a patch for each worker whose labels or annotations are not current; its template stays."""
    deleted = {pod.uid for pod in retirement.pods}
    draining = {pod.uid for pod in retirement.draining}
    for pod in living:
        if pod.uid in deleted:
            continue
        patch = last_applied.pod_patch(pod.value.last_applied, pod.value.digest, example)
        if (pod.uid in draining) is (pod.value.draining_since is None):
            # A worker that no longer has to drain may begin again later, with its full time.
            since = now.strftime("%Y-%m-%dT%H:%M:%SZ") if pod.uid in draining else None
            patch.setdefault("annotations", {})[labels.DRAINING_SINCE] = since
        if patch:
            # With the uid, the API server refuses the patch for another pod of the same name.
            yield Patch(pod.key, {"metadata": {"uid": pod.uid, **patch}})
