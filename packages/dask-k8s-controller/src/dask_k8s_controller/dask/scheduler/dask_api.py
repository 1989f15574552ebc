"""Retirement by the HTTP API of Dask's own scheduler, where the agent is missing. No I/O.

The API is off by default (``distributed.http.scheduler.api`` in ``distributed.scheduler.http.routes``), and
does not report what a worker is doing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, Self

from dask_k8s_controller.dask.scheduler import limits
from dask_k8s_controller.dask.scheduler.answers import Answer, Retired
from dask_k8s_crds import names

MAX_WORKERS = 20_000
WORKERS = "/api/v1/get_workers"
RETIRE = "/api/v1/retire_workers"


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker, by the name that it was started with."""

    name: str | int
    address: str

    @classmethod
    def read(cls, value: object) -> Self:
        """Read one element of the answer; raise ``ValueError`` with the first fault."""
        match value:
            case {"name": bool()}:
                raise ValueError("name: neither a text nor a whole number")
            case {"name": str() | int() as name, "address": str() as address}:
                return cls(name, address)
        raise ValueError("not an object with the name and the address of a worker")


class Workers(Answer):
    """All workers of a scheduler."""

    max_elements = 3 * MAX_WORKERS + 100

    workers: Annotated[Sequence[Worker], limits.each(MAX_WORKERS, Worker.read)]


def by_pod(workers: Workers, pods: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the addresses of the workers in each pod; ``pods`` are IP addresses by name."""
    ips = [(_ip(ip), pod) for pod, own in pods.items() for ip in own.split(",")]
    shared = Counter(ip for ip, _ in ips)  # a pod that has ended shows an address that another may have now
    pod_by_ip: dict[object, str] = {ip: pod for ip, pod in ips if ip and shared[ip] == 1}
    found: dict[str, list[str]] = {pod: [] for pod in pods}
    for worker in workers.workers:
        pod = pod_by_ip.get(_ip(_host(worker.address))) or _pod_by_name(str(worker.name), pods)
        if pod:
            found[pod].append(worker.address)
    return found


def choose(workers: Workers, pods: Mapping[str, str], count: int) -> dict[str, list[str]]:
    """Return ``count`` pods with the addresses of their workers: pods without workers first."""
    addresses = by_pod(workers, pods)
    order = sorted(addresses, key=lambda pod: bool(addresses[pod]))
    return {pod: addresses[pod] for pod in order[:count]}


def outcome(left: Workers, chosen: Mapping[str, list[str]]) -> Retired:
    """Return which of the chosen pods have retired, by the workers that are left.

    A worker whose data could not be moved stays, and is retired again later.
    """
    addresses = {worker.address for worker in left.workers}
    stuck = {pod for pod, own in chosen.items() if addresses.intersection(own)}
    reason = "the scheduler could not move its data to other workers"
    return Retired(gone=frozenset(chosen) - stuck, stuck=dict.fromkeys(sorted(stuck), reason))


def _pod_by_name(name: str, pods: Mapping[str, str]) -> str | None:
    """Return the pod that a worker is named after; `dask worker --nworkers` adds a dash and a number."""
    name = name[: names.OBJECT_NAME_MAX]
    while name and name not in pods:
        name = name.rpartition("-")[0]
    return name or None


def _host(address: str) -> str:
    """Return the host of an address in Dask's form: ``tcp://10.0.0.1:1234``, ``tcp://[fd00::1]:1234``."""
    host_port = address.rpartition("://")[2]
    bracketed, bracket, _ = host_port.removeprefix("[").partition("]")
    return bracketed if bracket else host_port.partition(":")[0]


def _ip(text: str) -> IPv4Address | IPv6Address | None:
    """Return an IP address in a form that can be compared: without a scope, and IPv4 in IPv6 as IPv4."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address
