"""The local cluster: starts and stops store, API server, controllers, scheduler, kubelet and network.

This module only wires the parts together; none of them imports it.
"""

import asyncio
import concurrent.futures
import contextlib
import logging
import secrets
import ssl
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import trustme

from dask_k8s_local import events, kubeconfig
from dask_k8s_local.api.auth import Tokens
from dask_k8s_local.api.discovery import RELEASE
from dask_k8s_local.api.server import ApiServer
from dask_k8s_local.controllers import run_all
from dask_k8s_local.controllers.client import ApiClient
from dask_k8s_local.controllers.namespaces import create_initial
from dask_k8s_local.controllers.quota import Quotas
from dask_k8s_local.events import Recorder
from dask_k8s_local.kubelet.kubelet import Machine, NodeAgent
from dask_k8s_local.kubelet.runtime.client import Runtime
from dask_k8s_local.kubelet.service_account import ServiceAccountAccess
from dask_k8s_local.network.addresses import Block
from dask_k8s_local.network.dns import Dns
from dask_k8s_local.network.proxy import Proxy
from dask_k8s_local.network.service_addresses import ServiceAddresses
from dask_k8s_local.network.services import ServiceNetwork
from dask_k8s_local.node import NAME as NODE
from dask_k8s_local.node import node
from dask_k8s_local.resources import NODES
from dask_k8s_local.scheduler.binder import Scheduler
from dask_k8s_local.store import Store

_LOG = logging.getLogger(__name__)
_HOST = "127.0.0.1"
_NAMES = (_HOST, "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


class LocalKubernetes:
    """A cluster that runs during an `async with`; afterwards none of its processes and files is left."""

    def __init__(self, *, kubeconfig: Path | None = None) -> None:
        """Write the kubeconfig to this file, or to a temporary one."""
        self._kubeconfig_path = kubeconfig
        self._stack = contextlib.AsyncExitStack()
        self.failed = asyncio.Event()
        """Set when a part of the server has stopped because of a bug, which was logged."""
        self.kubeconfig = Path()
        self.url = ""

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @classmethod
    @contextlib.contextmanager
    def in_thread(cls, *, kubeconfig: Path | None = None) -> Iterator[Self]:
        """Run a cluster in a thread, for callers without an event loop."""
        started: concurrent.futures.Future[tuple[Self, asyncio.Event]] = concurrent.futures.Future()

        async def serve() -> None:
            stop = asyncio.Event()
            try:
                async with cls(kubeconfig=kubeconfig) as here:
                    loops.append(asyncio.get_running_loop())
                    started.set_result((here, stop))
                    await stop.wait()
            except BaseException as error:
                if started.done():
                    raise
                started.set_exception(error)

        loops: list[asyncio.AbstractEventLoop] = []
        thread = threading.Thread(target=lambda: asyncio.run(serve()), name="dask-k8s-local")
        thread.start()
        try:
            here, stop = started.result()
            try:
                yield here
            finally:
                loops[0].call_soon_threadsafe(stop.set)
        finally:
            thread.join()

    async def _start(self) -> None:
        keep = self._stack
        directory = Path(tempfile.mkdtemp(prefix="dask-k8s-"))  # short: pods create sockets below it
        runtime = await Runtime.start(directory)
        keep.push_async_callback(runtime.close)  # stops all pods and removes the directory
        block = Block.reserve()
        keep.callback(block.close)
        connector = aiohttp.TCPConnector(limit=0, force_close=True)  # probes must not wait for each other
        http = await keep.enter_async_context(aiohttp.ClientSession(connector=connector))

        store = Store()
        dns, addresses = Dns(directory / "names"), ServiceAddresses(block)
        machine = Machine(
            node=NODE, directory=directory / "pods", block=block, dns=dns, runtime=runtime, http=http
        )
        agent = NodeAgent(store, machine)
        token, authority = secrets.token_urlsafe(), trustme.CA()
        tokens = Tokens(token)
        api = ApiServer(store, tokens, agent, addresses.assign)
        quotas = Quotas(store, api.resources)
        api.registry.admit = quotas.admit
        create_initial(store)
        store.create(NODES, node(block, RELEASE))
        certificate = authority.cert_pem.bytes()
        for part in (
            api.run(),
            run_all(store, api.resources, ApiClient(api.create, api.delete), quotas, certificate.decode()),
            Scheduler(store, NODE).run(),
            agent.run(),
            ServiceNetwork(store, addresses, dns, Recorder(store, "kube-proxy")).run(),
            events.expire(store),
        ):
            self._run(part)

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*_NAMES, block.node).configure_cert(context)
        keep.push_async_callback(api.close)
        port = await api.listen(_HOST, 0, context)
        self.url = f"https://{_HOST}:{port}"
        pod_proxy = Proxy(lambda: [(_HOST, port)])  # for pods, whose 127.0.0.1 is their own address
        keep.callback(pod_proxy.close)
        await pod_proxy.listen(block.node, port)
        agent.access = ServiceAccountAccess(
            host=block.node,
            port=port,
            sign=tokens.sign,
            authority=certificate.decode(),
        )
        self.kubeconfig = self._kubeconfig_path or directory / "kubeconfig"
        kubeconfig.write(self.kubeconfig, kubeconfig.kubeconfig(self.url, token, certificate))
        keep.callback(self.kubeconfig.unlink, missing_ok=True)

    def _run(self, part: Coroutine[None, None, None]) -> None:
        """Run a part of the server until it is closed; a part that stops earlier has a bug."""
        task = asyncio.get_running_loop().create_task(part)

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled():
                _LOG.error("a part of the server has stopped", exc_info=task.exception())
                self.failed.set()

        async def end() -> None:
            task.cancel()
            await asyncio.wait([task])

        task.add_done_callback(ended)
        self._stack.push_async_callback(end)
