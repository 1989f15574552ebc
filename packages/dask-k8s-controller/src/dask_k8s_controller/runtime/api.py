"""The client of the API server: HTTP requests with aiohttp, JSON with orjson, a retry after new credentials.

Transport only: it does not know what a request means, and nothing is retried but for credentials.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
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
API_REQUESTS = Counter(
    "dask_k8s_api_requests", "Requests to the API server, by status code.", ["verb", "code"]
)
API_REQUEST_SECONDS = Histogram(
    "dask_k8s_api_request_duration_seconds",
    "Time until the API server began to respond.",
    ["verb"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 30, 60),
)
_NO_RESPONSE = "<error>"
"""Takes the place of the status code in metrics, as in client-go."""


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    parameters: Mapping[str, str]
    body: bytes | None = field(default=None, repr=False)
    content_type: str | None = None
    timeout: aiohttp.ClientTimeout = _TIMEOUT
    verb: str = ""
    """The verb in metrics, if it is not the method."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Api:
    """A session with the API server, as an async context manager; objects go in and come out as dicts."""

    def __init__(self) -> None:
        self.credentials = Credentials()
        self._session: aiohttp.ClientSession | None = None
        self._ssl: ssl.SSLContext | bool = True
        self._login_lock = asyncio.Lock()
        self.login_problem = ""
        """Why the API server does not accept the credentials; empty while it does."""

    async def __aenter__(self) -> Self:
        await self._login()
        # No limit of connections here: each watch holds one, and writes are bounded by the throttle.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
        self._session = aiohttp.ClientSession(connector=connector, trust_env=has_proxy())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str, **parameters: str) -> dict[str, Any]:
        """GET an object or a list."""
        return await self._json(_Request("GET", path, parameters))

    async def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST an object; the API server refuses unknown fields (``fieldValidation=Strict``)."""
        parameters = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        return await self._json(_Request("POST", path, parameters, orjson.dumps(body), _JSON))

    async def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """PATCH an object with a JSON merge patch."""
        parameters = {"fieldManager": FIELD_MANAGER}
        return await self._json(_Request("PATCH", path, parameters, orjson.dumps(body), MERGE_PATCH))

    async def delete(self, path: str, uid: str, version: int | None = None) -> None:
        """DELETE the object with this ``uid`` (and resource version); its dependents follow."""
        preconditions = {"uid": uid} | ({} if version is None else {"resourceVersion": str(version)})
        body = {"propagationPolicy": "Background", "preconditions": preconditions}
        await self._json(_Request("DELETE", path, {}, orjson.dumps(body), _JSON))

    async def watch(
        self, path: str, *, idle_timeout: float, **parameters: str
    ) -> AsyncGenerator[dict[str, Any]]:
        """Yield watch events as dicts until the server ends the watch.

        Raise `ApiError`, with status 0 if nothing was received for ``idle_timeout`` seconds, and with status
        410 if the resource version is too old.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_REQUEST_TIMEOUT, sock_read=idle_timeout)
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
        """Send a request and yield the response; raise every failure as `ApiError`."""
        try:
            async with await self._send_authenticated(request) as response:
                if response.status >= 400:
                    body, retry_after = await response.read(), response.headers.get("Retry-After")
                    reason = response.reason or "Error"
                    raise ApiError.from_body(response.status, body, reason=reason, retry_after=retry_after)
                yield response
        except TimeoutError as error:
            raise ApiError(0, "Timeout", f"no answer to {request}") from error
        except aiohttp.ClientError as error:
            raise ApiError(0, "Unreachable", f"{request}: {type(error).__name__}: {error}") from error
        except orjson.JSONDecodeError as error:
            raise ApiError(0, "Unreachable", f"{request}: the response is not JSON") from error

    async def _send_authenticated(self, request: _Request) -> aiohttp.ClientResponse:
        """Send a request, and once more with new credentials if the API server does not accept these."""
        used = self.credentials.configuration
        try:
            response = await self._send_once(request)
        except aiohttp.ClientSSLError:
            # The certificate authority may have been replaced.
            await self._login_again(used)
            response = await self._send_once(request)
        if self.credentials.is_unauthenticated(response.status):
            response.release()
            await self._login_again(used)
            used = self.credentials.configuration
            response = await self._send_once(request)
        if response.status == 401 and self.credentials.configuration is used:
            self._set_login_problem(f"the API server does not accept the credentials ({request})")
        elif self.login_problem and response.status != 401:
            self.login_problem = ""
            logger.info("The API server accepts the credentials again")
        return response

    async def _send_once(self, request: _Request) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("the session with the API server is not open: use `async with Api()`")
        headers = {"Accept": _JSON}
        if request.content_type is not None:
            headers["Content-Type"] = request.content_type
        try:
            authorization = await self.credentials.authorization()
        except ConnectionError as error:
            raise self._set_login_problem(str(error)) from error
        if authorization:
            headers["Authorization"] = authorization
        verb, code = request.verb or request.method, _NO_RESPONSE
        try:
            with API_REQUEST_SECONDS.labels(verb).time():
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
            API_REQUESTS.labels(verb, code).inc()
        return response

    async def _login(self) -> None:
        await self.credentials.load()
        # Each request passes its TLS context. Connections with an older context are not used again, and
        # requests in progress go on.
        self._ssl = self.credentials.ssl_context() if self.credentials.server.startswith("https") else True

    async def _login_again(self, used: object) -> None:
        """Load the credentials again, once for all requests that used the same ones."""
        async with self._login_lock:
            if self.credentials.configuration is used:
                try:
                    await self._login()
                except OSError as error:  # for example a certificate file that is partly written
                    raise self._set_login_problem(str(error)) from error

    def _set_login_problem(self, problem: str) -> ApiError:
        """Log a problem with the credentials, once until they work again, and return it as an error."""
        if not self.login_problem:
            logger.error("%s; loading the credentials again until they are accepted", problem)
        self.login_problem = problem
        return ApiError(401, "Unauthorized", problem)
