"""What the cache holds of a resource, as a value. No I/O."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dask_k8s_controller.runtime.objects import Body
from dask_k8s_crds.resources import Resource


def whole(body: Body) -> Body:
    """Return the whole object without ``managedFields``."""
    metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    return {**body, "metadata": metadata}


@dataclass(frozen=True, slots=True)
class Watched:
    """A resource to watch and to hold in the cache.

    Attributes:
        resource: The resource.
        selector: A label selector that the API server applies.
        trim: Takes an object as the API server sends it and returns the part that reconcilers read; only
            that part stays in memory.
        index: Takes an object and returns the value by which `World.find` finds it, or None.
    """

    resource: Resource
    selector: str = ""
    trim: Callable[[Body], Any] = whole
    index: Callable[[Body], str | None] | None = None
