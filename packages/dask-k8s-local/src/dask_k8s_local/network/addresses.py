"""Allocates loopback addresses of the node, pods and Services. Knows no objects."""

import errno
import ipaddress
import random
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Self

_GUARD_PORT = 10127
"""The server that listens on this port of a block's first address owns the block."""
_ATTEMPTS = 50
_HALF = 1 << 15


class NoLoopback(Exception):
    """This machine has too few loopback addresses; the message says what to do."""


class AddressesExhausted(Exception):
    """Every address of the range is in use."""


class Pool:
    """A range of addresses, allocated in turn, so that a released one is not reused soon."""

    def __init__(self, first: int, size: int) -> None:
        self._first = first
        self._size = size
        self._next = 0
        self._used: set[str] = set()

    def take(self) -> str:
        """Allocate and return a free address."""
        for _ in range(self._size):
            address = str(ipaddress.IPv4Address(self._first + self._next))
            self._next = (self._next + 1) % self._size
            if self.claim(address):
                return address
        raise AddressesExhausted("no free address is left")

    def claim(self, address: str) -> bool:
        """Allocate this address; return whether it was free."""
        if address in self._used or not self.holds(address):
            return False
        self._used.add(address)
        return True

    def holds(self, address: str) -> bool:
        """Return whether the address is in this range."""
        return 0 <= int(ipaddress.IPv4Address(address)) - self._first < self._size

    def release(self, address: str) -> None:
        """Release an address."""
        self._used.discard(address)


class Block:
    """The addresses of one server, 127.x.0.0/16: the node, pods and Services.

    The server owns them while the guard socket is open.
    """

    def __init__(self, second: int, guard: socket.socket) -> None:
        self._guard = guard
        base = int(ipaddress.IPv4Address(f"127.{second}.0.0"))
        self.node = str(ipaddress.IPv4Address(base + 1))
        self.pods = Pool(base + 257, _HALF - 257)
        self.services = Pool(base + _HALF + 1, _HALF - 2)
        self.pod_cidr = f"127.{second}.0.0/17"
        self.service_cidr = f"127.{second}.128.0/17"

    @classmethod
    def reserve(cls) -> Self:
        """Reserve a block that no other server on this machine uses."""
        for second in _candidates():
            guard = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                guard.bind((f"127.{second}.0.1", _GUARD_PORT))
                guard.listen(1)
            except OSError as error:
                guard.close()
                if error.errno == errno.EADDRNOTAVAIL:
                    raise NoLoopback(_NO_LOOPBACK) from None
                continue
            return cls(second, guard)
        raise NoLoopback(
            f"no part of 127.0.0.0/8 is free: port {_GUARD_PORT} is in use in every part that was tried"
        )

    def close(self) -> None:
        """Release the block."""
        self._guard.close()


def free_port(address: str, ports: Sequence[int]) -> int:
    """Return one of these ports that is not in use at this address."""
    for port in random.sample(ports, len(ports)):
        with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
            return port
    raise AddressesExhausted(f"no free port is left at {address}")


def _candidates() -> Iterator[int]:
    yield from random.sample(range(2, 254), _ATTEMPTS)


_NO_LOOPBACK = (
    "every pod needs its own loopback address, and this machine has only 127.0.0.1 (like macOS). "
    "Use Linux, or another cluster such as kind or k3d, and set KUBECONFIG."
)
