"""Runs one container: image checks, start, probes, termination and restarts. `pod` publishes its record."""

import asyncio
import contextlib
import itertools
import os
import signal
from collections.abc import Sequence

from dask_k8s_local.events import Severity
from dask_k8s_local.kubelet.backoff import Backoff, format_duration
from dask_k8s_local.kubelet.exec import Standard, output_of
from dask_k8s_local.kubelet.health import Health
from dask_k8s_local.kubelet.images import pull_error
from dask_k8s_local.kubelet.logs import Log
from dask_k8s_local.kubelet.pod_context import Executable, PodContext
from dask_k8s_local.kubelet.probes import Target
from dask_k8s_local.kubelet.runtime.client import CannotStart, Supervised
from dask_k8s_local.kubelet.sources import MissingReference
from dask_k8s_local.kubelet.status import ContainerRun, Record, Termination
from dask_k8s_local.kubelet.volumes import CannotMount
from dask_k8s_local.store import Object, timestamp

_EPOCH = "1970-01-01T00:00:00Z"
_RECHECK_SECONDS = 10.0
_PULL_SECONDS = 1.0
_DRAIN_SECONDS = 1.0
_CANNOT_CREATE = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: "
    "runc create failed: unable to start container process: "
)


class Container:
    """One container of a pod."""

    def __init__(self, spec: Object, context: PodContext, record: Record) -> None:
        self.spec = spec
        self.record = record
        self.logs: list[Log] = []
        self.start_next = asyncio.Event()
        """Set when the next init container can start, after a sidecar has started."""
        self._context = context
        self._stopping = asyncio.Event()
        self._grace = 0.0
        self._numbers = itertools.count()
        self._process: Supervised | None = None
        self._executable: Executable | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._restarts = Backoff(context.first_backoff)
        self._pulls = Backoff(context.first_backoff)
        target = Target(spec, context.address, context.http, lambda argv: output_of(self, argv))
        self._health = Health(spec, target, self)

    async def run(self) -> None:
        """Run the container, and restart it as its policy says, until it is finished."""
        while not self._stopping.is_set():
            if not await self._pull():
                continue
            executable = await self._executable_or_wait()
            if executable is None:
                continue
            code = await self._run_once(executable)
            if self._stopping.is_set() or not self.record.restarts_after(code):
                break
            await self._back_off()
        self.start_next.set()

    def stop(self, grace: float) -> None:
        """Stop for good: preStop and SIGTERM now, SIGKILL after the grace period. Later calls shorten it."""
        again, self._grace = self._stopping.is_set(), grace
        self._stopping.set()
        self._health.stop_probing_liveness()
        if self._process is not None and again:
            self._kill_after(self._process, grace)
        elif self._process is not None:
            self._end(self._process, grace, f"Stopping container {self.spec['name']}")

    async def execute(self, argv: Sequence[str], standard: Standard, *, tty: bool) -> Supervised:
        """Start another command in the running container; raises CannotStart."""
        if self._executable is None or not self.record.running:
            raise CannotStart(f'container not found ("{self.spec["name"]}")')
        return await self._context.runtime.spawn(
            self._executable.with_args(argv, main=False, tty=tty), *standard
        )

    # Callbacks of Health

    def on_started(self) -> None:
        """Record that the startup probe has succeeded."""
        self.record.started = True
        self.start_next.set()
        self._context.publish()

    def on_ready(self, ready: bool) -> None:  # noqa: FBT001  # see `HealthListener`
        """Record the result of the readiness probe."""
        if self.record.probed_ready != ready:
            self.record.probed_ready = ready
            self._context.publish()

    def restart(self, grace: float | None, why: str) -> None:
        """Stop the current run."""
        if self._process is not None:
            self._end(self._process, self._context.grace if grace is None else grace, why)

    def event(self, severity: Severity, reason: str, message: str) -> None:
        """Record an Event about the container."""
        kind = "initContainers" if self.record.initial else "containers"
        path = f"spec.{kind}{{{self.spec['name']}}}"
        self._context.recorder.record(self._context.pod, severity, reason, message, field_path=path)

    # Before the start

    async def _pull(self) -> bool:
        image = self.spec["image"]
        error = pull_error(image)
        if error is None:
            self.event("Normal", "Pulled", f'Container image "{image}" already present on machine')
            return True
        if error.reason == "InvalidImageName":
            self._wait_for(error.reason, error.message)
            self.event("Warning", "InspectFailed", error.message)
            self.event("Warning", "Failed", f"Error: {error.reason}")
            await self._pause(_RECHECK_SECONDS)
            return False
        self.event("Normal", "Pulling", f'Pulling image "{image}"')
        self._wait_for(error.reason, error.message)
        self.event("Warning", "Failed", f'Failed to pull image "{image}": {error.message}')
        self.event("Warning", "Failed", f"Error: {error.reason}")
        await self._pause(_PULL_SECONDS)
        back_off = f'Back-off pulling image "{image}"'
        self._wait_for("ImagePullBackOff", f"{back_off}: {error.reason}: {error.message}")
        self.event("Normal", "BackOff", back_off)
        self.event("Warning", "Failed", "Error: ImagePullBackOff")
        await self._pause(self._pulls.next(asyncio.get_running_loop().time()) or self._context.first_backoff)
        return False

    async def _executable_or_wait(self) -> Executable | None:
        """Return what to execute; if something is missing, report it, wait, and return None."""
        try:
            return self._context.executable(self.spec)
        except (MissingReference, CannotMount) as error:
            reason, message = "CreateContainerConfigError", str(error)
        except CannotStart as error:
            reason, message = "CreateContainerError", str(error)
        if self.record.waiting != (reason, message):
            self._wait_for(reason, message)
            self.event("Warning", "Failed", f"Error: {message}")
        self._context.referenced_changed.clear()
        await self._pause(_RECHECK_SECONDS, self._context.referenced_changed)
        return None

    async def _back_off(self) -> None:
        delay = self._restarts.next(asyncio.get_running_loop().time())
        if not delay:
            return
        name, pod = self.spec["name"], self._context.full_name
        message = f"back-off {format_duration(delay)} restarting failed container={name} pod={pod}"
        self._wait_for("CrashLoopBackOff", message)
        self.event("Warning", "BackOff", f"Back-off restarting failed container {name} in pod {pod}")
        await self._pause(delay)

    def _wait_for(self, reason: str, message: str) -> None:
        self.record.set_waiting(reason, message)
        self._context.publish()

    async def _pause(self, seconds: float, other: asyncio.Event | None = None) -> None:
        """Wait until the time is over, the container is stopped, or the other event is set."""
        events = [event for event in (self._stopping, other) if event is not None]
        waits = [asyncio.ensure_future(event.wait()) for event in events]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    # One run of the container

    async def _run_once(self, executable: Executable) -> int:
        name = self.spec["name"]
        run = ContainerRun(next(self._numbers), f"local://{executable.command.container}")
        log = Log(self._context.directory / "logs" / name / f"{run.number}.log")
        self.logs = [*self.logs[-1:], log]
        self._executable = executable
        self.event("Normal", "Created", f"Created container: {name}")
        started = timestamp()
        try:
            process = self._process = await self._spawn(executable, log)
        except CannotStart as error:
            problem = f"{_CANNOT_CREATE}{error}"
            self.event("Warning", "Failed", f"Error: {problem}")
            self._terminated(run, 128, "StartError", problem, _EPOCH)
            return 128
        self.event("Normal", "Started", f"Started container {name}")
        self._running(run, started)
        try:
            code = await process.wait()
        finally:  # also if the kubelet stops before its processes
            self._process = None
            self._health.end()
            for timer in self._timers:
                timer.cancel()
            self._timers.clear()
        await self._complete(log)
        reason = "Error" if code else "Completed"
        if self._context.runtime.was_out_of_memory(executable.command.container):
            reason = "OOMKilled"
        use_log = code and self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        self._terminated(run, code, reason, log.tail() if use_log else "", started)
        return code

    async def _spawn(self, executable: Executable, log: Log) -> Supervised:
        null = os.open(os.devnull, os.O_RDONLY)
        stdout, stderr = await log.pipe(), await log.pipe()
        try:
            return await self._context.runtime.spawn(executable.command, null, stdout, stderr)
        finally:
            for fd in (null, stdout, stderr):
                os.close(fd)

    def _running(self, run: ContainerRun, started: str) -> None:
        record = self.record
        record.set_running(run, started, is_ready="readinessProbe" not in self.spec)
        if "startupProbe" not in self.spec:
            self.on_started()
        else:
            self._context.publish()
        if self._stopping.is_set() and self._process is not None:
            self._end(self._process, self._grace, f"Stopping container {self.spec['name']}")
        else:
            self._health.begin()

    @staticmethod
    async def _complete(log: Log) -> None:
        """Wait for the rest of the output, but not for ever: a detached process can keep the pipes open."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                await log.complete.wait()
        log.close()

    def _terminated(self, run: ContainerRun, code: int, reason: str, message: str, started: str) -> None:
        self.record.set_terminated(
            run,
            Termination(
                code=code,
                reason=reason,
                message=message,
                started=started,
                finished=timestamp(),
                container_id=run.container_id,
            ),
        )
        self._context.publish()

    def _end(self, process: Supervised, grace: float, why: str) -> None:
        self.event("Normal", "Killing", why)
        self._kill_after(process, grace)
        self._health.before_stop(grace, lambda: process.signal(signal.SIGTERM))

    def _kill_after(self, process: Supervised, grace: float) -> None:
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(grace, process.signal, signal.SIGKILL))
