"""The TCP sockets below HTTP: kept alive, and closed at once when they are no longer needed."""

import asyncio
import socket
from contextlib import suppress
from weakref import WeakSet

import aiohttp

_CLOSE_SECONDS = 1.0
_DEAD_PEER_SECONDS = 30
"""The same as Dask's default for its own connections (``distributed.comm.timeouts.tcp``)."""


class Sockets:
    """The sockets of an aiohttp session; those that it has closed may still wait for a TLS shutdown."""

    def __init__(self) -> None:
        self._made: WeakSet[socket.socket] = WeakSet()

    def make(self, address: aiohttp.AddrInfoType) -> socket.socket:
        """Make a socket; this is the ``socket_factory`` of aiohttp."""
        made = socket.socket(*address[:3])
        _keep_alive(made)
        self._made.add(made)
        return made

    async def close(self) -> None:
        """Close all connections, and wait until the event loop has processed that: it may end right after."""
        for made in self._open():
            shut_down(made)
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                while self._open():  # noqa: ASYNC110  # there is no event for it
                    await asyncio.sleep(0)

    def _open(self) -> list[socket.socket]:
        return [made for made in self._made if made.fileno() != -1]


def break_off(response: aiohttp.ClientResponse) -> None:
    """Close the connection of a response that was not read to its end."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        shut_down(connection.transport.get_extra_info("socket"))


def shut_down(sock: socket.socket | None) -> None:
    """Close a connection at once; a TLS shutdown waits for the peer, and our loop may have ended by then."""
    if sock is not None:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def _keep_alive(sock: socket.socket) -> None:
    """Have the kernel detect a dead peer, also while data waits to be acknowledged."""
    # WebSocket pings would not do: a ping that is queued behind unread data would count as lost.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", 20),
        ("TCP_KEEPALIVE", 20),  # the same on macOS
        ("TCP_KEEPINTVL", 5),
        ("TCP_KEEPCNT", 2),
        ("TCP_USER_TIMEOUT", _DEAD_PEER_SECONDS * 1000),
    ):
        if hasattr(socket, option):  # each platform has some of them
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
