"""Requests to the Kubernetes API: verbs, streams and WebSockets, on plain dicts."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self, TypeVar

import aiohttp

from dask_k8s_client.api import sockets
from dask_k8s_client.api.access import DEFAULT_LOGIN, Access, Login, load
from dask_k8s_client.arguments import JSON
from dask_k8s_client.exceptions import Unreachable
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import Resource

T = TypeVar("T")

Manifest = Mapping[str, Any]
Params = Mapping[str, str]
Objects = dict[str, JSON]
"""The objects of a collection by name."""

_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10)
_RETRY_DELAYS = (0.1, 0.4, 1.0)
"""Seconds before each further attempt, where the API server is unreachable or overloaded."""


@dataclass(frozen=True, slots=True)
class Selector:
    """Which objects of a collection to list or watch."""

    labels: str = ""
    fields: str = ""

    @classmethod
    def named(cls, name: str) -> Self:
        """Select the object of this name."""
        return cls(fields=f"metadata.name={name}")

    @property
    def params(self) -> dict[str, str]:
        """The query parameters."""
        params = {"labelSelector": self.labels, "fieldSelector": self.fields}
        return {key: value for key, value in params.items() if value}


EVERYTHING = Selector()


class Api:
    """An API server. Use it only on the event loop that it was made on."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._loop = asyncio.get_running_loop()
        # Watches and port-forwards stay open; with a limit they would block all other requests.
        self._sockets = sockets.Sockets()
        connector = aiohttp.TCPConnector(limit=0, socket_factory=self._sockets.make)
        self._session = aiohttp.ClientSession(connector=connector, trust_env=access.proxy_of_environment)

    @classmethod
    async def connect(cls, login: Login = DEFAULT_LOGIN) -> Self:
        """Use the credentials that kubectl would use; sends no request."""
        return cls(await load(login=login))

    @classmethod
    @asynccontextmanager
    async def connected(cls, login: Login = DEFAULT_LOGIN) -> AsyncIterator[Self]:
        """Connect as `connect` does, and close the connections at the end of the block."""
        api = await cls.connect(login)
        try:
            yield api
        finally:
            await api.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
        await self._sockets.close()

    def abandon(self) -> None:
        """Close the session if its event loop has ended; one that still runs may be in use."""
        if not self._loop.is_running():
            asyncio.run(self._session.close())  # the transports belong to the loop that has ended

    async def get(self, resource: Resource, namespace: str | None, name: str) -> JSON | None:
        """Return an object, or None if it does not exist."""
        return await self._json_if_present("GET", resource.path(namespace, name))

    async def list(
        self, resource: Resource, namespace: str, selector: Selector = EVERYTHING
    ) -> tuple[Objects, str]:
        """Return the objects of a namespace by name, and the collection's resourceVersion."""
        answer = await self._json("GET", resource.path(namespace), selector.params)
        objects = {each["metadata"]["name"]: each for each in answer["items"]}
        return objects, answer["metadata"]["resourceVersion"]

    async def list_items(
        self, resource: Resource, namespace: str | None, selector: Selector = EVERYTHING
    ) -> tuple[JSON, ...]:
        """Return the objects of a namespace, or of all namespaces (None), where names may repeat."""
        answer = await self._json("GET", resource.path(namespace), selector.params)
        return tuple(answer["items"])

    async def create(self, resource: Resource, namespace: str | None, body: Manifest) -> JSON:
        """Create an object and return it as stored; the API server refuses unknown fields."""
        return await self._json("POST", resource.path(namespace), {"fieldValidation": "Strict"}, body)

    async def patch(self, resource: Resource, namespace: str, name: str, body: Manifest) -> JSON | None:
        """Apply a merge patch and return the object, or None if it does not exist."""
        params = {"fieldValidation": "Strict"}
        return await self._json_if_present("PATCH", resource.path(namespace, name), params, body)

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str | None = None) -> None:
        """Delete an object; do nothing if it does not exist or has another uid."""
        try:
            await self._json_if_present("DELETE", resource.path(namespace, name), body=deletion_of(uid))
        except ApiError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise

    async def _json_if_present(self, *args: Any, **kwargs: Any) -> JSON | None:
        try:
            return await self._json(*args, **kwargs)
        except ApiError as error:
            if error.is_absence:
                return None
            raise

    async def _json(
        self, method: str, path: str, params: Params | None = None, body: Manifest | None = None
    ) -> JSON:
        delays = iter(_RETRY_DELAYS)
        while True:
            try:
                async with self.request(method, path, params or {}, body) as response:
                    answer: JSON = await response.json(content_type=None)
                    return answer
            except (ApiError, ConnectionError) as error:
                delay = next(delays, None)
                if delay is None or not _may_retry(method, error):
                    raise
            await asyncio.sleep(delay)

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        params: Params,
        body: Manifest | None = None,
        *,
        timeout: aiohttp.ClientTimeout = _TIMEOUT,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send any request; the response may be read as a stream.

        Raises:
            ApiError: The API server refused it.
            Unreachable: No answer, or the connection broke while it was read.
        """
        content_type = "application/merge-patch+json" if method == "PATCH" else "application/json"

        async def send(credentials: Mapping[str, str]) -> aiohttp.ClientResponse:
            response = await self._session.request(
                method,
                self.access.server + path,
                params=params,
                data=None if body is None else json.dumps(body),
                headers={"Accept": "application/json", "Content-Type": content_type, **credentials},
                timeout=timeout,
                **self.access.connection,
            )
            if response.status < HTTPStatus.BAD_REQUEST:
                return response
            async with response:
                raise ApiError.from_body(response.status, await response.read())

        response = await self._authenticated(send)
        try:
            async with response:
                try:
                    yield response
                finally:
                    sockets.break_off(response)
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(error) from error

    @asynccontextmanager
    async def websocket(
        self, path: str, params: Params, protocols: tuple[str, ...]
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Open a WebSocket."""

        async def upgrade(credentials: Mapping[str, str]) -> aiohttp.ClientWebSocketResponse:
            try:
                ws: aiohttp.ClientWebSocketResponse = await self._session.ws_connect(
                    self.access.server + path,
                    params=params,
                    protocols=protocols,
                    headers=credentials,
                    max_msg_size=0,
                    timeout=aiohttp.ClientWSTimeout(ws_close=2),
                    **self.access.connection,
                )
                return ws
            except aiohttp.WSServerHandshakeError as error:
                raise ApiError(error.status, "", f"{error.status} {error.message}: GET {path}") from error

        try:
            ws = await self._authenticated(upgrade)
        except ApiError as error:
            if error.status in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
                # aiohttp drops the body of a refused handshake; a plain request gets the message.
                async with self.request("GET", path, params):
                    pass
            raise
        sock = ws.get_extra_info("socket")
        try:
            yield ws
        finally:
            await ws.close()
            sockets.shut_down(sock)

    async def _authenticated(self, send: Callable[[Mapping[str, str]], Awaitable[T]]) -> T:
        """Call `send` with the headers that authenticate us, a second time with reloaded credentials.

        The second time is for a token that has expired and a certificate authority that was replaced.
        """
        for is_last in (False, True):
            try:
                return await send(await self.access.headers())
            except ApiError as error:
                if is_last or error.status != HTTPStatus.UNAUTHORIZED:
                    raise
            except (aiohttp.ClientError, OSError) as error:  # a time-out is an OSError
                if is_last or not isinstance(error, aiohttp.ClientSSLError):
                    raise self._unreachable(error) from error
            self.access = await load(login=self.access.login)
        raise AssertionError("unreachable")

    def _unreachable(self, error: BaseException) -> Unreachable:
        return Unreachable(f"cannot reach the Kubernetes API at {self.access.server}: {_cause(error)}")


async def lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Yield lines with their newlines, which the last one may lack."""
    # aiohttp's own reader of lines fails at a limit that a large object exceeds.
    rest = b""
    async for chunk in response.content.iter_any():
        *complete, rest = (rest + chunk).split(b"\n")
        for line in complete:
            yield line + b"\n"
    if rest:
        yield rest


def deletion_of(uid: str | None) -> JSON:
    """Return the body of a DELETE: in the background, and only of the object with this uid, if any."""
    return {"propagationPolicy": "Background"} | ({"preconditions": {"uid": uid}} if uid else {})


def _cause(error: BaseException) -> str:
    """Describe a connection error for users, without internals such as TLS settings."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorError) and not isinstance(error, aiohttp.ClientSSLError):
        cause = error.os_error
        # Positive numbers are those of the system; a failed name lookup has its own, with its own text.
        number = cause.errno or 0
        return os.strerror(number) if number > 0 else str(cause.strerror or cause)
    return str(error) or type(error).__name__


def _may_retry(method: str, error: ApiError | ConnectionError) -> bool:
    """Return whether a retry may help and is safe: a POST without an answer may have created the object."""
    if isinstance(error, ApiError):
        return error.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
    return method != "POST"
