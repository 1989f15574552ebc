"""Gives Python in a pod its view of the network: its own address and host name, and the cluster's names.

Wildcard addresses and localhost become the pod's address, so that pods can use the same ports. Names are read
from the files that `network.dns` writes. Every Python process in a pod imports this module, so it imports
little.
"""

# ruff: noqa: PTH100, PTH120, PTH123  # pathlib is slow to import

import os
import socket
import sys
from importlib.machinery import PathFinder

TYPE_CHECKING = False
"""Defined here because `typing` is slow to import."""
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_ADDRESS = os.environ["K8S_LOCAL_ADDRESS"]
_NAMES = os.environ["K8S_LOCAL_NAMES"]
_NAMESPACE = os.environ["K8S_LOCAL_NAMESPACE"]
_HOSTNAME = os.environ["HOSTNAME"]
_HERE = {"0.0.0.0", "127.0.0.1", "localhost", "::", "::1", "<any>"}  # noqa: S104
_DOMAIN = ".cluster.local"


def _read(namespace: str, name: str) -> list[str]:
    try:
        with open(f"{_NAMES}/{namespace}/{name}", encoding="ascii") as file:
            return file.read().split()
    except (OSError, ValueError):
        return []


def _lookup(host: "Any") -> list[str] | None:
    """Return the addresses of a name in the cluster, or None if the name is not in the cluster."""
    if isinstance(host, (bytes, bytearray)):
        host = host.decode("ascii", "replace")
    if not isinstance(host, str) or not host or "/" in host:
        return None
    name = host.lower().rstrip(".")
    if name == _HOSTNAME.lower() or name in _HERE:
        return [_ADDRESS]
    inside = name.removesuffix(_DOMAIN)
    rest, dot, namespace = inside.removesuffix(".svc").rpartition(".")
    if inside.endswith(".svc") or inside != name:
        return _read(namespace, rest) if dot else []
    return _read(_NAMESPACE, name) or (_read(namespace, rest) if dot else []) or None


def _patch_names() -> None:
    getaddrinfo, gethostbyaddr = socket.getaddrinfo, socket.gethostbyaddr

    def patched_getaddrinfo(  # noqa: PLR0913, PLR0917  # as in the standard library
        host: "Any", port: "Any", family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> "list[Any]":
        if host is None and not flags & socket.AI_PASSIVE:
            host = _ADDRESS
        addresses = _lookup(host)
        if addresses == []:
            raise socket.gaierror(socket.EAI_NONAME, f"Name or service not known: {host}")
        if family == socket.AF_UNSPEC:
            family = socket.AF_INET  # pods have IPv4 addresses only
        answers = [getaddrinfo(address, port, family, type, proto, flags) for address in addresses or [host]]
        return [info for answer in answers for info in answer]

    def patched_gethostbyname_ex(host: str) -> tuple[str, list[str], list[str]]:
        infos = patched_getaddrinfo(host or _ADDRESS, None, socket.AF_INET, socket.SOCK_STREAM)
        return (host, [], [info[4][0] for info in infos])

    def patched_gethostbyaddr(host: str) -> tuple[str, list[str], list[str]]:
        addresses = [_ADDRESS] if host == _ADDRESS else _lookup(host)
        if addresses:
            return (_HOSTNAME if addresses == [_ADDRESS] else host, [], addresses)
        if host.startswith("127."):
            raise socket.herror(1, "Unknown host")  # do not wait for a name server, which cannot know it
        return gethostbyaddr(host)

    socket.has_ipv6 = False
    socket.getaddrinfo = patched_getaddrinfo
    socket.gethostbyname_ex = patched_gethostbyname_ex
    socket.gethostbyname = lambda host: patched_gethostbyname_ex(host)[2][0]
    socket.gethostbyaddr = patched_gethostbyaddr
    socket.gethostname = lambda: _HOSTNAME


def _real_address(sock: socket.socket, address: "Any") -> "Any":
    """Return the real address for one that a program in the pod uses."""
    if sock.family not in {socket.AF_INET, socket.AF_INET6} or not isinstance(address, tuple):
        return address
    host = _ADDRESS if not address[0] else (_lookup(address[0]) or address)[0]
    if sock.family == socket.AF_INET6 and isinstance(host, str) and ":" not in host:
        host = f"::ffff:{host}"
    return (host, *address[1:])


def _patch_sockets() -> None:
    getsockname: Callable[[socket.socket], Any] = socket.socket.getsockname

    def patched_getsockname(sock: socket.socket) -> "Any":
        name = getsockname(sock)
        if sock.family == socket.AF_INET and sock.type == socket.SOCK_DGRAM and name[1]:
            return (_ADDRESS, name[1])  # programs find their own address with a datagram socket
        return name

    def patch(method: str) -> None:
        original = getattr(socket.socket, method)
        setattr(socket.socket, method, lambda sock, address: original(sock, _real_address(sock, address)))

    for method in ("bind", "connect", "connect_ex"):
        patch(method)
    socket.socket.getsockname = patched_getsockname  # type: ignore[method-assign,assignment]


def _run_shadowed_module() -> None:
    """Run the sitecustomize module that this one shadows, if there is one."""
    here = os.path.dirname(os.path.abspath(__file__))
    spec = PathFinder.find_spec("sitecustomize", [path for path in sys.path if os.path.abspath(path) != here])
    if spec is not None and spec.loader is not None:
        module = type(sys)("sitecustomize")
        module.__file__, module.__spec__ = spec.origin, spec
        spec.loader.exec_module(module)


_patch_names()
_patch_sockets()
_run_shadowed_module()
