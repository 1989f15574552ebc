"""Retirement by the HTTP API of Dask's own scheduler, where the agent is missing. No I/O.

The API is off by default (``distributed.http.scheduler.api`` in ``distributed.scheduler.http.routes``), and
does not report what a worker is doing.
"""

from collections.abc import Mapping

from dask_k8s_controller.dask.scheduler.answers import Answer, Retired

WORKERS = "/api/v1/get_workers"
RETIRE = "/api/v1/retire_workers"


class Worker(Answer):
    """One worker, by the name that it was started with."""

    name: str | int
    address: str


class Workers(Answer):
    """All workers of a scheduler."""

    workers: tuple[Worker, ...]

    def by_pod(self, pods: Mapping[str, str]) -> dict[str, list[str]]:
        """Return the addresses of the workers in each pod; ``pods`` are IP addresses by name."""
        return {
            pod: [worker.address for worker in self.workers if _is_in(worker, pod, ip)]
            for pod, ip in pods.items()
        }


def choose(workers: Workers, pods: Mapping[str, str], count: int) -> dict[str, list[str]]:
    """Return ``count`` pods with the addresses of their workers: pods without workers first."""
    addresses = workers.by_pod(pods)
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


def _is_in(worker: Worker, pod: str, ip: str) -> bool:
    name = str(worker.name)
    return name == pod or name.startswith(f"{pod}-") or (ip != "" and f"//{ip}:" in worker.address)
