"""A running container's probes and hooks as tasks: when to ask, and what the answers mean for it."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Protocol

from dask_k8s_local.events import Severity
from dask_k8s_local.kubelet.probes import Probe, ProbeError, ProbeResult, Target
from dask_k8s_local.store import Object


class HealthListener(Protocol):
    """Whoever wants to know."""

    def on_started(self) -> None:
        """Take note that it has started; the other probes begin."""

    def on_ready(self, ready: bool) -> None:  # noqa: FBT001  # that is the message
        """Take note whether it is ready."""

    def restart(self, grace: float | None, why: str) -> None:
        """End it, so that it is started anew."""

    def event(self, severity: Severity, reason: str, message: str) -> None:
        """Tell the user."""


class Health:
    """Asks a container from its start to its end."""

    def __init__(self, spec: Object, target: Target, listener: HealthListener) -> None:
        self._spec = spec
        self._target = target
        self._listener = listener
        self._started = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def begin(self) -> None:
        """Ask from now on."""
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
            return self._replace("startup")
        self._started.set()
        self._listener.on_started()
        return False

    def _on_liveness_result(self, result: ProbeResult) -> bool:
        return result == "Success" or self._replace("liveness")

    def _replace(self, kind: str) -> bool:
        grace = self._spec[f"{kind}Probe"].get("terminationGracePeriodSeconds")
        why = f"Container {self._spec['name']} failed {kind} probe, will be restarted"
        self._listener.restart(grace, why)
        return False  # not asked again

    async def _post_start(self, hook: Object) -> None:
        with contextlib.suppress(ProbeError):
            problem = await self._target.ask(hook, timeout=None)
            if problem is not None:
                self._listener.event("Warning", "FailedPostStartHook", f"PostStartHook failed: {problem}")
                self._listener.restart(None, "FailedPostStartHook")

    async def _pre_stop(self, grace: float, then: Callable[[], None]) -> None:
        hook = self._hook("preStop")
        if grace and hook:
            with contextlib.suppress(ProbeError):
                problem = await self._target.ask(hook, grace)
                if problem is not None:
                    self._listener.event("Warning", "FailedPreStopHook", f"PreStopHook failed: {problem}")
        then()
