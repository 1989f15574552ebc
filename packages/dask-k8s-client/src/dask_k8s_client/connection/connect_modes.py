"""The connect modes: which were asked for, and which fits a cluster. Pure."""

import enum
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from dask_k8s_client.arguments import JSON
from dask_k8s_client.observed import located


class ConnectMode(enum.StrEnum):
    """How to reach a scheduler."""

    AUTO = "auto"
    """Depends on whether we are inside Kubernetes and on the type of the scheduler's service."""
    SERVICE = "service"
    """Through the DNS name of its service, which resolves inside Kubernetes."""
    PORT_FORWARD = "portforward"
    """Through the Kubernetes API."""
    LOAD_BALANCER = "loadbalancer"
    """Through the load balancer of its service."""
    NODE_PORT = "nodeport"
    """Through the node that it runs on."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address that the user has provided by other means, such as an ingress or a tunnel."""

    url: str
    """In Dask's form: ``tcp://host:8786``."""
    host: str

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the address, or None if the text is not one."""
        try:
            parts = urlsplit(text)
            complete = parts.scheme and parts.hostname and parts.port
        except ValueError:  # the port is not a number
            return None
        return cls(text, parts.hostname or "") if complete else None


Connect = ConnectMode | Address

_SERVICE_TYPES = {
    ConnectMode.LOAD_BALANCER: ("LoadBalancer",),
    ConnectMode.NODE_PORT: ("NodePort", "LoadBalancer"),
}
"""The service types that a mode works with, the one to recommend first."""
_DEFAULT_MODES = {"NodePort": ConnectMode.NODE_PORT, "LoadBalancer": ConnectMode.LOAD_BALANCER}

PORT_FORWARD_HINT = f'connect="{ConnectMode.PORT_FORWARD}" goes through the Kubernetes API instead'


def parse(connect: str, port_forward: bool | None) -> Connect:  # noqa: FBT001  # a user's argument
    """Parse the argument `connect`; if it is ``auto``, the older `port_forward_cluster_ip` decides."""
    if address := Address.parse(str(connect)):
        return address
    try:
        mode = ConnectMode(connect)
    except ValueError:
        known = ", ".join(map(repr, map(str, ConnectMode)))
        problem = f"{connect!r} is none of {known}, nor an address such as 'tcp://host:8786'"
        raise ValueError(f"connect: {problem}") from None
    if mode is ConnectMode.AUTO and port_forward is not None:
        return ConnectMode.PORT_FORWARD if port_forward else ConnectMode.SERVICE
    return mode


def choose(connect: Connect, cluster: JSON, *, in_cluster: bool) -> Connect:
    """Return `connect` with ``AUTO`` resolved; raise a ValueError if the scheduler's service does not fit."""
    service_type = cluster["spec"]["scheduler"]["service"].get("type") or "ClusterIP"
    if connect is ConnectMode.AUTO:
        if in_cluster:
            return ConnectMode.SERVICE
        return _DEFAULT_MODES.get(service_type, ConnectMode.PORT_FORWARD)
    if isinstance(connect, ConnectMode):
        fitting = _SERVICE_TYPES.get(connect, (service_type,))
        if service_type not in fitting:
            raise ValueError(
                f'connect="{connect}": the scheduler\'s service of the cluster {located(cluster)} is of type '
                f'{service_type}; make the cluster with scheduler_service_type="{fitting[0]}"; or '
                f"{PORT_FORWARD_HINT}"
            )
    return connect
