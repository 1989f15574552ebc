"""Requests to the Kubernetes API, on plain dicts. No meaning: what an answer says is decided elsewhere."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Self

import aiohttp

from dask_k8s_client.aliases import JSON
from dask_k8s_client.api import sockets
from dask_k8s_client.api.access import UNSAID, Access, Login, load
from dask_k8s_client.api.resources import ALL, PODS, Among, Resource
from dask_k8s_client.exceptions import ApiError, Unreachable

World = dict[str, JSON]
"""Objects by name."""

_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10)
# Before asking again, where the API server could not be reached or had too much to do.
_RETRIES = (0.1, 0.4, 1.0)


class Api:
    """One API server; bound to the event loop it was made on."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._loop = asyncio.get_running_loop()
        # Watches and port-forwards stay open; a limit would let them starve the rest.
        self._sockets = sockets.Sockets()
        connector = aiohttp.TCPConnector(limit=0, socket_factory=self._sockets.make)
        self._session = aiohttp.ClientSession(connector=connector, trust_env=access.proxy_of_environment)

    @classmethod
    async def connect(cls, login: Login = UNSAID) -> Self:
        """With the credentials that kubectl would use."""
        return cls(await load(login=login))

    async def close(self) -> None:
        """Let go of all connections."""
        await self._session.close()
        await self._sockets.close()

    def abandon(self) -> None:
        """As `close`, if our loop has ended; one that runs still serves those who are at work."""
        if not self._loop.is_running():
            asyncio.run(self._session.close())  # the sockets' transports are those of the other loop

    async def get(self, resource: Resource, namespace: str | None, name: str) -> JSON | None:
        """The object, or None."""
        try:
            return await self._json("GET", resource.path(namespace, name))
        except ApiError as error:
            if error.is_absence:
                return None
            raise

    async def list(self, resource: Resource, namespace: str, among: Among = ALL) -> tuple[World, str]:
        """Objects by name, and the version of the whole."""
        answer = await self._json("GET", resource.path(namespace), among.params)
        return {each["metadata"]["name"]: each for each in answer["items"]}, answer["metadata"][
            "resourceVersion"
        ]

    async def every(self, resource: Resource, namespace: str | None, among: Among = ALL) -> tuple[JSON, ...]:
        """The objects of a namespace, or (None) of all of them, where one name may come twice."""
        answer = await self._json("GET", resource.path(namespace), among.params)
        return tuple(answer["items"])

    async def create(self, resource: Resource, namespace: str | None, body: Mapping[str, Any]) -> JSON:
        """The object as it was stored; unknown fields are refused, not dropped."""
        return await self._json("POST", resource.path(namespace), {"fieldValidation": "Strict"}, body)

    async def patch(
        self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]
    ) -> JSON | None:
        """Merge into the object; None if there is none."""
        try:
            return await self._json(
                "PATCH", resource.path(namespace, name), {"fieldValidation": "Strict"}, body
            )
        except ApiError as error:
            if error.is_absence:
                return None
            raise

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str | None = None) -> None:
        """Delete the object, unless it is another one (another uid) or gone already."""
        body = {"propagationPolicy": "Background"} | ({"preconditions": {"uid": uid}} if uid else {})
        try:
            await self._json("DELETE", resource.path(namespace, name), body=body)
        except ApiError as error:
            if not error.is_absence and error.status != HTTPStatus.CONFLICT:
                raise

    async def logs(self, namespace: str, pod: str, params: Mapping[str, str]) -> str:
        """What a container has printed."""
        async with self.request("GET", PODS.path(namespace, pod, "log"), params) as response:
            return await response.text(errors="replace")

    @asynccontextmanager
    async def websocket(
        self, path: str, params: Mapping[str, str], protocols: tuple[str, ...]
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """An upgraded connection."""
        ws = await self._upgrade(path, params, protocols)
        sock = ws.get_extra_info("socket")
        try:
            yield ws
        finally:
            await ws.close()
            sockets.shut_down(sock)

    async def _upgrade(
        self, path: str, params: Mapping[str, str], protocols: tuple[str, ...]
    ) -> aiohttp.ClientWebSocketResponse:
        for last in (False, True):
            try:
                ws: aiohttp.ClientWebSocketResponse = await self._session.ws_connect(
                    self.access.server + path,
                    params=params,
                    protocols=protocols,
                    headers=await self.access.headers(),
                    max_msg_size=0,
                    timeout=aiohttp.ClientWSTimeout(ws_close=2),
                    **self.access.connection,
                )
                return ws
            except aiohttp.WSServerHandshakeError as error:
                if error.status == HTTPStatus.UNAUTHORIZED and not last:
                    self.access = await load(login=self.access.login)
                    continue
                if error.status in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
                    async with self.request("GET", path, params):
                        pass  # the same refusal, with the API server's words this time
                raise ApiError(error.status, "", f"{error.status} {error.message}: GET {path}") from error
            except (aiohttp.ClientError, OSError) as error:
                if isinstance(error, aiohttp.ClientSSLError) and not last:
                    self.access = await load(login=self.access.login)
                    continue
                raise self._unreachable(error) from error
        raise AssertionError("unreachable")

    async def _json(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> JSON:
        delays = iter(_RETRIES)
        while True:
            try:
                async with self.request(method, path, params or {}, body) as response:
                    answer: JSON = await response.json(content_type=None)
                    return answer
            except (ApiError, ConnectionError) as error:
                delay = next(delays, None)
                if delay is None or not _passes(method, error):
                    raise
            await asyncio.sleep(delay)

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        *,
        timeout: aiohttp.ClientTimeout = _TIMEOUT,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Any request; a refusal is raised."""
        content_type = "application/merge-patch+json" if method == "PATCH" else "application/json"
        for last in (False, True):
            headers = {
                "Accept": "application/json",
                "Content-Type": content_type,
                **await self.access.headers(),
            }
            try:
                async with self._session.request(
                    method,
                    self.access.server + path,
                    params=params,
                    data=None if body is None else json.dumps(body),
                    headers=headers,
                    timeout=timeout,
                    **self.access.connection,
                ) as response:
                    if response.status == HTTPStatus.UNAUTHORIZED and not last:
                        # An expired token; the kubeconfig, or the plugin that it names, has a new one.
                        self.access = await load(login=self.access.login)
                        continue
                    if response.status >= HTTPStatus.BAD_REQUEST:
                        raise refusal(response.status, await response.read())
                    try:
                        yield response
                    finally:
                        sockets.break_off(response)
                    return
            except (aiohttp.ClientError, OSError) as error:  # a time-out is an OSError
                if isinstance(error, aiohttp.ClientSSLError) and not last:
                    # The API server's authority was replaced; the kubeconfig has the new one.
                    self.access = await load(login=self.access.login)
                    continue
                raise self._unreachable(error) from error

    def _unreachable(self, error: BaseException) -> Unreachable:
        return Unreachable(f"cannot reach the Kubernetes API at {self.access.server}: {_in_words(error)}")


def _in_words(error: BaseException) -> str:
    """Without what only the program knows, such as the TLS settings."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorError) and not isinstance(error, aiohttp.ClientSSLError):
        found = error.os_error
        # Positive numbers are the system's; those of names that are not found have words of their own.
        number = found.errno or 0
        return os.strerror(number) if number > 0 else str(found.strerror or found)
    return str(error) or type(error).__name__


def _passes(method: str, error: ApiError | ConnectionError) -> bool:
    """Whether asking again may help and cannot harm: what was sent to create something may have arrived."""
    if isinstance(error, ApiError):
        return error.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
    return method != "POST"


def refusal(status: int, body: bytes | JSON) -> ApiError:
    """The API server's `Status`; an unknown path has none."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else ""
    try:
        answer = body if isinstance(body, dict) else json.loads(text)
        return ApiError(status, answer.get("reason", ""), answer.get("message", ""))
    except (ValueError, AttributeError):
        return ApiError(status, "", text.strip() or HTTPStatus(status).phrase)
