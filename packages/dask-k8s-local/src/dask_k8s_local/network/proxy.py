"""A TCP proxy for one port of a Service. Knows no objects.

Connections are held until a pod accepts them: clients such as Dask's nanny give up after a reset.
If no pod is expected, `refuse` makes the port refuse connections, as a real Service does.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import cast

Backend = tuple[str, int]
Place = tuple[str, int]
"""An address and a port."""

_RETRY_SECONDS = 0.1
_EARLY_BYTES_MAX = 1 << 16
_BACKLOG = 1024


class Proxy:
    """A listening port; `backends` returns the addresses that can be tried now."""

    def __init__(self, backends: Callable[[], Sequence[Backend]]) -> None:
        self.backends = backends
        self.clients: set[_Client] = set()
        self.refuses = True
        self._servers: dict[Place, asyncio.Server] = {}

    @property
    def places(self) -> AbstractSet[Place]:
        """Return the addresses and ports at which the proxy listens."""
        return self._servers.keys()

    @property
    def busy(self) -> bool:
        """Return whether there are open connections."""
        return bool(self.clients)

    async def listen(self, address: str, port: int) -> None:
        """Listen at an additional place."""
        self.refuses = False
        await asyncio.sleep(0)  # lets a proxy that has just stopped listening here release the port
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Client(self), address, port, backlog=_BACKLOG)
        self._servers[address, port] = server

    def leave(self, address: str, port: int) -> None:
        """Stop listening at a place; all connections stay open."""
        loop = asyncio.get_running_loop()
        server = self._servers.pop((address, port))
        for sock in server.sockets:
            loop.remove_reader(sock.fileno())
        # Later, because closing during an accept fails an assertion in Python 3.11.
        loop.call_soon(server.close)

    def refuse(self) -> None:
        """Stop listening; abort connections that still wait for a pod, and keep the others."""
        self.refuses = True
        for place in [*self._servers]:
            self.leave(*place)
        for client in [*self.clients]:
            if client.peer is None:
                client.abort()

    def close(self) -> None:
        """Stop listening and abort all connections."""
        self.refuse()
        for client in [*self.clients]:
            client.abort()


class _End(asyncio.Protocol):
    """One side of a connection; sends what it receives to its peer."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.peer: _End | None = None
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.peer and self.peer.transport:
            self.peer.transport.write(data)

    def eof_received(self) -> bool:
        self.ended = True
        if self.peer and self.peer.transport and not self.peer.transport.is_closing():
            self.peer.transport.write_eof()
        return self.peer is not None and not self.peer.ended  # half closed: the other direction stays open

    def pause_writing(self) -> None:
        if self.peer and self.peer.transport:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer and self.peer.transport:
            self.peer.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the peer is closed in any case
        if self.peer:
            self.peer.close()

    def close(self) -> None:
        if self.transport:
            self.transport.close()

    def abort(self) -> None:
        for end in (self, self.peer):
            if end and end.transport:
                end.transport.abort()


class _Client(_End):
    """The client's side: waits for a pod and buffers early data."""

    def __init__(self, proxy: Proxy) -> None:
        super().__init__()
        self._proxy = proxy
        self._search: asyncio.Task[None] | None = None
        self._early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._proxy.clients.add(self)
        if self._proxy.refuses:  # since the connection was accepted
            self.abort()
            return
        self._search = asyncio.get_running_loop().create_task(self._find_peer())

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._proxy.clients.discard(self)
        if self._search:
            self._search.cancel()

    def data_received(self, data: bytes) -> None:
        if self.peer:
            super().data_received(data)
            return
        self._early += data
        if self.transport and len(self._early) > _EARLY_BYTES_MAX:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        if self.peer:
            return super().eof_received()
        self.ended = True
        return bool(self._early)  # keep the connection if the client waits for a response

    async def _find_peer(self) -> None:
        while True:
            for address, port in random.sample(backends := self._proxy.backends(), len(backends)):
                with contextlib.suppress(OSError):
                    loop = asyncio.get_running_loop()
                    _, peer = await loop.create_connection(_End, address, port)
                    self._join(peer)
                    return
            await asyncio.sleep(_RETRY_SECONDS)

    def _join(self, peer: _End) -> None:
        self.peer, peer.peer = peer, self
        super().data_received(self._early)
        self._early = b""
        if self.transport and not self.transport.is_closing():
            self.transport.resume_reading()
        if self.ended:
            super().eof_received()
