"""The HTTP handler: dispatches each request to its verb and encodes the response.

Contains no decisions about objects.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from aiohttp import web

from dask_k8s_local import json_text
from dask_k8s_local.api import (
    bodies,
    delete,
    delete_options,
    discovery,
    errors,
    negotiation,
    openapi,
    patch,
    pod_subresources,
    reviews,
    scale,
    watch,
)
from dask_k8s_local.api.auth import Tokens
from dask_k8s_local.api.delete import Deleter
from dask_k8s_local.api.errors import StatusError
from dask_k8s_local.api.listing import Lists, select
from dask_k8s_local.api.registry import Registry
from dask_k8s_local.api.request import Request, parse
from dask_k8s_local.controllers.client import Forbidden
from dask_k8s_local.kubelet.protocol import Kubelet
from dask_k8s_local.store import Object, Stored, StoreError

_LOG = logging.getLogger(__name__)
_JSON = {"Content-Type": "application/json"}
_STREAMED = frozenset({"log", "exec", "attach", "portforward"})


class Handler:
    """Handles all requests."""

    def __init__(self, registry: Registry, delete: Deleter, tokens: Tokens, kubelet: Kubelet) -> None:
        self._kubelet = kubelet
        self._registry = registry
        self._store = registry.store
        self._catalog = registry.catalog
        self._deleter = delete
        self._tokens = tokens
        self._lists = Lists(self._store)
        self._documents: dict[tuple[str, bool], bytes] = {}
        """Discovery and OpenAPI responses for the current generation of the catalog."""
        self._generation = 0

    async def __call__(self, http: web.BaseRequest) -> web.StreamResponse:
        """Handle a request."""
        try:
            return await self._answer(http)
        except (StatusError, StoreError, Forbidden) as error:
            return _error_response(error)
        except (web.HTTPException, asyncio.CancelledError):
            raise
        except ConnectionError:
            if http.transport is not None and not http.transport.is_closing():
                raise
            return web.Response()  # the client has closed the connection
        except Exception as error:  # noqa: BLE001  # logged, and returned to the client
            _LOG.exception("%s %s", http.method, http.path)
            return _error_response(errors.internal(f"{type(error).__name__}: {error}"))

    async def _answer(self, http: web.BaseRequest) -> web.StreamResponse:
        user = self._tokens.check(http)
        path = http.path
        parts = path.split("/", 4)
        if parts[1] == "api" and len(parts) > 3 and parts[3]:
            return await self._resource(http, path, user)
        if parts[1] == "apis" and len(parts) > 4 and parts[4]:
            return await self._resource(http, path, user)
        return self._document(http, path.rstrip("/"))

    def _document(self, http: web.BaseRequest, path: str) -> web.Response:
        """Return discovery or OpenAPI; responses are cached until the catalog changes."""
        if path in {"/healthz", "/livez", "/readyz"}:
            return web.Response(text="ok")
        accept = http.headers.get("Accept", "")
        aggregated = "as=APIGroupDiscoveryList" in accept and path in {"/api", "/apis"}
        if self._generation != self._catalog.generation:
            self._generation = self._catalog.generation
            self._documents.clear()
        key = (path, aggregated)
        body = self._documents.get(key)
        if body is None:
            found = self._describe(path, aggregated=aggregated)
            if found is None:
                return web.Response(text="404 page not found\n", status=404)
            body = self._documents[key] = json_text.dumps(found)
        headers = {"Content-Type": discovery.AGGREGATED} if aggregated else _JSON
        return web.Response(body=body, headers=headers)

    def _describe(self, path: str, *, aggregated: bool) -> Any:
        if path == "/version":
            return discovery.version()
        if path == "/openapi/v3":
            return openapi.index(self._catalog)
        if path.startswith("/openapi/v3/"):
            return openapi.document(self._catalog, path.removeprefix("/openapi/v3/"))
        return discovery.answer(self._catalog, path, aggregated=aggregated)

    async def _resource(self, http: web.BaseRequest, path: str, user: str) -> web.StreamResponse:
        if path.startswith("/apis/") and not self._known_group(path):
            return web.Response(text="404 page not found\n", status=404)
        request = parse(self._catalog, http.method, path, http.query)
        headers = http.headers
        request.content_type = headers.get("Content-Type", "").partition(";")[0].strip()
        request.accept = headers.get("Accept", "")
        request.user_agent = headers.get("User-Agent", "")
        request.user = user
        if request.subresource in _STREAMED and http.method in {"GET", "POST"}:
            return await pod_subresources.connect(http, self._kubelet, request, self._registry.get(request))
        if http.method == "GET":
            return await self._read(http, request)
        try:
            body = await http.read()
        except web.HTTPRequestEntityTooLarge:
            raise errors.too_large() from None
        response = self._write(request, body)
        for warning in request.warnings:
            quoted = warning.replace("\\", "\\\\").replace('"', '\\"')
            response.headers.add("Warning", f'299 - "{quoted}"')
        return response

    def _write(self, request: Request, body: bytes) -> web.Response:
        """Handle a request that writes; there is no `await`, so that it is atomic."""
        verb, answer = _VERBS.get((request.method, _target(request)), ("", None))
        if answer is None or not (request.subresource or verb in request.served.resource.verbs):
            raise errors.method_not_allowed()
        try:
            request.check_options()
            status, found = answer(self, request, body)
        except (StatusError, StoreError, Forbidden) as error:
            return _error_response(error)
        return _respond(request, status, found)

    def _known_group(self, path: str) -> bool:
        group, version = path.split("/")[2:4]
        return any((one.resource.group, one.resource.version) == (group, version) for one in self._catalog)

    async def _read(self, http: web.BaseRequest, request: Request) -> web.StreamResponse:
        watching = request.flag("watch") and not request.name
        if "get" not in request.served.resource.verbs:
            raise errors.method_not_allowed()
        include = request.query.get("includeObject", "")
        if request.subresource == "scale":
            return _json(scale.read(request.served, self._registry.get(request)))
        encoder = negotiation.negotiate(request.served, request.accept, include, watching=watching)
        if watching:
            return await watch.watch(self._store, http, request, encoder)
        one = request.name
        body = encoder.single(self._registry.get(request)) if one else self._lists.list(request, encoder)
        return web.Response(body=body, headers=_JSON)

    # ---- verbs that write; each returns the HTTP status and the body

    def _create(self, request: Request, body: bytes) -> tuple[int, Any]:
        resource = request.served.resource
        obj = bodies.read_object(request.content_type, body, resource.kind)
        if resource in reviews.REVIEWS:
            return 201, reviews.answer(resource, obj, request.user)
        if resource.namespaced and request.namespace is None:
            raise errors.method_not_allowed()
        return 201, self._registry.create(request, obj)

    def _update(self, request: Request, body: bytes) -> tuple[int, Any]:
        obj = bodies.read_object(request.content_type, body, request.served.resource.kind)
        if request.subresource == "scale":
            return 200, self._update_scale(request, obj)
        return 200, self._registry.update(request, obj)

    def _patch(self, request: Request, body: bytes) -> tuple[int, Any]:
        patch.check_type(request)
        change = bodies.read_patch(request.content_type, body)
        if request.subresource == "scale":
            current = scale.read(request.served, self._registry.get(request))
            return 200, self._update_scale(request, patch.patch_unstored(request, current, change))
        found, is_new = patch.patch(self._registry, request, change)
        return 201 if is_new else 200, found

    def _update_scale(self, request: Request, requested: Any) -> Object:
        old = self._registry.get(request)
        changed = scale.write(request.served, old, requested)
        return scale.read(request.served, self._registry.replace(request, old, changed))

    def _delete(self, request: Request, body: bytes) -> tuple[int, Any]:
        served = request.served
        options = delete_options.read_options(request.query, bodies.read_options(request.content_type, body))
        found, gone = self._deleter.delete(served.resource, request.namespace, request.name, options)
        return 200, delete.returned(served.strategy, found, gone=gone)

    def _delete_collection(self, request: Request, body: bytes) -> tuple[int, Any]:
        resource = request.served.resource
        options = delete_options.read_options(request.query, bodies.read_options(request.content_type, body))
        found = select(self._store, request)
        deleted = [
            self._deleter.delete(
                resource, obj["metadata"].get("namespace"), obj["metadata"]["name"], options
            )[0]
            for obj in found
        ]
        return 200, negotiation.Encoder(request.served).list(
            deleted, {"resourceVersion": str(self._store.version)}
        )

    def _post_to_pod(self, request: Request, body: bytes) -> tuple[int, Any]:
        pod = self._registry.get(request)
        obj = bodies.read_object(request.content_type, body, request.subresource.title())
        return 201, pod_subresources.post(self._store, self._deleter, request, pod, obj)

    def _finalize(self, request: Request, body: bytes) -> tuple[int, Any]:
        """Replace the finalizers in the spec of a namespace."""
        obj = bodies.read_object(request.content_type, body, request.served.resource.kind)
        old = self._registry.get(request)
        return 200, self._store.update(request.served.resource, {**old, "spec": obj.get("spec") or {}})


def _target(request: Request) -> str:
    """Return what a path refers to: `collection`, `object`, or a subresource."""
    return request.subresource or ("object" if request.name else "collection")


_Verb = Callable[[Handler, Request, bytes], tuple[int, Any]]
_VERBS: dict[tuple[str, str], tuple[str, _Verb]] = {
    ("POST", "collection"): ("create", Handler._create),  # noqa: SLF001  # a table of its own methods
    ("DELETE", "collection"): ("deletecollection", Handler._delete_collection),  # noqa: SLF001
    ("PUT", "object"): ("update", Handler._update),  # noqa: SLF001
    ("PATCH", "object"): ("patch", Handler._patch),  # noqa: SLF001
    ("DELETE", "object"): ("delete", Handler._delete),  # noqa: SLF001
    ("PUT", "status"): ("update", Handler._update),  # noqa: SLF001
    ("PATCH", "status"): ("patch", Handler._patch),  # noqa: SLF001
    ("PUT", "scale"): ("update", Handler._update),  # noqa: SLF001
    ("PATCH", "scale"): ("patch", Handler._patch),  # noqa: SLF001
    ("PUT", "finalize"): ("", Handler._finalize),  # noqa: SLF001
    ("POST", "binding"): ("", Handler._post_to_pod),  # noqa: SLF001
    ("POST", "eviction"): ("", Handler._post_to_pod),  # noqa: SLF001
}


def _error_response(error: StatusError | StoreError | Forbidden) -> web.Response:
    status = errors.to_status(error)
    return _json(status.status(), status=status.code)


def _respond(request: Request, status: int, found: Any) -> web.Response:
    if isinstance(found, bytes):
        return web.Response(body=found, status=status, headers=_JSON)
    if isinstance(found, Stored):
        if "as=" in request.accept:
            encoder = negotiation.negotiate(request.served, request.accept, "", watching=False)
            return web.Response(body=encoder.single(found), status=status, headers=_JSON)
        return web.Response(body=found.json, status=status, headers=_JSON)
    return _json(found, status=status)


def _json(body: Object, *, status: int = 200) -> web.Response:
    return web.Response(body=json_text.dumps(body), status=status, headers=_JSON)
