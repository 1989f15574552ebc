"""The HTTP client of the agents in schedulers.

Schedulers are not trusted: nothing that one sends is executed, unpickled, decompressed, kept as a cookie or
used as an address. An answer either fits its model and its limits or is rejected.
"""

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from io import BytesIO
from typing import Any, Self

import aiohttp
import orjson
from prometheus_client import Counter

from dask_k8s_controller.dask.scheduler import dask_api
from dask_k8s_controller.dask.scheduler.answers import (
    REASONS,
    A,
    AgentError,
    Demand,
    Idle,
    Known,
    Left,
    Retired,
)
from dask_k8s_controller.dask.scheduler.limits import LARGEST_ANSWER, shorten
from dask_k8s_controller.runtime.fence import FENCED, fence
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.throttle import Throttle

AGENT_ERRORS = Counter(
    "dask_k8s_agent_errors", "Requests to schedulers without a valid answer, by the reason.", ["reason"]
)
BASE = "/dask-k8s/v1"
ANSWER_SECONDS = 3.0
"""Timeout of a request."""
RETIRE_WAIT_SECONDS = 0.5
"""How long the agent may wait for the end of a retirement before it answers."""
REST_SECONDS = 5.0
"""How long a scheduler that did not answer is left alone, so that it does not delay other clusters."""
RECEIVE_BUFFER = 2**14
"""The size of the kernel's buffer of a connection. It limits how much the event loop reads at once, and so
how long it is busy with an answer in chunks of one byte."""
LARGE = 2**16
"""Answers of more bytes are parsed in a thread, so that the event loop goes on meanwhile."""
MAX_CONCURRENT_REQUESTS = 256
"""Each needs a file descriptor, and many schedulers may be silent until the timeout at the same time."""


for each in REASONS:
    AGENT_ERRORS.labels(each)  # a counter that starts at 0 shows the first error as an increase


@dataclass(frozen=True, slots=True)
class Successors:
    """Workers that will take the data of those that retire.

    Attributes:
        count: How many workers the cluster will have besides those that retire.
        seconds: For how long those that retire wait for the first of them, if no other worker stays.
    """

    count: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class AgentEndpoint:
    """Where an agent listens: the scheduler's pod, ``host:port`` of its dashboard, and the token."""

    pod: Key
    address: str
    token: str = field(repr=False)

    def error(self, reason: str, message: str) -> AgentError:
        """Return an error of this agent, and count it."""
        AGENT_ERRORS.labels(reason).inc()
        return AgentError(reason, f"scheduler pod {self.pod.name} at {self.address}: {message}")


