"""Guess threads, processes and resources of workers that do not run yet from their pod template. No I/O."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from dask_k8s_crds import containers, labels
from dask_k8s_crds.containers import dask_container
from dask_k8s_crds.workergroup import WorkerSpec

_RESOURCES = "DASK_DISTRIBUTED__WORKER__RESOURCES__"
"""Prefix of the environment variables from which Dask reads the resources of a worker."""


class WorkerShape(NamedTuple):
    """Threads of one pod (0 if unknown), Dask workers in it, and the resources that each of them offers."""

    threads: int
    processes: int
    offers: Mapping[str, float]


def worker_shape(worker: WorkerSpec) -> WorkerShape:
    """Read a template. Without `daskResources`, the arguments and the environment may contain resources."""
    template = worker.spec if worker.spec.get("containers") else {"containers": [{}]}
    container: Mapping[str, Any] = dask_container(template, labels.WORKER)
    options = containers.options(container)
    processes = _whole(options.get("--nworkers") or options.get("--nprocs")) or 1
    threads = _whole(options.get("--nthreads"))
    cpus = math.ceil(_cpus(((container.get("resources") or {}).get("limits") or {}).get("cpu")))
    offers = worker.dask_resources or {**_environment(container), **_offers(options.get("--resources", ""))}
    return WorkerShape(threads * processes or cpus, processes, dict(offers))


def _environment(container: Mapping[str, Any]) -> dict[str, float]:
    """Return the resources in environment variables that have a plain value."""
    variables = ((each.get("name") or "", each.get("value")) for each in container.get("env") or ())
    return {
        name.removeprefix(_RESOURCES): amount
        for name, value in variables
        if name.startswith(_RESOURCES) and (amount := _number(value)) > 0
    }


def _offers(value: str) -> dict[str, float]:
    """Read resources as ``dask worker --resources`` does: ``GPU=1 MEM=2``, also with commas."""
    pairs = (pair.partition("=") for pair in value.replace(",", " ").split())
    return {name: amount for name, _, number in pairs if name and (amount := _number(number)) > 0}


def _cpus(quantity: object) -> float:
    """Read a quantity of CPUs: ``2``, ``1500m``."""
    text = str(quantity or "0")
    return _number(text.removesuffix("m")) / 1000 if text.endswith("m") else _number(text)


def _whole(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0


def _number(text: object) -> float:
    """Return a finite number that is not negative, or 0."""
    try:
        number = float(str(text))
    except ValueError:
        return 0.0
    return number if 0 <= number < math.inf else 0.0
