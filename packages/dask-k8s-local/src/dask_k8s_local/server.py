"""A whole Kubernetes: store, API, controllers, scheduler, kubelet, network; put together, and apart."""

from __future__ import annotations

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
from dask_k8s_local.api.server import ApiServer
from dask_k8s_local.controllers import run_all
from dask_k8s_local.controllers.doors import Doors
from dask_k8s_local.controllers.namespaces import create_initial
from dask_k8s_local.controllers.quota import Quotas
from dask_k8s_local.events import Recorder
from dask_k8s_local.kubelet.access import Access
from dask_k8s_local.kubelet.kubelet import Machine, NodeAgent
from dask_k8s_local.kubelet.runtime.client import Runtime
from dask_k8s_local.network.addresses import Block
from dask_k8s_local.network.assignment import ServiceAddresses
from dask_k8s_local.network.names import Names
from dask_k8s_local.network.proxy import Proxy
from dask_k8s_local.network.services import ServiceNetwork
from dask_k8s_local.node import NAME as NODE
from dask_k8s_local.node import node
from dask_k8s_local.resources import NODES
from dask_k8s_local.scheduler.binder import Scheduler
from dask_k8s_local.store import Store

_LOG = logging.getLogger(__name__)
_HOST = "127.0.0.1"
_NAMES = (_HOST, "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
_VERSION = "v1.34.4"


class LocalKubernetes:
    """A Kubernetes for the length of an `async with`; no process and no file of it is left after that."""

    def __init__(self, *, kubeconfig: Path | None = None) -> None:
        """Write the kubeconfig to this file, or to a temporary one."""
        self._wanted = kubeconfig
        self._stack = contextlib.AsyncExitStack()
        self.failed = asyncio.Event()  # a part of it has ended by a defect, which was logged
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
        """Run one in a thread of its own, for those who have no event loop."""
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
        directory = Path(tempfile.mkdtemp(prefix="dask-k8s-"))  # short: it begins the paths of pods' sockets
        runtime = await Runtime.start(directory)
        keep.push_async_callback(runtime.close)  # ends all pods and removes the directory
        block = Block.reserve()
        keep.callback(block.close)
        connector = aiohttp.TCPConnector(limit=0, force_close=True)  # no probe waits for another
        http = await keep.enter_async_context(aiohttp.ClientSession(connector=connector))

        store = Store()
        names, addresses = Names(directory / "names"), ServiceAddresses(block)
        machine = Machine(
            node=NODE, directory=directory / "pods", block=block, names=names, runtime=runtime, http=http
        )
        agent = NodeAgent(store, machine)
        token, authority = secrets.token_urlsafe(), trustme.CA()
        tokens = Tokens(token)
        api = ApiServer(store, tokens)
        quotas = Quotas(store, api.resources)
        api.kubelet, api.admit = agent, quotas.admit
        api.assign(addresses.assign)
        create_initial(store)
        store.create(NODES, node(block, _VERSION))
        certificate = authority.cert_pem.bytes()
        for part in (
            api.run(),
            run_all(store, api.resources, Doors(api.create, api.delete), quotas, certificate.decode()),
            Scheduler(store, NODE).run(),
            agent.run(),
            ServiceNetwork(store, addresses, names, Recorder(store, "kube-proxy")).run(),
            events.expire(store),
        ):
            self._run(part)

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*_NAMES, block.node).configure_cert(context)
        keep.push_async_callback(api.close)
        port = await api.listen(_HOST, 0, context)
        self.url = f"https://{_HOST}:{port}"
        door = Proxy(lambda: [(_HOST, port)])  # for pods: their 127.0.0.1 is another one
        keep.callback(door.close)
        await door.listen(block.node, port)
        agent.access = Access(
            host=block.node,
            port=port,
            sign=tokens.sign,
            authority=certificate.decode(),
        )
        self.kubeconfig = self._wanted or directory / "kubeconfig"
        kubeconfig.write(self.kubeconfig, kubeconfig.kubeconfig(self.url, token, certificate))
        keep.callback(self.kubeconfig.unlink, missing_ok=True)

    def _run(self, part: Coroutine[None, None, None]) -> None:
        """Run a part until the end of all; one that ends before is a defect."""
        task = asyncio.get_running_loop().create_task(part)

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled():
                _LOG.error("a part of the server has ended", exc_info=task.exception())
                self.failed.set()

        async def end() -> None:
            task.cancel()
            await asyncio.wait([task])

        task.add_done_callback(ended)
        self._stack.push_async_callback(end)