class Agents:
    """The HTTP session for all agents, as an async context manager, and those that did not answer lately.

    A request is sent only if ``may_send`` returns True at that moment, because it may change a scheduler.
    """

    def __init__(self) -> None:
        self.may_send: Callable[[], bool] = lambda: True
        self.throttle = Throttle(slots=MAX_CONCURRENT_REQUESTS)
        self._session: aiohttp.ClientSession | None = None
        self._silent: OrderedDict[AgentEndpoint, tuple[float, AgentError]] = OrderedDict()
        """In the order in which they may be asked again."""

    async def __aenter__(self) -> Self:
        # Without the environment's proxies: pods are reached directly, and no proxy may see the token.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60, socket_factory=_socket),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"Accept-Encoding": "identity", "User-Agent": "dask-k8s-controller"},
            trace_configs=[fence(lambda: self.may_send())],  # noqa: PLW0108  # the attribute may be set later
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    def at(self, endpoint: AgentEndpoint) -> "SchedulerAgent":
        """Return the agent at an endpoint, without a request."""
        return SchedulerAgent(self, endpoint)

    async def ask(
        self, endpoint: AgentEndpoint, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> bytes:
        """Return the body of an answer of status 200; raise `AgentError` otherwise."""
        if self._session is None:
            raise RuntimeError("the session with the agents is not open: use `async with Agents()`")
        until, error = self._silent.get(endpoint, (0.0, None))
        if error is not None and until > asyncio.get_running_loop().time():
            raise error
        try:
            async with (
                self.throttle.slot(endpoint.pod),
                self._session.request(
                    method,
                    f"http://{endpoint.address}{path}",
                    data=None if body is None else BytesIO(orjson.dumps(body)),
                    headers={"Authorization": f"Bearer {endpoint.token}", "Content-Type": "application/json"},
                    timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
                    allow_redirects=False,
                    trace_request_ctx=FENCED,
                ) as response,
            ):
                return await _read(response, endpoint)
        except TimeoutError:
            silent = endpoint.error("SchedulerSilent", f"no answer in {ANSWER_SECONDS:.0f} s")
            raise self._leave_alone(silent, endpoint) from None
        except (aiohttp.ClientError, OSError) as error:
            message = shorten(str(error)) or type(error).__name__
            raise self._leave_alone(endpoint.error("SchedulerUnreachable", message), endpoint) from error

    def _leave_alone(self, error: AgentError, endpoint: AgentEndpoint) -> AgentError:
        """Let requests to an endpoint fail with this error for a while; return it."""
        now = asyncio.get_running_loop().time()
        while self._silent and next(iter(self._silent.values()))[0] <= now:
            self._silent.popitem(last=False)
        self._silent[endpoint] = (now + REST_SECONDS, error)
        self._silent.move_to_end(endpoint)
        return error


@dataclass(frozen=True, slots=True)
class SchedulerAgent:
    """`dask_k8s_controller.dask.world.Agent` over HTTP."""

    agents: Agents
    endpoint: AgentEndpoint

    async def demand(self) -> Demand:
        """Return the work of the scheduler and the workers that it has for it."""
        return await self._ask(Demand, "GET", f"{BASE}/demand")

    async def idle(self) -> float | None:
        """Return for how many seconds the scheduler has been idle, None while it is not."""
        return (await self._ask(Idle, "GET", f"{BASE}/idle")).idle_seconds

    async def known(self, pods: Mapping[str, str]) -> frozenset[str]:
        """Return which pods have a registered worker; without an agent, by Dask's own API."""
        try:
            answer = await self._ask(Known, "POST", f"{BASE}/known", _question(pods))
        except AgentError as error:
            if error.reason != "AgentMissing":
                raise
            workers = await self._ask(dask_api.Workers, "GET", dask_api.WORKERS)
            addresses = await asyncio.to_thread(dask_api.by_pod, workers, pods)
            return frozenset(pod for pod, own in addresses.items() if own)
        return answer.known & pods.keys()

    async def left(self, pods: Mapping[str, str]) -> Mapping[str, float]:
        """Return how many seconds ago workers in these pods, or with their addresses, left the scheduler."""
        answer = await self._ask(Left, "POST", f"{BASE}/left", _question(pods))
        return {pod: seconds for pod, seconds in answer.left.items() if pod in pods}

    async def retire(self, pods: Mapping[str, str], count: int, successors: Successors) -> Retired:
        """Retire the workers of ``count`` pods; without an agent, by Dask's own API."""
        request = _question(pods) | {
            "count": count,
            "wait": RETIRE_WAIT_SECONDS,
            "successors": asdict(successors),
        }
        try:
            answer = await self._ask(Retired, "POST", f"{BASE}/retire", request)
        except AgentError as error:
            if error.reason != "AgentMissing":
                raise
            return await self._retire_by_dask_api(pods, count)
        return answer.only(pods)

    async def _retire_by_dask_api(self, pods: Mapping[str, str], count: int) -> Retired:
        workers = await self._ask(dask_api.Workers, "GET", dask_api.WORKERS)
        chosen = await asyncio.to_thread(dask_api.choose, workers, pods, count)
        addresses = [address for own in chosen.values() for address in own]
        if not addresses:
            return Retired(gone=frozenset(chosen))
        await self.agents.ask(self.endpoint, "POST", dask_api.RETIRE, {"workers": addresses})
        left = await self._ask(dask_api.Workers, "GET", dask_api.WORKERS)
        return dask_api.outcome(left, chosen)

    async def _ask(self, answer: type[A], method: str, path: str, body: Mapping[str, Any] | None = None) -> A:
        """Return the answer to a request; raise `AgentError` if there is none, or an invalid one."""
        content = await self.agents.ask(self.endpoint, method, path, body)
        pods = len(body["pods"]) if body is not None else 0
        try:
            if len(content) > LARGE:
                return await asyncio.to_thread(answer.read, content, pods)
            return answer.read(content, pods)
        except ValueError as error:
            raise self.endpoint.error("BadAnswer", f"its answer is invalid: {error}") from error


def _question(pods: Mapping[str, str]) -> dict[str, Any]:
    """Return a question about pods. Agents of the first version know one IP address of each pod."""
    several = {pod: ips for pod, ips in pods.items() if "," in ips}
    question: dict[str, Any] = {"pods": {pod: ips.partition(",")[0] for pod, ips in pods.items()}}
    return question | {"ips": several} if several else question


async def _read(response: aiohttp.ClientResponse, endpoint: AgentEndpoint) -> bytes:
    if response.status == HTTPStatus.UNAUTHORIZED:
        raise endpoint.error("Unauthorized", "it refuses the token")
    if response.status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        raise endpoint.error("AgentMissing", "the agent is not there; see the pod's log")
    if response.status != HTTPStatus.OK:
        raise endpoint.error("BadAnswer", f"status {response.status}")
    if encoding := response.headers.get("Content-Encoding"):
        raise endpoint.error(
            "BadAnswer", f"it is encoded as {shorten(encoding)}, and no encoding is accepted"
        )
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise endpoint.error("BadAnswer", f"its answer has more than {LARGEST_ANSWER} bytes")
    return bytes(body)


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    made = socket.socket(*address[:3])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    return made
