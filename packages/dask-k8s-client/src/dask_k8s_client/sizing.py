"""How many workers a group needs for an amount of memory or cores. No requests."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from dask.utils import parse_bytes

from dask_k8s_client.arguments import checked_count
from dask_k8s_crds import labels
from dask_k8s_crds.containers import dask_container


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a worker group: at least so many workers, bytes and cores."""

    workers: int
    memory: int | None = None
    cores: float | None = None

    @classmethod
    def parse(cls, n: int | None, memory: str | int | None, cores: float | None) -> Self:
        """Return the size that a user passes, or raise a TypeError or ValueError with the argument's name."""
        if n is None and memory is None and cores is None:
            raise TypeError("n: a number of workers is needed, or memory, or cores")
        if cores is not None and not 0 <= cores < math.inf:
            raise ValueError(f"cores: must be a number of cores, not {cores!r}")
        size = None if memory is None else _bytes("memory", memory)
        return cls(0 if n is None else checked_count("n", n), size, cores)

    @property
    def depends_on_workers(self) -> bool:
        """Whether the number of workers depends on what each of them has."""
        return self.memory is not None or self.cores is not None

    def count(self, worker: Mapping[str, Any]) -> int:
        """Return the number of workers like those of a ``worker`` section."""
        numbers = [self.workers]
        container = dask_container(worker["spec"], labels.WORKER)
        if self.memory is not None:
            each = _resource(container, "memory")
            numbers.append(_ratio("memory", self.memory, 0 if each is None else _bytes("memory", each)))
        if self.cores is not None:
            numbers.append(_ratio("cores", self.cores, _cores(container)))
        return max(numbers)


def _ratio(argument: str, total: float, each: float) -> int:
    if each <= 0:
        advice = "pass n, or set `resources` of the workers"
        raise ValueError(f"{argument}: the workers have no limit and no request for it; {advice}")
    return math.ceil(total / each)


def _cores(container: Mapping[str, Any]) -> float:
    threads = _option([*(container.get("command") or ()), *(container.get("args") or ())], "--nthreads")
    if threads is not None and threads.isdecimal() and int(threads) > 0:
        return int(threads)
    cpu = str(_resource(container, "cpu") or 0)
    return float(cpu.removesuffix("m")) / 1000 if cpu.endswith("m") else float(cpu)


def _option(args: Sequence[str], name: str) -> str | None:
    for arg, following in zip(args, [*args[1:], ""], strict=True):
        if arg == name:
            return following
        if arg.startswith(f"{name}="):
            return arg.removeprefix(f"{name}=")
    return None


def _resource(container: Mapping[str, Any], name: str) -> str | int | None:
    resources = container.get("resources") or {}
    quantities = (resources.get(kind) or {} for kind in ("limits", "requests"))
    return next((each[name] for each in quantities if name in each), None)


def _bytes(argument: str, value: str | int) -> int:
    try:
        return int(parse_bytes(value))
    except (TypeError, ValueError):
        raise ValueError(f"{argument}: must be a number of bytes, such as '64 GiB', not {value!r}") from None
