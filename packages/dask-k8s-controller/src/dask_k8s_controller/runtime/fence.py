"""Stops a request of a controller that does not lead, at the moment at which it would be sent. No I/O."""

from collections.abc import Callable
from types import SimpleNamespace

import aiohttp

FENCED = SimpleNamespace()
"""The ``trace_request_ctx`` of a request that only the leader may send."""


class NotLeading(aiohttp.ClientError):
    """A request was not sent."""

    def __init__(self) -> None:
        super().__init__("the request was not sent, because another controller may lead")


def fence(may_send: Callable[[], bool]) -> aiohttp.TraceConfig:
    """Return a trace for a session in which `FENCED` requests raise `NotLeading` unless ``may_send()``.

    It asks after the wait for credentials and for a connection, immediately before the request is written.
    """

    async def check(_session: aiohttp.ClientSession, context: SimpleNamespace, _parameters: object) -> None:
        if context.trace_request_ctx is FENCED and not may_send():
            raise NotLeading

    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(check)
    return trace
