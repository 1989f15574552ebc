"""The door to Kubernetes: credentials by the `kubernetes` package, requests by aiohttp and orjson.

Nothing else here imports `kubernetes`. What a request means is not known in this room.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson
from prometheus_client import Counter, Histogram

from dask_k8s_controller.runtime.login import Credentials, has_proxy
from dask_k8s_crds.api_errors import ApiError

logger = logging.getLogger(__name__)

MERGE_PATCH = "application/merge-patch+json"
FIELD_MANAGER = "dask-k8s-controller"
_JSON = "application/json"
_REQUEST_TIMEOUT = 60.0
_TIMEOUT = aiohttp.ClientTimeout(total=_REQUEST_TIMEOUT)
_REQUESTS = Counter(
    "dask_k8s_api_requests", "Requests to the API server, by the code of the answer.", ["verb", "code"]
)
_SECONDS = Histogram(
    "dask_k8s_api_request_duration_seconds",
    "Time until the API server began to answer.",
    ["verb"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 30, 60),
)
_NO_ANSWER = "<error>"
"""In the place of a code, as in client-go."""


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    parameters: Mapping[str, str]
    body: bytes | None = None
    content_type: str | None = None
    timeout: aiohttp.ClientTimeout = _TIMEOUT
    verb: str = ""
    """As metrics name it, where that is not the method."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Api:
    """A session with the API server.

    Use as an async context manager. Objects go in and come out as plain dicts.
    """

    def __init__(self) -> None:
        self.credentials = Credentials()
        self._session: aiohttp.ClientSession | None = None
        self._ssl: ssl.SSLContext | bool = True
        self._relogin = asyncio.Lock()
        self.refusal = ""
        """Why the API server does not accept the credentials, as long as it does not."""

    async def __aenter__(self) -> Self:
        """Read the credentials and open the session."""
        await self._login()
        # No limit of connections here: each watch holds one, and writes are bounded by the throttle.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
        self._session = aiohttp.ClientSession(connector=connector, trust_env=has_proxy())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str, **parameters: str) -> dict[str, Any]:
        """GET an object or a list."""
        return await self._json(_Request("GET", path, parameters))

    async def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST an object; misspelt fields are refused (``fieldValidation=Strict``)."""
        parameters = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        return await self._json(_Request("POST", path, parameters, orjson.dumps(body), _JSON))

    async def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """PATCH an object by a JSON merge patch."""
        parameters = {"fieldManager": FIELD_MANAGER}
        return await self._json(_Request("PATCH", path, parameters, orjson.dumps(body), MERGE_PATCH))

    async def delete(self, path: str, uid: str, version: int | None = None) -> None:
        """DELETE the object of this ``uid`` (and resource version), and what it owns in the background."""
        preconditions = {"uid": uid} | ({} if version is None else {"resourceVersion": str(version)})
        body = {"propagationPolicy": "Background", "preconditions": preconditions}
        await self._json(_Request("DELETE", path, {}, orjson.dumps(body), _JSON))

    async def watch(self, path: str, *, silence: float, **parameters: str) -> AsyncGenerator[dict[str, Any]]:
        """Yield watch events as dicts until the server ends the watch.

        Raises `ApiError` with status 410 where the resource version is too old, with status 0
        after ``silence`` seconds without a byte.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_REQUEST_TIMEOUT, sock_read=silence)
        request = _Request("GET", path, {"watch": "1"} | parameters, timeout=timeout, verb="WATCH")
        async with self._send(request) as response:
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = orjson.loads(line)
                    if event["type"] == "ERROR":
                        raise ApiError.from_status(event["object"], status=500, reason="WatchError")
                    yield event

    async def _json(self, request: _Request) -> dict[str, Any]:
        async with self._send(request) as response:
            answer: dict[str, Any] = orjson.loads(await response.read())
        return answer

    @asynccontextmanager
    async def _send(self, request: _Request) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send once, and once more with new credentials after a 401."""
        try:
            async with await self._respond(request) as response:
                if response.status >= 400:
                    raise ApiError.from_body(
                        response.status,
                        await response.read(),
                        reason=response.reason or "Error",
                        retry_after=response.headers.get("Retry-After"),
                    )
                yield response
        except TimeoutError as error:
            raise ApiError(0, "Timeout", f"no answer to {request}") from error
        except aiohttp.ClientError as error:
            raise ApiError(0, "Unreachable", f"{request}: {type(error).__name__}: {error}") from error
        except orjson.JSONDecodeError as error:
            raise ApiError(0, "Unreachable", f"{request}: the answer is no JSON") from error

    async def _respond(self, request: _Request) -> aiohttp.ClientResponse:
        """Send, and heed what the answer says about the credentials: it is logged once, not per request."""
        refused = self.credentials.configuration
        try:
            response = await self._try(request)
        except aiohttp.ClientSSLError:
            # Its authority may be another one now.
            await self._login_again(refused)
            response = await self._try(request)
        if self.credentials.refused(response.status):
            response.release()
            await self._login_again(refused)
            refused = self.credentials.configuration
            response = await self._try(request)
        if response.status == 401 and self.credentials.configuration is refused:
            self._refused(f"the API server does not accept the credentials ({request})")
        elif self.refusal and response.status != 401:
            self.refusal = ""
            logger.info("The API server accepts the credentials again")
        return response

    def _refused(self, why: str) -> None:
        if not self.refusal:
            logger.error("%s; they are read again until it does", why)
        self.refusal = why

    async def _try(self, request: _Request) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("the session with the API server is not open: use `async with Api()`")
        headers = {"Accept": _JSON}
        if request.content_type is not None:
            headers["Content-Type"] = request.content_type
        try:
            authorization = await self.credentials.authorization()
        except ConnectionError as error:
            self._refused(str(error))
            raise ApiError(401, "Unauthorized", str(error)) from error
        if authorization:
            headers["Authorization"] = authorization
        verb, code = request.verb or request.method, _NO_ANSWER
        try:
            with _SECONDS.labels(verb).time():
                response = await self._session.request(
                    request.method,
                    self.credentials.server + request.path,
                    params=request.parameters,
                    data=request.body,
                    headers=headers,
                    timeout=request.timeout,
                    allow_redirects=False,
                    ssl=self._ssl,
                )
            code = str(response.status)
        finally:
            _REQUESTS.labels(verb, code).inc()
        return response

    async def _login(self) -> None:
        await self.credentials.load()
        # With each request instead of with the session: connections of others are not used, and what is
        # under way goes on.
        self._ssl = self.credentials.ssl_context() if self.credentials.server.startswith("https") else True

    async def _login_again(self, refused: object) -> None:
        """Read the credentials anew, once for all requests that were refused with the same ones."""
        async with self._relogin:
            if self.credentials.configuration is refused:
                try:
                    await self._login()
                except OSError as error:  # a file of certificates may be half-written, too
                    self._refused(str(error))
                    raise ApiError(401, "Unauthorized", str(error)) from error
