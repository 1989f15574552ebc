"""Requests to the API server in virtual time: slow, and as unreliable as a test sets them."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field, replace
from email.utils import format_datetime
from typing import Any

from dask_k8s_controller.runtime.clock import Clock
from dask_k8s_controller.runtime.objects import Key, key_of
from dask_k8s_crds.api_errors import ApiError

from .model import RESOURCES, Model, now


@dataclass(frozen=True)
class Faults:
    """Shares of requests that go wrong, and the seconds that requests and watch events take at most."""

    lost: float = 0.0
    unanswered: float = 0.0
    refused: float = 0.0
    latency: float = 0.01
    lag: float = 0.01
    cut: float = 0.0
    """Of watch events, before which the watch ends."""


@dataclass
class ModelApi:
    """`dask_k8s_controller.runtime.api.Api` with a model behind it."""

    model: Model
    faults: Faults = field(default_factory=Faults)
    clock: Clock | None = None
    """Learns the time of the API server, as `Api.clock` does."""
    writes: int = 0
    may_write: Callable[[], bool] = lambda: True
    login_problem: str = ""
    let_go: set[str] = field(default_factory=set)
    """Uids of what the controller tried to delete, whether or not that arrived."""

    def calm(self) -> None:
        """Let nothing go wrong from now on."""
        self.faults = replace(self.faults, lost=0.0, unanswered=0.0, refused=0.0, lag=0.01, cut=0.0)

    async def get(self, path: str, **_: str) -> dict[str, Any]:
        await self._way()
        key = _key(path)
        if not key.name:
            return self.model.listing(key.resource)
        return self.model.get(key)

    async def create(self, path: str, body: dict[str, Any], *, fenced: bool = True) -> dict[str, Any]:
        return await self._write(self.model.create, key_of(_key(path).resource, body), body, fenced=fenced)

    async def patch(self, path: str, body: dict[str, Any], *, fenced: bool = True) -> dict[str, Any]:
        is_status = path.endswith("/status")
        return await self._write(self.model.patch, _key(path), body, status=is_status, fenced=fenced)

    async def delete(self, path: str, uid: str, version: int | None = None) -> None:
        self.let_go.add(uid)
        await self._write(self.model.delete, _key(path), uid, version)

    async def watch(
        self, path: str, *, on_open: Callable[[], None] = lambda: None, **parameters: str
    ) -> AsyncGenerator[dict[str, Any]]:
        """Yield events in order, each as late as the lag at its time."""
        await self._way()
        on_open()
        until = asyncio.get_running_loop().time() + float(parameters["timeoutSeconds"])
        since = int(parameters["resourceVersion"] or self.model.version)
        late: asyncio.Queue[tuple[float, dict[str, Any] | ApiError]] = asyncio.Queue()

        async def listen() -> None:
            try:
                async for event in self.model.events(_key(path).resource, since):
                    late.put_nowait((asyncio.get_running_loop().time() + self._draw(self.faults.lag), event))
            except ApiError as error:
                late.put_nowait((0.0, error))

        listening = asyncio.create_task(listen())
        try:
            async with asyncio.timeout_at(until):
                while True:
                    when, event = await late.get()
                    await asyncio.sleep(when - asyncio.get_running_loop().time())
                    if isinstance(event, ApiError):
                        raise event
                    if self._happens(self.faults.cut):
                        raise ApiError(0, "Unreachable", "cut")
                    yield event
        except TimeoutError:
            pass
        finally:
            listening.cancel()

    async def _write(self, verb: Any, key: Key, *args: Any, fenced: bool = True, **more: Any) -> Any:
        if fenced and not self.may_write():
            raise ApiError(0, "Unreachable", "another controller may lead")
        self.writes += 1
        await self._way()
        answer = verb(key, *args, **more)
        await asyncio.sleep(self._draw(self.faults.latency))
        if self._happens(self.faults.unanswered):
            raise ApiError(
                *self.model.random.choice([(0, "Unreachable", "no answer"), (500, "InternalError", "?")])
            )
        return answer

    async def _way(self) -> None:
        sent = asyncio.get_running_loop().time()
        await asyncio.sleep(self._draw(self.faults.latency))
        if self.clock is not None:
            self.clock.observe(format_datetime(now(), usegmt=True), sent)
        if self._happens(self.faults.lost):
            raise ApiError(
                *self.model.random.choice([(0, "Unreachable", "lost"), (500, "InternalError", "?")])
            )
        if self._happens(self.faults.refused):
            raise ApiError(429, "TooManyRequests", "later", retry_after=self._draw(3.0))

    def _happens(self, share: float) -> bool:
        return self.model.random.random() < share

    def _draw(self, at_most: float) -> float:
        return self.model.random.uniform(0, at_most)


def _key(path: str) -> Key:
    """The object or collection at ``/…/namespaces/NS/PLURAL[/NAME[/SUBRESOURCE]]``."""
    _, _, rest = path.partition("/namespaces/")
    namespace, plural, *names = rest.split("/")
    return Key(RESOURCES[plural], namespace, names[0] if names else "")
