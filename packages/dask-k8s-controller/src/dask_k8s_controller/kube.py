"""The door to Kubernetes: credentials by the `kubernetes` package, requests by aiohttp and orjson.

Nothing else here imports `kubernetes`. What a request means is not known in this room.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.request import getproxies

import aiohttp
import orjson
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config import incluster_config, kube_config
from kubernetes.aio.config.config_exception import ConfigException
from prometheus_client import Counter, Histogram

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


class ApiError(Exception):
    """The API server refused, or did not answer.

    ``status`` is the HTTP status, 0 where no answer came; ``reason`` Kubernetes' own word for it
    (``Conflict``, ``Forbidden``, ``Invalid``, …); ``message`` the server's sentence;
    ``retry_after`` the seconds that the server asked to wait, if it did; ``about`` the name of the object
    that it speaks of, empty where it speaks of the path.
    """

    about = ""

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        causes: tuple[str, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.causes = causes
        self.retry_after = retry_after

    @property
    def answered(self) -> bool:
        """Whether the server said so; without an answer a write may have happened all the same."""
        return 0 < self.status < 500 or self.status == 503

    @classmethod
    def from_body(cls, status: int, reason: str, body: bytes, retry_after: str | None = None) -> ApiError:
        """Read a ``Status`` object, or whatever a proxy sent in its place."""
        try:
            answer = orjson.loads(body)
        except orjson.JSONDecodeError:
            answer = None
        if not isinstance(answer, dict) or answer.get("kind") != "Status":
            text = " ".join(body[:300].decode(errors="replace").split())  # one line in logs and conditions
            return cls(status, reason, text, retry_after=_seconds(retry_after))
        details = answer.get("details") or {}
        error = cls(
            answer.get("code") or status,
            answer.get("reason") or reason,
            answer.get("message") or "",
            causes=tuple(cause.get("reason", "") for cause in details.get("causes") or ()),
            retry_after=_seconds(retry_after) or _seconds(details.get("retryAfterSeconds")),
        )
        error.about = details.get("name") or ""
        return error


def _seconds(retry_after: str | int | None) -> float | None:
    """Read how long to wait; proxies may give a date, which is passed over."""
    return float(retry_after) if retry_after and str(retry_after).isdecimal() else None


def _has_proxy() -> bool:
    """Whether the environment names a proxy; aiohttp would otherwise read a file for each request."""
    return bool(getproxies())


@dataclass(slots=True)
class Credentials:
    """Where the API server is and how to speak to it, read anew on demand."""

    configuration: Configuration = field(default_factory=Configuration)

    async def load(self) -> None:
        """Read the service account, or else the kubeconfig (`KUBECONFIG`, ``~/.kube/config``).

        Raises ``ConnectionError`` where there is neither.
        """
        configuration = Configuration()
        try:
            incluster_config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        except ConfigException:
            try:
                await kube_config.load_kube_config(  # type: ignore[no-untyped-call]
                    client_configuration=configuration
                )
            except Exception as error:
                # Not only ConfigException: a file that is being written is a TypeError or worse.
                message = (
                    f"no Kubernetes is configured: not in a pod, and no kubeconfig ({error}); set KUBECONFIG"
                )
                raise ConnectionError(message) from error
        self.configuration = configuration

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return str(self.configuration.host).rstrip("/")

    def namespace(self) -> str:
        """Return where this runs: the namespace of the pod, or else of the kubeconfig's context."""
        file = Path(incluster_config.SERVICE_TOKEN_FILENAME).with_name("namespace")
        if file.exists():
            return file.read_text(encoding="utf-8").strip()
        _, context = kube_config.list_kube_config_contexts()  # type: ignore[no-untyped-call]
        return context["context"].get("namespace") or "default"

    def ssl_context(self) -> ssl.SSLContext:
        """TLS as the configuration says, with client certificates if it has them."""
        return RESTClientObject(self.configuration).ssl_context

    async def authorization(self) -> str | None:
        """The value of the ``Authorization`` header; a token file that changed is read again.

        Raises ``ConnectionError`` where it cannot be.
        """
        try:
            token: str | None = await self.configuration.get_api_key_with_prefix("BearerToken")
        except Exception as error:
            # As in `load`: the file is gone or half-written, or the program that makes tokens failed.
            raise ConnectionError(f"the credentials cannot be renewed: {error}") from error
        if token is None and self.configuration.username:
            return str(self.configuration.get_basic_auth_token())
        return token

    def refused(self, status: int) -> bool:
        """Whether an answer is about who we are, not about what we may.

        A token file that was empty when it was read, as while it is written, makes us nobody.
        """
        found = self.configuration
        anonymous = not (found.api_key or found.username or found.cert_file)
        return status == 401 or (status == 403 and anonymous)

    def trust(self, context: ssl.SSLContext) -> None:
        """Let TLS that is in use trust the authorities of today, too."""
        if self.configuration.ssl_ca_cert:
            context.load_verify_locations(self.configuration.ssl_ca_cert)

    def session(
        self, context: ssl.SSLContext, *middlewares: aiohttp.ClientMiddlewareType
    ) -> aiohttp.ClientSession:
        """Open a session for somebody else; the middlewares authorize its requests."""
        connector = aiohttp.TCPConnector(limit=0, ssl=context)
        return aiohttp.ClientSession(connector=connector, middlewares=middlewares, trust_env=_has_proxy())


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
        self._session = aiohttp.ClientSession(connector=connector, trust_env=_has_proxy())
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
                        raise ApiError.from_body(500, "WatchError", orjson.dumps(event["object"]))
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
                        response.reason or "Error",
                        await response.read(),
                        response.headers.get("Retry-After"),
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

    async def _login_again(self, refused: Configuration) -> None:
        """Read the credentials anew, once for all requests that were refused with the same ones."""
        async with self._relogin:
            if self.credentials.configuration is refused:
                try:
                    await self._login()
                except OSError as error:  # a file of certificates may be half-written, too
                    self._refused(str(error))
                    raise ApiError(401, "Unauthorized", str(error)) from error
