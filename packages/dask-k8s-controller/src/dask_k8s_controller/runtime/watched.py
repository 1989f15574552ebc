"""What to hold of a resource in the cache, as a value. No I/O."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dask_k8s_controller.runtime.objects import Body
from dask_k8s_crds.resources import Resource


def whole(body: Body) -> Body:
    """Keep all of an object in the cache, apart from the book-keeping of its fields' managers."""
    metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    return {**body, "metadata": metadata}


@dataclass(frozen=True, slots=True)
class Watched:
    """A resource to hold in the cache.

    ``selector`` is a label selector that the API server applies; ``trim`` takes an object as the
    server sends it and returns what reconcilers read of it, which is all that stays in memory;
    ``index`` gives the value by which `World.find` finds it, or None.
    """

    resource: Resource
    selector: str = ""
    trim: Callable[[Body], Any] = whole
    index: Callable[[Body], str | None] | None = None
