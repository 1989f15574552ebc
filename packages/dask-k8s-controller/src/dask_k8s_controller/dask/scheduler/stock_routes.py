"""Retire workers by the routes that Dask itself has, for schedulers that could not load the agent.

They are off by default (``distributed.http.scheduler.api`` in ``distributed.scheduler.http.routes``), and say
nothing of what a worker is doing. No I/O.
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


def known(workers: Workers, pods: Mapping[str, str]) -> frozenset[str]:
    """Return the pods that have workers."""
    return frozenset(pod for pod, own in _addresses(workers, pods).items() if own)


def choose(known: Workers, pods: Mapping[str, str], count: int) -> dict[str, list[str]]:
    """Return so many pods with the addresses of their workers: first those that have none."""
    found = _addresses(known, pods)
    order = sorted(found, key=lambda pod: bool(found[pod]))
    return {pod: found[pod] for pod in order[:count]}


def outcome(known: Workers, chosen: Mapping[str, list[str]]) -> Retired:
    """Compare with who is left: a worker whose data found no place stays, and is tried again."""
    left = {each.address for each in known.workers}
    stuck = {pod for pod, addresses in chosen.items() if left.intersection(addresses)}
    why = "the scheduler could not move its data to other workers"
    return Retired(gone=frozenset(chosen) - stuck, stuck=dict.fromkeys(sorted(stuck), why))


def _addresses(workers: Workers, pods: Mapping[str, str]) -> dict[str, list[str]]:
    return {
        pod: [each.address for each in workers.workers if _is_of(each, pod, ip)] for pod, ip in pods.items()
    }


def _is_of(worker: Worker, pod: str, ip: str) -> bool:
    name = str(worker.name)
    return name == pod or name.startswith(f"{pod}-") or (ip != "" and f"//{ip}:" in worker.address)
