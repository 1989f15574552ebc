"""Probes and hooks: HTTP, TCP, exec and sleep. Changes nothing except through callbacks."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import aiohttp

from dask_k8s_local.network.backends import container_port
from dask_k8s_local.network.errors import error_text
from dask_k8s_local.store import Object

ProbeResult = Literal["Success", "Failure"]
Execute = Callable[[Sequence[str]], Awaitable[tuple[int, str]]]

_HEADERS = {"User-Agent": "kube-probe/1.34", "Accept": "*/*"}
_OUTPUT_MAX = 10 * 1024


class ProbeError(Exception):
    """The probe cannot be executed; no result is counted."""


@dataclass(frozen=True)
class Target:
    """The container to probe, its address, and how to execute a command in it."""

    container: Object
    address: str
    http: aiohttp.ClientSession
    execute: Execute

    async def execute_handler(self, handler: Mapping[str, Any], timeout: float | None) -> str | None:
        """Execute a probe or hook; return a message about its failure, or None."""
        if get := handler.get("httpGet"):
            return await self._get(get, timeout)
        if socket := handler.get("tcpSocket"):
            return await self._connect(socket, timeout)
        if command := handler.get("exec"):
            return await self._execute(command.get("command") or (), timeout)
        if sleep := handler.get("sleep"):
            await asyncio.sleep(sleep["seconds"])
            return None
        raise ProbeError(f"dask-k8s-local does not support probes of this kind: {', '.join(handler)}")

    def _host_and_port(self, handler: Mapping[str, Any]) -> tuple[str, int]:
        port = container_port({"spec": {"containers": [self.container]}}, handler["port"])
        if port is None:
            raise ProbeError(f"couldn't find port: {handler['port']}")
        return handler.get("host") or self.address, port

    async def _get(self, get: Mapping[str, Any], timeout: float | None) -> str | None:
        host, port = self._host_and_port(get)
        path = (get.get("path") or "/").removeprefix("/")
        url = f"{get.get('scheme', 'HTTP').lower()}://{host}:{port}/{path}"
        headers = _HEADERS | {header["name"]: header["value"] for header in get.get("httpHeaders") or ()}
        try:
            async with asyncio.timeout(timeout), self.http.get(url, headers=headers, ssl=False) as answer:
                if 200 <= answer.status < 400:
                    return None
                return f"HTTP probe failed with statuscode: {answer.status}"
        except TimeoutError:
            return f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
        except aiohttp.ClientConnectorError as error:
            return f'Get "{url}": dial tcp {host}:{port}: connect: {error_text(error)}'
        except (aiohttp.ClientError, OSError) as error:
            return f'Get "{url}": {error!r}'

    async def _connect(self, socket: Mapping[str, Any], timeout: float | None) -> str | None:
        host, port = self._host_and_port(socket)
        try:
            async with asyncio.timeout(timeout):
                _, writer = await asyncio.open_connection(host, port)
        except TimeoutError:
            return f"dial tcp {host}:{port}: i/o timeout"
        except OSError as error:
            return f"dial tcp {host}:{port}: connect: {error_text(error)}"
        writer.close()
        return None

    async def _execute(self, command: Sequence[str], timeout: float | None) -> str | None:
        try:
            async with asyncio.timeout(timeout):
                code, output = await self.execute(command)
        except TimeoutError:
            return f'command timed out: "{" ".join(command)}" timed out after {timeout:g}s'
        return None if code == 0 else output[:_OUTPUT_MAX]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A probe with its timing and thresholds, with the defaults of Kubernetes."""

    handler: Mapping[str, Any]
    initial_delay: float
    period: float
    timeout: float
    failures: int
    successes: int

    @classmethod
    def parse(cls, probe: Mapping[str, Any]) -> Self:
        """Parse a probe of a container."""
        kinds = ("httpGet", "tcpSocket", "exec", "grpc")
        return cls(
            handler={kind: probe[kind] for kind in kinds if probe.get(kind)},
            initial_delay=probe.get("initialDelaySeconds") or 0,
            period=probe.get("periodSeconds") or 10,
            timeout=probe.get("timeoutSeconds") or 1,
            failures=probe.get("failureThreshold") or 3,
            successes=probe.get("successThreshold") or 1,
        )

    async def run(
        self, target: Target, on_result: Callable[[ProbeResult], bool], failed: Callable[[str], None]
    ) -> None:
        """Run the probe until `on_result` returns False; `failed` is called with each failure."""
        loop = asyncio.get_running_loop()
        successes = failures = 0
        due = loop.time()
        while True:
            problem = await target.execute_handler(self.handler, self.timeout)
            if problem is None:
                successes, failures = successes + 1, 0
            else:
                successes, failures = 0, failures + 1
                failed(problem)
            if successes >= self.successes and not on_result("Success"):
                return
            if failures >= self.failures and not on_result("Failure"):
                return
            due = max(due + self.period, loop.time())
            await asyncio.sleep(due - loop.time())
