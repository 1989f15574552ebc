"""A running container's probes and hooks as tasks: when to ask, and what the answers mean for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Protocol

from dask_k8s_local.events import Severity
from dask_k8s_local.kubelet.probes import Probe, Target, Unanswerable, Verdict
from dask_k8s_local.store import Object


class Patient(Protocol):
    """Whoever wants to know."""

    def has_started(self) -> None:
        """Take note that it has started; the other probes begin."""

    def is_ready(self, ready: bool) -> None:  # noqa: FBT001  # that is the message
        """Take note whether it is ready."""

    def is_ill(self, grace: float | None, why: str) -> None:
        """End it, so that it is started anew."""

    def event(self, severity: Severity, reason: str, message: str) -> None:
        """Tell the user."""


class Health:
    """Asks a container from its start to its end."""

    def __init__(self, spec: Object, target: Target, patient: Patient) -> None:
        self._spec = spec
        self._target = target
        self._patient = patient
        self._started = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def begin(self) -> None:
        """Ask from now on."""
        judges: dict[str, Callable[[Verdict], bool]] = {
            "startupProbe": self._judge_startup,
            "livenessProbe": self._judge_liveness,
            "readinessProbe": self._judge_readiness,
        }
        self._started.clear()
        if "startupProbe" not in self._spec:
            self._started.set()
        for kind, judge in judges.items():
            if self._spec.get(kind):
                self._task(kind, self._probe(kind, judge))
        if hook := self._hook("postStart"):
            self._task("postStart", self._post_start(hook))

    def leave_alone(self) -> None:
        """Ask no more whether it lives: it is about to end."""
        for kind in ("livenessProbe", "startupProbe"):
            if task := self._tasks.pop(kind, None):
                task.cancel()

    def end(self) -> None:
        """Ask nothing any more."""
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    def before_stop(self, grace: float, then: Callable[[], None]) -> None:
        """Run the preStop hook, if there is one and time for it, and then this."""
        self._task("preStop", self._pre_stop(grace, then))

    def _task(self, kind: str, work: Coroutine[None, None, None]) -> None:
        self._tasks[kind] = asyncio.get_running_loop().create_task(work)

    def _hook(self, kind: str) -> Object | None:
        hooks: Object = self._spec.get("lifecycle") or {}
        return hooks.get(kind)

    async def _probe(self, kind: str, judge: Callable[[Verdict], bool]) -> None:
        probe = Probe.parse(self._spec[kind])
        title = kind.removesuffix("Probe").capitalize()
        await asyncio.sleep(probe.initial_delay)
        if kind != "startupProbe":
            await self._started.wait()
        try:
            await probe.run(
                self._target,
                judge,
                lambda problem: self._patient.event(
                    "Warning", "Unhealthy", f"{title} probe failed: {problem}"
                ),
            )
        except Unanswerable as error:
            self._patient.event("Warning", "Unhealthy", f"{title} probe errored: {error}")

    def _judge_readiness(self, verdict: Verdict) -> bool:
        self._patient.is_ready(verdict == "Success")
        return True

    def _judge_startup(self, verdict: Verdict) -> bool:
        if verdict == "Failure":
            return self._replace("startup")
        self._started.set()
        self._patient.has_started()
        return False

    def _judge_liveness(self, verdict: Verdict) -> bool:
        return verdict == "Success" or self._replace("liveness")

    def _replace(self, kind: str) -> bool:
        grace = self._spec[f"{kind}Probe"].get("terminationGracePeriodSeconds")
        why = f"Container {self._spec['name']} failed {kind} probe, will be restarted"
        self._patient.is_ill(grace, why)
        return False  # not asked again

    async def _post_start(self, hook: Object) -> None:
        with contextlib.suppress(Unanswerable):
            problem = await self._target.ask(hook, timeout=None)
            if problem is not None:
                self._patient.event("Warning", "FailedPostStartHook", f"PostStartHook failed: {problem}")
                self._patient.is_ill(None, "FailedPostStartHook")

    async def _pre_stop(self, grace: float, then: Callable[[], None]) -> None:
        hook = self._hook("preStop")
        if grace and hook:
            with contextlib.suppress(Unanswerable):
                problem = await self._target.ask(hook, grace)
                if problem is not None:
                    self._patient.event("Warning", "FailedPreStopHook", f"PreStopHook failed: {problem}")
        then()
