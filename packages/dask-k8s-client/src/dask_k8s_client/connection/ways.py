"""Which way leads to a scheduler: what was asked for, what that becomes here, what cannot be. Pure."""

import enum
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from dask_k8s_client.aliases import JSON


class Way(enum.StrEnum):
    """How a scheduler is reached."""

    AUTO = "auto"
    """By where we are and what type its service has."""
    SERVICE = "service"
    """By the name of its service, which is known inside Kubernetes."""
    PORT_FORWARD = "portforward"
    """Through the Kubernetes API."""
    LOAD_BALANCER = "loadbalancer"
    """By what its service has been given from outside."""
    NODE_PORT = "nodeport"
    """Through the node that it runs on."""


@dataclass(frozen=True, slots=True)
class Address:
    """A way that somebody else has made, such as an ingress or a tunnel."""

    url: str
    """As Dask writes it: ``tcp://host:8786``."""
    host: str

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Unless it is none."""
        try:
            parts = urlsplit(text)
            complete = parts.scheme and parts.hostname and parts.port
        except ValueError:  # a port that is none
            return None
        return cls(text, parts.hostname or "") if complete else None


Connect = Way | Address

# The types of a service that have what a way needs, the plainest first.
_TYPES = {Way.LOAD_BALANCER: ("LoadBalancer",), Way.NODE_PORT: ("NodePort", "LoadBalancer")}
_BY_TYPE = {"NodePort": Way.NODE_PORT, "LoadBalancer": Way.LOAD_BALANCER}

INSTEAD = f'connect="{Way.PORT_FORWARD}" goes through the Kubernetes API instead'
"""What to do where the scheduler cannot be reached in the way that was chosen."""


def parse(connect: str, port_forward: bool | None) -> Connect:  # noqa: FBT001  # the users' words
    """From the argument `connect`; where that is ``auto``, the older `port_forward_cluster_ip` counts."""
    if address := Address.parse(str(connect)):
        return address
    try:
        way = Way(connect)
    except ValueError:
        known = ", ".join(map(repr, map(str, Way)))
        raise ValueError(
            f"connect: {connect!r} is none of {known}, nor an address such as 'tcp://host:8786'"
        ) from None
    if way is Way.AUTO and port_forward is not None:
        return Way.PORT_FORWARD if port_forward else Way.SERVICE
    return way


def choose(asked: Connect, cluster: JSON, *, in_cluster: bool) -> Connect:
    """The way to the scheduler of a cluster, never `AUTO`.

    Raises:
        ValueError: there is no such way to it.
    """
    kind = service(cluster).get("type") or "ClusterIP"
    if asked is Way.AUTO:
        return Way.SERVICE if in_cluster else _BY_TYPE.get(kind, Way.PORT_FORWARD)
    if isinstance(asked, Way) and kind not in (fitting := _TYPES.get(asked, (kind,))):
        metadata = cluster["metadata"]
        raise ValueError(
            f'connect="{asked}": the scheduler\'s service of the cluster {metadata["name"]} in the namespace '
            f"{metadata['namespace']} is of type {kind}; make the cluster with "
            f'scheduler_service_type="{fitting[0]}"; or {INSTEAD}'
        )
    return asked


def service(cluster: JSON) -> JSON:
    """What a cluster says about its scheduler's service, as the `spec` of a Service."""
    found: JSON = cluster["spec"]["scheduler"]["service"]
    return found
