"""The Job controller: creates pods until a Job has succeeded or failed.

Outcomes are decided in `job_outcome`; pods are created and deleted in `job_pods`.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

from dask_k8s_local.conditions import is_true
from dask_k8s_local.controllers import job_outcome
from dask_k8s_local.controllers.client import ApiClient
from dask_k8s_local.controllers.job_outcome import COMPLETED, TERMINAL, Outcome
from dask_k8s_local.controllers.job_pods import JobPods, is_tracked, owner_of
from dask_k8s_local.events import Recorder
from dask_k8s_local.informer import Change, WorkQueue, run_informer
from dask_k8s_local.resources import JOBS, PODS
from dask_k8s_local.store import Object, Store, StoreError, namespace_of, timestamp

Key = tuple[str, str]


class _Failures(NamedTuple):
    """Failures of a Job in a row, and the time of the last one."""

    number: int = 0
    last: datetime | None = None


class JobController:
    """Controls all Jobs."""

    def __init__(self, store: Store, api: ApiClient) -> None:
        self._store = store
        self._api = api
        self._recorder = Recorder(store, "job-controller")
        self._pods = JobPods(store, api, self._recorder)
        self._queue: WorkQueue[Key] = WorkQueue()
        self._failures: dict[str, _Failures] = {}

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(run_informer(self._store, JOBS, self._job_changed))
            tasks.create_task(run_informer(self._store, PODS, self._pod_changed))
            async for key in self._queue:
                with suppress(StoreError):  # another writer was faster; its change enqueues the Job again
                    self._process(key)

    def _job_changed(self, change: Change) -> None:
        job = change.new or change.old or {}
        self._queue.add((namespace_of(job), job["metadata"]["name"]))
        if change.new is None:
            self._failures.pop(job["metadata"]["uid"], None)
            self._pods.forget(job)

    def _pod_changed(self, change: Change) -> None:
        for pod in (change.old, change.new):
            owner = owner_of(pod) if pod else None
            if pod and owner:
                self._queue.add((namespace_of(pod), owner["name"]))
            elif pod is not None and pod is change.new:
                self._pods.release(pod)

    def _process(self, key: Key) -> None:
        job = self._store.get(JOBS, *key)
        for pod in self._store.list(PODS, key[0]):
            owner = owner_of(pod)
            if owner and owner["name"] == key[1] and (job is None or owner["uid"] != job["metadata"]["uid"]):
                self._pods.release(pod)
        if job is None:
            return
        if job_outcome.condition_of(job, *TERMINAL):
            self._expire(job)
        elif job["metadata"].get("deletionTimestamp"):
            for own in self._pods.of(job):
                self._pods.release(own)
        else:
            self._sync(job)

    def _sync(self, found: Object) -> None:
        """Reconcile the pods and the status of an unfinished Job."""
        now, pods = datetime.now(UTC), self._pods.of(found)
        status: Object = {**found["status"]}
        job: Object = {**found, "status": status}
        if not status.get("startTime") and not job["spec"]["suspend"]:
            status["startTime"] = timestamp(now)
        tracked = [pod for pod in pods if is_tracked(pod)]
        succeeded = [pod for pod in tracked if job_outcome.phase(pod) == "Succeeded"]
        failed = [pod for pod in tracked if job_outcome.has_failed(pod, job)]
        self._record_failures(job, succeeded, failed)
        successes = status.get("succeeded", 0) + len(succeeded)
        failures = status.get("failed", 0) + len(_counted(failed, job))
        end = job_outcome.recorded_outcome(job) or job_outcome.failure(job, pods, failures, now)
        if end is None:
            self._requeue_after(job, job_outcome.deadline(job, now))
            self._manage_pods(job, successes, now)
            active = any(map(job_outcome.is_active, self._pods.of(job)))
            desired = job["spec"].get("completions")
            end = COMPLETED if successes >= (desired or 1) and not active else None
        elif end != COMPLETED:
            for pod in filter(job_outcome.is_active, pods):
                self._pods.delete(job, pod)
            # Pods of a failed Job that have not succeeded count as failed.
            failed = [pod for pod in tracked if pod not in succeeded]
            failures = status.get("failed", 0) + len(_counted(failed, job))
        status |= {"succeeded": successes, "failed": failures}
        for pod in (*succeeded, *failed):
            self._pods.release(pod)
        self._report(job, end)

    def _manage_pods(self, job: Object, successes: int, now: datetime) -> None:
        """Create missing pods, or delete the pods of a suspended Job."""
        spec, pods = job["spec"], self._pods.of(job)
        active = [pod for pod in pods if job_outcome.is_active(pod)]
        if spec["suspend"]:
            for pod in active:
                self._pods.release(pod)
                self._pods.delete(job, pod)
            self._suspend(job, now)
            return
        self._suspend(job, now)
        completions = spec.get("completions")
        desired = spec["parallelism"] if completions is None else completions - successes
        if completions is None and successes:
            desired = len(active)
        ending = sum(map(job_outcome.is_terminating, pods)) if job_outcome.waits_for_termination(job) else 0
        missing = min(desired, spec["parallelism"]) - len(active) - ending
        if missing > 0:
            known = self._failures.get(job["metadata"]["uid"], _Failures())
            if pause := job_outcome.backoff(known.number, known.last, now):
                self._requeue_after(job, pause)
                return
            self._requeue_after(job, self._pods.create(job, missing))

    def _suspend(self, job: Object, now: datetime) -> None:
        """Write the condition Suspended when it changes; resuming resets the start time."""
        status, suspended = job["status"], job["spec"]["suspend"]
        conditions = status.get("conditions") or []
        if suspended == is_true(conditions, "Suspended"):
            return
        reason, message, event = (
            ("JobSuspended", "Job suspended", "Suspended")
            if suspended
            else ("JobResumed", "Job resumed", "Resumed")
        )
        others = [one for one in conditions if one["type"] != "Suspended"]
        status["conditions"] = [*others, _condition("Suspended", reason, message, now, met=suspended)]
        if not suspended:
            status["startTime"] = timestamp(now)
        self._recorder.record(job, "Normal", event, message)

    def _report(self, job: Object, end: Outcome | None) -> None:
        """Write the status; the outcome is final when no pod is terminating."""
        now, pods, status = datetime.now(UTC), self._pods.of(job), job["status"]
        terminating = sum(map(job_outcome.is_terminating, pods))
        active = [pod for pod in pods if job_outcome.is_active(pod)]
        ready = sum(is_true((pod.get("status") or {}).get("conditions"), "Ready") for pod in active)
        conditions = [*(status.get("conditions") or ())]
        if end is not None and not is_true(conditions, end.kind):
            conditions.append(_condition(end.kind, end.reason, end.message, now))
        if end is not None and not terminating:
            conditions.append(_condition(end.terminal, end.reason, end.message, now))
            if end.terminal == "Complete":
                status["completionTime"] = timestamp(now)
                self._recorder.record(job, "Normal", "Completed", "Job completed")
            else:
                self._recorder.record(job, "Warning", end.reason, end.message)
        status |= {"active": len(active), "conditions": conditions}
        written = {key: value for key, value in status.items() if value}
        written |= {"ready": ready, "terminating": terminating, "uncountedTerminatedPods": {}}
        self._store.update(JOBS, {**job, "status": written})

    def _expire(self, job: Object) -> None:
        """Delete a finished Job after its TTL."""
        seconds = job["spec"].get("ttlSecondsAfterFinished")
        end = job_outcome.condition_of(job, *TERMINAL)
        if seconds is None or end is None or job["metadata"].get("deletionTimestamp"):
            return
        age = datetime.now(UTC) - datetime.fromisoformat(end["lastTransitionTime"])
        rest = seconds - age.total_seconds()
        if rest > 0:
            self._requeue_after(job, rest)
            return
        metadata = job["metadata"]
        self._api.delete(JOBS, namespace_of(job), metadata["name"], metadata["uid"], propagation="Foreground")

    def _record_failures(self, job: Object, succeeded: Sequence[Object], failed: Sequence[Object]) -> None:
        """Count failures since the last success, for the back-off."""
        uid = job["metadata"]["uid"]
        known = _Failures() if succeeded else self._failures.get(uid, _Failures())
        if failed:
            last = max(map(job_outcome.ended_at, failed))
            known = _Failures(known.number + len(failed), last)
        self._failures[uid] = known

    def _requeue_after(self, job: Object, seconds: float | None) -> None:
        if seconds is not None:
            key = namespace_of(job), job["metadata"]["name"]
            asyncio.get_running_loop().call_later(max(seconds, 0), partial(self._queue.add, key))


def _counted(failed: Sequence[Object], job: Object) -> list[Object]:
    return [pod for pod in failed if not job_outcome.is_ignored(pod, job)]


def _condition(kind: str, reason: str, message: str, now: datetime, *, met: bool = True) -> Object:
    time = timestamp(now)
    return {
        "type": kind,
        "status": str(met),
        "lastProbeTime": time,
        "lastTransitionTime": time,
        "reason": reason,
        "message": message,
    }
