"""The node agent: runs every pod of the node, and serves logs, connections and commands to the API server."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from dask_k8s_local.events import Recorder
from dask_k8s_local.informer import Change, run_informer
from dask_k8s_local.kubelet.container import Container
from dask_k8s_local.kubelet.environment import base_variables, python_path
from dask_k8s_local.kubelet.exec import Execution
from dask_k8s_local.kubelet.pod import PodRunner
from dask_k8s_local.kubelet.pod_context import PodContext
from dask_k8s_local.kubelet.protocol import LogOptions, Pod, PodUnavailable
from dask_k8s_local.kubelet.runtime.client import Runtime
from dask_k8s_local.kubelet.service_account import ServiceAccountAccess
from dask_k8s_local.kubelet.sources import Sources
from dask_k8s_local.kubelet.status import PodFacts
from dask_k8s_local.kubelet.volumes import Volumes
from dask_k8s_local.network.addresses import Block
from dask_k8s_local.network.dns import Dns
from dask_k8s_local.network.errors import error_text
from dask_k8s_local.resources import CONFIGMAPS, NODES, PODS, SECRETS, SERVICES
from dask_k8s_local.store import Object, Store, namespace_of, timestamp

_LOG = logging.getLogger(__name__)
_UID_LENGTH = 13
"""Characters of the uid in a pod's directory; paths of sockets are limited to 107 bytes."""
_WAITING = {
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
}


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The resources of the machine that pods use."""

    node: str
    directory: Path
    block: Block
    dns: Dns
    runtime: Runtime
    http: aiohttp.ClientSession
    first_backoff: float = 10.0


class NodeAgent:
    """The kubelet of the only node; implements `protocol.Kubelet`."""

    def __init__(self, store: Store, machine: Machine) -> None:
        self._store = store
        self._machine = machine
        self._recorder = Recorder(store, "kubelet", machine.node)
        self._runners: dict[str, PodRunner] = {}
        self.access: ServiceAccountAccess | None = None

    async def run(self) -> None:
        """Run pods until cancelled; then the runtime stops their processes."""
        async with asyncio.TaskGroup() as tasks:

            def pod_changed(change: Change) -> None:
                pod = change.new or change.old or {}
                uid = pod["metadata"]["uid"]
                if change.new is None:
                    if runner := self._runners.pop(uid, None):
                        runner.removed()
                elif uid in self._runners:
                    self._runners[uid].update(pod)
                elif pod["spec"].get("nodeName") == self._machine.node:
                    runner = self._runners[uid] = self._runner(pod)
                    tasks.create_task(self._run(runner))

            tasks.create_task(run_informer(self._store, PODS, pod_changed))
            tasks.create_task(run_informer(self._store, CONFIGMAPS, self._referenced_changed))
            tasks.create_task(run_informer(self._store, SECRETS, self._referenced_changed))

    async def logs(self, pod: Pod, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        """Yield the log of a container in chunks."""
        async for piece in self._log(pod, container, options):
            yield piece

    def _log(self, pod: Pod, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        name = pod["metadata"]["name"]
        found = self._container(pod, container)
        record, logs = found.record, found.logs
        if options.previous:
            if not record.last:
                message = f'previous terminated container "{container}" in pod "{name}" not found'
                raise PodUnavailable(message)
            return logs[-1 if record.waiting else -2].read(options)
        if record.waiting and not (record.last and logs):
            reason = _WAITING.get(record.waiting[0], record.waiting[0])
            raise PodUnavailable(f'container "{container}" in pod "{name}" is waiting to start: {reason}')
        return logs[-1].read(options)

    async def dial(self, pod: Pod, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to a port of the pod."""
        address = self._runner_of(pod).context.address
        try:
            return await asyncio.open_connection(address, port)
        except OSError as error:
            problem = f"dial tcp4 127.0.0.1:{port}: connect: {error_text(error)}"
            raise PodUnavailable(f"failed to connect to localhost:{port} inside the pod: {problem}") from None

    async def exec(
        self, pod: Pod, container: str, command: Sequence[str], *, stdin: bool, tty: bool
    ) -> Execution:
        """Start a command in a container."""
        return await Execution.start(self._container(pod, container), command, stdin=stdin, tty=tty)

    def _runner_of(self, pod: Pod) -> PodRunner:
        runner = self._runners.get(pod["metadata"]["uid"])
        if runner is None:
            raise PodUnavailable(f"pod {pod['metadata']['name']} does not have a host assigned")
        return runner

    def _container(self, pod: Pod, name: str) -> Container:
        found = self._runner_of(pod).container(name)
        if found is None:
            raise PodUnavailable(f"container {name} is not valid for pod {pod['metadata']['name']}")
        return found

    def _runner(self, pod: Object) -> PodRunner:
        machine = self._machine
        address = machine.block.node if pod["spec"].get("hostNetwork") else machine.block.pods.take()
        addresses = {"podIP": address, "hostIP": machine.block.node}
        directory = machine.directory / pod["metadata"]["uid"][:_UID_LENGTH]
        node: Object = self._store.get(NODES, None, machine.node) or {"status": {"allocatable": {}}}
        sources = Sources(self._store, pod, node, addresses)
        context = PodContext(
            pod=pod,
            directory=directory,
            address=address,
            base=base_variables(pod, directory, address, machine.dns.directory),
            python_path=python_path(),
            runtime=machine.runtime,
            sources=sources,
            volumes=Volumes(directory / "volumes", sources),
            recorder=self._recorder,
            http=machine.http,
            services=lambda: self._store.list(SERVICES, namespace_of(pod)),
            first_backoff=machine.first_backoff,
            access=self.access if self.access and self.access.is_enabled_for(pod) else None,
        )
        return PodRunner(self._store, context, PodFacts(addresses=addresses, start_time=timestamp()))

    async def _run(self, runner: PodRunner) -> None:
        try:
            await runner.run()
        except Exception:  # noqa: BLE001  # a bug in one pod must not stop the others
            _LOG.exception("pod %s", runner.context.full_name)
            runner.abandon()
        finally:
            self._machine.block.pods.release(runner.context.address)

    def _referenced_changed(self, change: Change) -> None:
        """Refresh the pods of a namespace when one of its ConfigMaps or Secrets changes."""
        namespace = namespace_of(change.new or change.old or {})
        for runner in self._runners.values():
            if namespace_of(runner.context.pod) == namespace:
                runner.refresh()
