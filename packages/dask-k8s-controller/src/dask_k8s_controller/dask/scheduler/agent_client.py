"""Ask the agent in a scheduler: JSON over HTTP, a bearer token, and no trust in what comes back.

Nothing that a scheduler sends is executed, unpickled or followed elsewhere: it is an answer, or refused.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

from dask_k8s_controller.dask.scheduler import stock_routes
from dask_k8s_controller.dask.scheduler.answers import AgentError, Demand, Idle, Known, Retired

BASE = "/dask-k8s/v1"
ANSWER_SECONDS = 3.0
"""A scheduler that takes longer is silent."""
HANDOVER_SECONDS = 0.5
"""So long the agent may wait for the end of a hand-over before it answers."""
REST_SECONDS = 5.0
"""A scheduler that did not answer is left alone for so long: many of them must not hold up the others."""
LARGEST_ANSWER = 2**22


@dataclass(frozen=True, slots=True)
class AgentEndpoint:
    """Where an agent is found: the scheduler's pod, ``host:port`` of its dashboard, and the token."""

    pod: str
    address: str
    token: str


class Agents:
    """The HTTP session with all agents, and which of them do not answer.

    Use as an async context manager.
    """

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._resting: dict[AgentEndpoint, tuple[float, AgentError]] = {}

    async def __aenter__(self) -> Self:
        """Open the session."""
        # Not by the environment's proxies: pods are near, and the token is for them alone.
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()

    def at(self, place: AgentEndpoint) -> "SchedulerAgent":
        """Return the agent at a place; nothing is asked yet."""
        return SchedulerAgent(self, place)

    async def ask(
        self, place: AgentEndpoint, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> bytes:
        """Return the body of an answer of status 200; raise `AgentError` otherwise."""
        if self._session is None:
            raise RuntimeError("the session with the agents is not open: use `async with Agents()`")
        until, error = self._resting.get(place, (0.0, None))
        if error is not None and until > asyncio.get_running_loop().time():
            raise error
        try:
            async with self._session.request(
                method,
                f"http://{place.address}{path}",
                data=None if body is None else orjson.dumps(body),
                headers={"Authorization": f"Bearer {place.token}", "Content-Type": "application/json"},
                timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
                allow_redirects=False,
            ) as response:
                return await _read(response, place)
        except TimeoutError:
            raise self._rest(place, "SchedulerSilent", f"no answer in {ANSWER_SECONDS:.0f} s") from None
        except (aiohttp.ClientError, OSError) as problem:
            what = str(problem) or type(problem).__name__
            raise self._rest(place, "SchedulerUnreachable", what) from problem

    def _rest(self, place: AgentEndpoint, reason: str, what: str) -> AgentError:
        now, error = asyncio.get_running_loop().time(), AgentError(reason, _sentence(place, what))
        self._resting = {each: rest for each, rest in self._resting.items() if rest[0] > now}
        self._resting[place] = (now + REST_SECONDS, error)
        return error


@dataclass(frozen=True, slots=True)
class SchedulerAgent:
    """`dask_k8s_controller.runtime.plugin.Agent` over HTTP."""

    agents: Agents
    place: AgentEndpoint

    async def demand(self) -> Demand:
        """Return what there is to do and with what."""
        body = await self.agents.ask(self.place, "GET", f"{BASE}/demand")
        with _Reading(self.place):
            return Demand.read(body)

    async def idle(self) -> float | None:
        """Return for how many seconds there has been nothing to do; None while there is."""
        body = await self.agents.ask(self.place, "GET", f"{BASE}/idle")
        with _Reading(self.place):
            return Idle.read(body).idle_seconds

    async def known(self, pods: Mapping[str, str]) -> frozenset[str]:
        """Return of which of these pods a worker has registered; by Dask's own routes if need be."""
        try:
            body = await self.agents.ask(self.place, "POST", f"{BASE}/known", {"pods": dict(pods)})
        except AgentError as error:
            if error.reason != "AgentMissing":
                raise
            body = await self.agents.ask(self.place, "GET", stock_routes.WORKERS)
            with _Reading(self.place):
                return stock_routes.known(stock_routes.Workers.read(body), pods)
        with _Reading(self.place):
            return Known.read(body).known & pods.keys()

    async def retire(self, pods: Mapping[str, str], count: int) -> Retired:
        """Have so many of these pods' workers hand over; where there is no agent, by Dask's own routes."""
        question = {"pods": dict(pods), "count": count, "wait": HANDOVER_SECONDS}
        try:
            body = await self.agents.ask(self.place, "POST", f"{BASE}/retire", question)
        except AgentError as error:
            if error.reason != "AgentMissing":
                raise
            return await self._retire_by_stock_routes(pods, count)
        with _Reading(self.place):
            return Retired.read(body).among(pods)

    async def _retire_by_stock_routes(self, pods: Mapping[str, str], count: int) -> Retired:
        body = await self.agents.ask(self.place, "GET", stock_routes.WORKERS)
        with _Reading(self.place):
            workers = stock_routes.Workers.read(body)
        chosen = stock_routes.choose(workers, pods, count)
        addresses = [address for own in chosen.values() for address in own]
        if not addresses:
            return Retired(gone=frozenset(chosen))
        await self.agents.ask(self.place, "POST", stock_routes.RETIRE, {"workers": addresses})
        body = await self.agents.ask(self.place, "GET", stock_routes.WORKERS)
        with _Reading(self.place):
            return stock_routes.outcome(stock_routes.Workers.read(body), chosen)


@dataclass(frozen=True, slots=True)
class _Reading:
    """Turns what is wrong with an answer into an `AgentError`."""

    place: AgentEndpoint

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, ValueError):
            raise AgentError(
                "BadAnswer", _sentence(self.place, f"an answer that is none: {error}")
            ) from error


async def _read(response: aiohttp.ClientResponse, place: AgentEndpoint) -> bytes:
    if response.status == HTTPStatus.UNAUTHORIZED:
        raise AgentError("Unauthorized", _sentence(place, "it refuses the token"))
    if response.status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        raise AgentError("AgentMissing", _sentence(place, "the agent is not there; see the pod's log"))
    if response.status != HTTPStatus.OK:
        raise AgentError("BadAnswer", _sentence(place, f"status {response.status}"))
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise AgentError("BadAnswer", _sentence(place, f"more than {LARGEST_ANSWER} bytes"))
    return bytes(body)


def _sentence(place: AgentEndpoint, what: str) -> str:
    return f"scheduler pod {place.pod} at {place.address}: {what}"
