"""Runs one pod: volumes, init containers, containers, status and deletion. Each pod has one task."""

import asyncio
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from dask_k8s_local.kubelet.container import Container
from dask_k8s_local.kubelet.pod_context import PodContext
from dask_k8s_local.kubelet.status import PodFacts, Record, pod_status
from dask_k8s_local.kubelet.volumes import CannotMount
from dask_k8s_local.resources import PODS
from dask_k8s_local.store import Conflict, NotFound, Object, Store, namespace_of

_RECHECK_SECONDS = 10.0
_REMOVED_GRACE_SECONDS = 2.0
_DEADLINE = "Pod was active on the node longer than the specified deadline"


class PodRunner:
    """Runs a pod from binding until it is removed from the store."""

    def __init__(self, store: Store, context: PodContext, facts: PodFacts) -> None:
        self.context = context
        self._store = store
        self._facts = facts
        self._stop_at: float | None = None
        self._removed = False
        self._changed = asyncio.Event()
        spec = context.pod["spec"]
        initial = spec.get("initContainers") or ()
        self._initial = [self._container(one, initial=True) for one in initial]
        self._main = [self._container(one, initial=False) for one in spec["containers"]]
        context.publish = self.publish

    def container(self, name: str) -> Container | None:
        """Return a container by its name."""
        return next((one for one in (*self._main, *self._initial) if one.spec["name"] == name), None)

    async def run(self) -> None:
        """Run the pod; returns when its processes have ended and it has been removed."""
        loop = asyncio.get_running_loop()
        self.update(self.context.pod)
        seconds = self.context.pod["spec"].get("activeDeadlineSeconds")
        deadline = loop.call_later(seconds, self._fail, "DeadlineExceeded", _DEADLINE) if seconds else None
        try:
            await self._work()
        finally:
            if deadline:
                deadline.cancel()
        self._facts = replace(self._facts, ending=True)
        self.publish()
        while not self._removed and not self.context.pod["metadata"].get("deletionTimestamp"):
            self._changed.clear()
            await self._changed.wait()
        self._remove()
        await asyncio.to_thread(shutil.rmtree, self.context.directory, ignore_errors=True)

    def update(self, pod: Object) -> None:
        """Use a new version of the pod; stop it if it is being deleted."""
        self.context.pod = self.context.sources.pod = pod
        self._changed.set()
        if pod["metadata"].get("deletionTimestamp"):
            self._stop(float(pod["metadata"].get("deletionGracePeriodSeconds") or 0))
        self.publish()  # other writers can change conditions that count, such as readiness gates

    def removed(self) -> None:
        """Stop everything, because the pod was removed from the store."""
        self._removed = True
        self._changed.set()
        self._stop(_REMOVED_GRACE_SECONDS)

    def abandon(self) -> None:
        """Stop everything at once, after a bug."""
        self._stop(0.0)

    def refresh(self) -> None:
        """Read ConfigMaps and Secrets again."""
        self.context.referenced_changed.set()
        with suppress(CannotMount):  # keep the old contents
            self.context.volumes.refresh()

    def publish(self) -> None:
        """Write the status if it has changed."""
        metadata = self.context.pod["metadata"]
        current = self._store.get(PODS, metadata["namespace"], metadata["name"])
        if current is None or current["metadata"]["uid"] != metadata["uid"]:
            return
        records = [one.record for one in (*self._initial, *self._main)]
        self._store.update(PODS, {**current, "status": pod_status(current, records, self._facts)})

    def _container(self, spec: Object, *, initial: bool) -> Container:
        policy = spec.get("restartPolicy") or self.context.pod["spec"].get("restartPolicy", "Always")
        if initial and not spec.get("restartPolicy") and policy == "Always":
            policy = "OnFailure"  # an init container is not restarted after success
        waits = self.context.pod["spec"].get("initContainers")
        record = Record(
            name=spec["name"],
            image=spec["image"],
            restart_policy=policy,
            initial=initial,
            waiting=("PodInitializing" if waits else "ContainerCreating", ""),
        )
        return Container(spec, self.context, record)

    async def _work(self) -> None:
        """Run all containers until they are finished, together with sidecars."""
        if not await self._prepare_volumes():
            return
        async with asyncio.TaskGroup() as tasks:
            sidecars: list[Container] = []
            if await self._initialize(tasks, sidecars) and self._stop_at is None:
                async with asyncio.TaskGroup() as main:
                    for container in self._main:
                        main.create_task(container.run())
            self._stop_all(sidecars)

    async def _prepare_volumes(self) -> bool:
        """Wait until all volumes are ready; return False if the pod is stopped before."""
        reported = ""
        while self._stop_at is None:
            self.context.referenced_changed.clear()
            try:
                self.context.volumes.prepare()
                return True
            except CannotMount as error:
                if str(error) != reported:
                    reported = str(error)
                    self.context.recorder.record(self.context.pod, "Warning", "FailedMount", reported)
            with suppress(TimeoutError):
                async with asyncio.timeout(_RECHECK_SECONDS):
                    await self.context.referenced_changed.wait()
        return False

    async def _initialize(self, tasks: asyncio.TaskGroup, sidecars: list[Container]) -> bool:
        """Run the init containers one after the other; return whether all have succeeded."""
        for container in self._initial:
            if self._stop_at is not None:
                return False
            if container.record.sidecar:
                sidecars.append(container)
                tasks.create_task(container.run())
                await container.start_next.wait()
            else:
                await container.run()
                if not container.record.ready:
                    return False
        return True

    def _fail(self, reason: str, message: str) -> None:
        self._facts = replace(self._facts, reason=reason, message=message)
        self.context.recorder.record(self.context.pod, "Normal", reason, message)
        self.publish()
        self._stop(self.context.grace)

    def _stop(self, grace: float) -> None:
        """Stop everything within the grace period; later calls only shorten it."""
        loop = asyncio.get_running_loop()
        if self._stop_at is not None and self._stop_at <= loop.time() + grace:
            return
        self._stop_at = loop.time() + grace
        self._facts = replace(self._facts, ending=True)
        self.context.referenced_changed.set()
        regular = [one for one in self._initial if not one.record.sidecar]
        self._stop_all([*regular, *self._main])
        if not any(one.record.running for one in self._main):
            self._stop_all(self._initial)

    def _stop_all(self, containers: Sequence[Container]) -> None:
        """Stop containers within the rest of the grace period."""
        now = asyncio.get_running_loop().time()
        left = self.context.grace if self._stop_at is None else max(self._stop_at - now, 0.0)
        for container in containers:
            container.stop(left)

    def _remove(self) -> None:
        """Remove the pod from the store after its processes have ended."""
        metadata = self.context.pod["metadata"]
        with suppress(NotFound, Conflict):
            self._store.delete(PODS, namespace_of(self.context.pod), metadata["name"], uid=metadata["uid"])
