"""A plan: what is to be created, patched, retired and deleted, as a value that can be printed and compared.

No I/O: `apply` is the only verb that writes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dask_k8s_controller.runtime.objects import Body, Key, key_of
from dask_k8s_crds.resources import Resource


@dataclass(frozen=True, slots=True)
class Create:
    """Make an object; one of this name that exists already is as good."""

    resource: Resource
    body: Body

    @property
    def key(self) -> Key:
        """The object that will exist."""
        return key_of(self.resource, self.body)

    def __str__(self) -> str:
        """Verb and object."""
        return f"create {self.key}"


@dataclass(frozen=True, slots=True)
class Patch:
    """Change an object by a JSON merge patch.

    ``needs_owner``: only if the object whose plan it is still exists by the word of the API server, for the
    cache may not know yet that it was deleted.
    """

    key: Key
    body: Mapping[str, Any]
    needs_owner: bool = False

    def __str__(self) -> str:
        """Verb and object."""
        return f"patch {self.key}"


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the one object that has this uid.

    ``version``: only as long as it is the object's resource version, for what the cache showed of its state
    may be over.
    """

    key: Key
    uid: str
    version: int | None = None

    def __str__(self) -> str:
        """Verb and object."""
        return f"delete {self.key}"


@dataclass(frozen=True, slots=True)
class Event:
    """Report something about an object to its users, once, as a Kubernetes Event with this reason."""

    about: Body
    reason: str
    message: str
    type: str = "Normal"

    def __str__(self) -> str:
        """Verb, object and reason."""
        metadata = self.about["metadata"]
        return f"report {self.reason} for {self.about['kind']} {metadata['namespace']}/{metadata['name']}"


Action = Create | Patch | Delete | Event


@dataclass(frozen=True, slots=True)
class Plan:
    """All that one reconcile wants to write, apart from the status.

    ``create`` is in order of importance: where something is refused, what stands first was tried first.
    """

    create: tuple[Create, ...] = ()
    patch: tuple[Patch, ...] = ()
    delete: tuple[Delete, ...] = ()
    events: tuple[Event, ...] = ()

    @property
    def others(self) -> tuple[Action, ...]:
        """All actions that create nothing; their order means nothing."""
        return (*self.patch, *self.delete, *self.events)

    def __iter__(self) -> Iterator[Action]:
        """Iterate over all actions."""
        yield from self.create
        yield from self.others

    def __bool__(self) -> bool:
        """Whether there is something to do."""
        return bool(self.create or self.others)

    def __str__(self) -> str:
        """One line per action."""
        return "\n".join(map(str, self)) or "nothing to do"
