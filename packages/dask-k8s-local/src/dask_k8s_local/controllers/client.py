"""What the controllers ask of the API server, and how they refuse. No loops, no decisions."""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple, Protocol

from dask_k8s_local.resources import Resource
from dask_k8s_local.store import Object

Propagation = Literal["Background", "Foreground", "Orphan"]

ServedResources = Callable[[], Iterable[Resource]]
"""Every collection that is served now; a custom one from before its CRD says `Established`."""


class Delete(Protocol):
    """What a DELETE request does once it is decoded: graceful for pods, `Terminating` for namespaces.

    Synchronous. Raises the store's NotFound and Conflict.
    """

    def __call__(
        self, resource: Resource, namespace: str | None, name: str, uid: str, *, propagation: Propagation
    ) -> object:
        """Delete the object, if it still is the one of that uid."""


class Create(Protocol):
    """What a POST request does once it is decoded: defaults, judgement, quotas, storage.

    Synchronous. Raises RequestRejected.
    """

    def __call__(self, resource: Resource, namespace: str, body: Object) -> Object:
        """Create the object."""


class ApiClient(NamedTuple):
    """The verbs of the API server that controllers use."""

    create: Create
    delete: Delete


class RequestRejected(Exception):
    """The API server refuses what a controller asks; its message is that of the answer."""


class Forbidden(Exception):
    """An admission controller refuses; becomes a Status with code 403, reason Forbidden and these causes."""

    def __init__(
        self, resource: Resource, name: str, why: str, causes: Iterable[Mapping[str, str]] = ()
    ) -> None:
        subject = f'{resource.key} "{name}"' if name else resource.key
        super().__init__(f"{subject} is forbidden: {why}")
        self.resource = resource
        self.name = name
        self.causes = tuple(causes)


def deletable_resources(resources: ServedResources) -> dict[str, Resource]:
    """Return the collections whose objects come and go, each once, by the name that its versions share."""
    return {one.key: one for one in resources() if {"delete", "list", "watch"} <= {*one.verbs}}
