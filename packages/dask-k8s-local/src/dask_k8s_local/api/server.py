"""The API server: creates its parts and listens. Requests are handled in `http`."""

import asyncio
import ssl
from collections.abc import Iterable
from functools import partial

from aiohttp import web

from dask_k8s_local.api import errors
from dask_k8s_local.api.auth import Tokens
from dask_k8s_local.api.catalog import Catalog
from dask_k8s_local.api.delete import Deleter
from dask_k8s_local.api.errors import BODY_MAX, StatusError
from dask_k8s_local.api.http import Handler
from dask_k8s_local.api.registry import Registry
from dask_k8s_local.api.request import Request
from dask_k8s_local.controllers.client import Forbidden, RequestRejected
from dask_k8s_local.crd.registration import Registration
from dask_k8s_local.kubelet.protocol import Kubelet
from dask_k8s_local.resources import Resource
from dask_k8s_local.store import Object, Store, StoreError
from dask_k8s_local.strategy.services import Assign

_FIELD_MANAGER = "kube-controller-manager"
_LINE_MAX = 64 * 1024
"""Bytes in the first line of a request: selectors can be long."""


class ApiServer:
    """The API of the cluster; `assign` assigns addresses to Services."""

    def __init__(self, store: Store, tokens: Tokens, kubelet: Kubelet, assign: Assign) -> None:
        self._store = store
        self._catalog = Catalog(assign)
        self.delete = Deleter(store)
        self.registry = Registry(store, self._catalog)
        self._handler = Handler(self.registry, self.delete, tokens, kubelet)
        self._http: web.Server | None = None
        self._listening: asyncio.Server | None = None

    def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        """Create an object for a controller; raises RequestRejected."""
        served = self._catalog.find(resource.group, resource.version, resource.plural)
        if served is None:
            raise RequestRejected(errors.no_such_resource().message)
        request = Request("POST", served, namespace, "", "", {"fieldManager": _FIELD_MANAGER})
        try:
            return self.registry.create(request, body)
        except (StatusError, Forbidden, StoreError) as error:
            raise RequestRejected(str(error)) from None

    def resources(self) -> Iterable[Resource]:
        """Return every collection, in its storage version."""
        served = (one for one in self._catalog if one.storage)
        return [one.resource for one in served if "list" in one.resource.verbs]

    async def run(self) -> None:
        """Serve the kinds of CustomResourceDefinitions until cancelled."""
        await Registration(self._store, self._catalog).run()

    async def listen(self, host: str, port: int, context: ssl.SSLContext | None) -> int:
        """Listen at an address and return the port."""
        loop = asyncio.get_running_loop()
        make_request = partial(web.BaseRequest, loop=loop, client_max_size=BODY_MAX)
        self._http = web.Server(
            self._handler,
            request_factory=make_request,
            handler_cancellation=True,
            access_log=None,
            max_line_size=_LINE_MAX,
        )
        self._listening = await loop.create_server(self._http, host, port, ssl=context, backlog=1024)
        found: int = self._listening.sockets[0].getsockname()[1]
        return found

    async def close(self) -> None:
        """Stop listening and end all watches."""
        if self._listening is not None:
            self._listening.close()
        if self._http is not None:
            await self._http.shutdown(timeout=1)
