"""How controllers use the API server, and the exceptions of rejected requests. Contains no control loops."""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple, Protocol

from dask_k8s_local.resources import Resource
from dask_k8s_local.store import Object

Propagation = Literal["Background", "Foreground", "Orphan"]

ServedResources = Callable[[], Iterable[Resource]]
"""Returns every collection that is served now."""


class Delete(Protocol):
    """Deletes like a DELETE request: gracefully for pods, in two steps for namespaces.

    Synchronous. Raises NotFound and Conflict of the store.
    """

    def __call__(
        self, resource: Resource, namespace: str | None, name: str, uid: str, *, propagation: Propagation
    ) -> object:
        """Delete the object if it still has this uid."""


class Create(Protocol):
    """Creates like a POST request: defaults, validation, quotas, storage.

    Synchronous. Raises RequestRejected.
    """

    def __call__(self, resource: Resource, namespace: str, body: Object) -> Object:
        """Create the object."""


class ApiClient(NamedTuple):
    """The requests that controllers send to the API server."""

    create: Create
    delete: Delete


class RequestRejected(Exception):
    """The API server rejects a request of a controller; the message is that of the response."""


class Forbidden(Exception):
    """An admission controller rejects a request; returned as a Status with code 403 and these causes."""

    def __init__(
        self, resource: Resource, name: str, why: str, causes: Iterable[Mapping[str, str]] = ()
    ) -> None:
        subject = f'{resource.key} "{name}"' if name else resource.key
        super().__init__(f"{subject} is forbidden: {why}")
        self.resource = resource
        self.name = name
        self.causes = tuple(causes)


def deletable_resources(resources: ServedResources) -> dict[str, Resource]:
    """Return collections that can be listed, watched and deleted from, by `Resource.key`."""
    return {one.key: one for one in resources() if {"delete", "list", "watch"} <= {*one.verbs}}
