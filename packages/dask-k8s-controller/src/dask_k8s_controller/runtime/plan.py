"""A plan: what to create, patch and delete, and which Events to emit, as a value to print and compare.

No I/O: only `apply` writes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dask_k8s_controller.runtime.objects import Body, Key, key_of
from dask_k8s_crds.resources import Resource


@dataclass(frozen=True, slots=True)
class Create:
    """Create an object, unless it exists and has the same controller."""

    resource: Resource
    body: Body

    @property
    def key(self) -> Key:
        """The key of the object that will exist."""
        return key_of(self.resource, self.body)

    def __str__(self) -> str:
        """Return the verb and the object."""
        return f"create {self.key}"


@dataclass(frozen=True, slots=True)
class Patch:
    """Change an object with a JSON merge patch.

    With ``needs_owner``, `apply` first asks the API server whether the object that the plan belongs to still
    exists, because the cache may not yet show that it was deleted.
    """

    key: Key
    body: Mapping[str, Any]
    needs_owner: bool = False

    def __str__(self) -> str:
        """Return the verb and the object."""
        return f"patch {self.key}"


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the object that has this uid.

    With ``version``, delete it only while it has this resource version, since the cache may be out of date.
    """

    key: Key
    uid: str
    version: int | None = None

    def __str__(self) -> str:
        """Return the verb and the object."""
        return f"delete {self.key}"


@dataclass(frozen=True, slots=True)
class Event:
    """Report something about an object to its users, once, as a Kubernetes Event with this reason."""

    about: Body
    reason: str
    message: str
    type: str = "Normal"

    def __str__(self) -> str:
        """Return the verb, the reason and the object."""
        metadata = self.about["metadata"]
        return f"report {self.reason} for {self.about['kind']} {metadata['namespace']}/{metadata['name']}"


Action = Create | Patch | Delete | Event


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a reconcile writes, apart from the status.

    ``create`` is ordered by importance: earlier objects are tried first, and a failure stops later ones.
    """

    create: tuple[Create, ...] = ()
    patch: tuple[Patch, ...] = ()
    delete: tuple[Delete, ...] = ()
    events: tuple[Event, ...] = ()

    @property
    def others(self) -> tuple[Action, ...]:
        """All actions except creations; they are applied in any order."""
        return (*self.patch, *self.delete, *self.events)

    def __iter__(self) -> Iterator[Action]:
        """Iterate over all actions."""
        yield from self.create
        yield from self.others

    def __bool__(self) -> bool:
        """Return whether there is anything to do."""
        return bool(self.create or self.others)

    def __str__(self) -> str:
        """Return one line per action."""
        return "\n".join(map(str, self)) or "nothing to do"
