"""Connections seen as what they are underneath: kept alive, or ended for good. No HTTP."""

import asyncio
import socket
from contextlib import suppress
from weakref import WeakSet

import aiohttp

_CLOSE_SECONDS = 1.0
# As Dask has it for connections of its own (distributed.comm.timeouts.tcp).
_PATIENCE = 30


class Sockets:
    """All that a session has made; those that it has let go of may still wait for a farewell of TLS."""

    def __init__(self) -> None:
        self._made: WeakSet[socket.socket] = WeakSet()

    def make(self, address: aiohttp.AddrInfoType) -> socket.socket:
        """Make a socket, as aiohttp wants it (``socket_factory``)."""
        family, kind, protocol, _, _ = address
        made = socket.socket(family, kind, protocol)
        _keep_alive(made)
        self._made.add(made)
        return made

    async def close(self) -> None:
        """End all connections, and give the loop the turns that it needs for that: it may end now."""
        for made in self._open():
            shut_down(made)
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                while self._open():  # noqa: ASYNC110  # transports close them and tell nobody
                    await asyncio.sleep(0)

    def _open(self) -> list[socket.socket]:
        return [made for made in self._made if made.fileno() != -1]


def break_off(response: aiohttp.ClientResponse) -> None:
    """End the connection of a stream that was not read to its end."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        shut_down(connection.transport.get_extra_info("socket"))


def shut_down(sock: socket.socket | None) -> None:
    """End a connection at once: TLS waits for the other side's farewell, and our loop may be gone by then."""
    if sock is not None:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def _keep_alive(sock: socket.socket) -> None:
    """Have the kernel notice a peer that is gone, also while what was sent to it waits to be acknowledged.

    Not WebSocket pings: one that waits behind data which the other end has not read yet counts as lost.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", 20),
        ("TCP_KEEPALIVE", 20),  # the same on macOS
        ("TCP_KEEPINTVL", 5),
        ("TCP_KEEPCNT", 2),
        ("TCP_USER_TIMEOUT", _PATIENCE * 1000),
    ):
        if hasattr(socket, option):  # not everywhere the same, and better than nothing where absent
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
