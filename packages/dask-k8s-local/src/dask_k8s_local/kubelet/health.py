"""Runs the probes and hooks of a running container and reports the results to a listener.

Stops no processes.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Protocol

from dask_k8s_local.events import Severity
from dask_k8s_local.kubelet.probes import Probe, ProbeError, ProbeResult, Target
from dask_k8s_local.store import Object


class HealthListener(Protocol):
    """Receives the results of probes and hooks."""

    def on_started(self) -> None:
        """Handle a successful startup probe."""

    def on_ready(self, ready: bool) -> None:  # noqa: FBT001  # the result of the probe
        """Handle a result of the readiness probe."""

    def restart(self, grace: float | None, why: str) -> None:
        """Stop the container so that it is restarted."""

    def event(self, severity: Severity, reason: str, message: str) -> None:
        """Record an Event."""


class Health:
    """The probes and hooks of a container during one run."""

    def __init__(self, spec: Object, target: Target, listener: HealthListener) -> None:
        self._spec = spec
        self._target = target
        self._listener = listener
        self._started = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def begin(self) -> None:
        """Start the probes and the postStart hook."""
        handlers: dict[str, Callable[[ProbeResult], bool]] = {
            "startupProbe": self._on_startup_result,
            "livenessProbe": self._on_liveness_result,
            "readinessProbe": self._on_readiness_result,
        }
        self._started.clear()
        if "startupProbe" not in self._spec:
            self._started.set()
        for kind, on_result in handlers.items():
            if self._spec.get(kind):
                self._task(kind, self._probe(kind, on_result))
        if hook := self._hook("postStart"):
            self._task("postStart", self._post_start(hook))

    def stop_probing_liveness(self) -> None:
        """Stop startup and liveness probes, because the container is being stopped."""
        for kind in ("livenessProbe", "startupProbe"):
            if task := self._tasks.pop(kind, None):
                task.cancel()

    def end(self) -> None:
        """Cancel all probes and hooks."""
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    def before_stop(self, grace: float, then: Callable[[], None]) -> None:
        """Run the preStop hook, if there is one and a grace period, then call `then`."""
        self._task("preStop", self._pre_stop(grace, then))

    def _task(self, kind: str, work: Coroutine[None, None, None]) -> None:
        self._tasks[kind] = asyncio.get_running_loop().create_task(work)

    def _hook(self, kind: str) -> Object | None:
        hooks: Object = self._spec.get("lifecycle") or {}
        return hooks.get(kind)

    async def _probe(self, kind: str, on_result: Callable[[ProbeResult], bool]) -> None:
        probe = Probe.parse(self._spec[kind])
        title = kind.removesuffix("Probe").capitalize()
        await asyncio.sleep(probe.initial_delay)
        if kind != "startupProbe":
            await self._started.wait()
        try:
            await probe.run(
                self._target,
                on_result,
                lambda problem: self._listener.event(
                    "Warning", "Unhealthy", f"{title} probe failed: {problem}"
                ),
            )
        except ProbeError as error:
            self._listener.event("Warning", "Unhealthy", f"{title} probe errored: {error}")

    def _on_readiness_result(self, result: ProbeResult) -> bool:
        self._listener.on_ready(result == "Success")
        return True

    def _on_startup_result(self, result: ProbeResult) -> bool:
        if result == "Failure":
            return self._restart("startup")
        self._started.set()
        self._listener.on_started()
        return False

    def _on_liveness_result(self, result: ProbeResult) -> bool:
        return result == "Success" or self._restart("liveness")

    def _restart(self, kind: str) -> bool:
        grace = self._spec[f"{kind}Probe"].get("terminationGracePeriodSeconds")
        why = f"Container {self._spec['name']} failed {kind} probe, will be restarted"
        self._listener.restart(grace, why)
        return False  # ends the probe

    async def _post_start(self, hook: Object) -> None:
        with contextlib.suppress(ProbeError):
            problem = await self._target.execute_handler(hook, timeout=None)
            if problem is not None:
                self._listener.event("Warning", "FailedPostStartHook", f"PostStartHook failed: {problem}")
                self._listener.restart(None, "FailedPostStartHook")

    async def _pre_stop(self, grace: float, then: Callable[[], None]) -> None:
        hook = self._hook("preStop")
        if grace and hook:
            with contextlib.suppress(ProbeError):
                problem = await self._target.execute_handler(hook, grace)
                if problem is not None:
                    self._listener.event("Warning", "FailedPreStopHook", f"PreStopHook failed: {problem}")
        then()
