"""A plan as a value: what to create, patch and delete, and which Events to emit. Only `apply` writes."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dask_k8s_controller.runtime.objects import Body, Key, key_of
from dask_k8s_crds.resources import Resource

COMPONENT = "dask-k8s-controller"
"""The component that Events name as their source."""


@dataclass(frozen=True, slots=True)
class Create:
    """Create an object, unless it exists and has the same controller.

    Many objects that differ only in their name share one ``manifest``: ``name`` is that of this one, and its
    body exists only while it is sent.
    An object that is ``named_by_content`` has a digest of its content in its name: one that exists is as
    good, and it is not read.
    """

    resource: Resource
    # Not in tracebacks and logs: it may be a Secret.
    manifest: Body = field(repr=False)
    name: str | None = None
    named_by_content: bool = False

    @property
    def is_one_of_many(self) -> bool:
        """Whether other creations may differ from this one in nothing but the name."""
        return self.name is not None

    @property
    def body(self) -> Body:
        """The object, made at each access."""
        if self.name is None:
            return self.manifest
        return {**self.manifest, "metadata": {**self.manifest["metadata"], "name": self.name}}

    @property
    def key(self) -> Key:
        """The key of the object that will exist."""
        key = key_of(self.resource, self.manifest)
        return key if self.name is None else key._replace(name=self.name)

    def __str__(self) -> str:
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
        return f"patch {self.key}"


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the object with this uid; with ``version``, only if it still has it, as the cache may lag."""

    key: Key
    uid: str
    version: int | None = None

    def __str__(self) -> str:
        return f"delete {self.key}"


@dataclass(frozen=True, slots=True)
class Event:
    """Report something about an object to its users, once, as a Kubernetes Event with this reason."""

    about: Body
    reason: str
    message: str
    type: str = "Normal"

    def manifest(self, now: datetime) -> dict[str, Any]:
        """Return the Event, named after object, reason and message, so that the same one exists only once."""
        metadata = self.about["metadata"]
        digest = hashlib.sha256(f"{metadata['uid']}/{self.reason}/{self.message}".encode()).hexdigest()[:16]
        time = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name']}.{digest}", "namespace": metadata["namespace"]},
            "involvedObject": {
                **{field: self.about[field] for field in ("apiVersion", "kind")},
                **{field: metadata[field] for field in ("name", "namespace", "uid")},
            },
            "reason": self.reason,
            "message": self.message,
            "type": self.type,
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "firstTimestamp": time,
            "lastTimestamp": time,
            "count": 1,
        }

    def __str__(self) -> str:
        metadata = self.about["metadata"]
        return f"report {self.reason} for {self.about['kind']} {metadata['namespace']}/{metadata['name']}"


Action = Create | Patch | Delete | Event


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a reconcile writes, apart from the status.

    ``create`` is ordered by importance: earlier objects are tried first. Of many equal objects, a failure
    stops later ones.
    """

    create: tuple[Create, ...] = ()
    patch: tuple[Patch, ...] = ()
    delete: tuple[Delete, ...] = ()
    events: tuple[Event, ...] = ()

    def __iter__(self) -> Iterator[Action]:
        yield from self.create
        yield from self.patch
        yield from self.delete
        yield from self.events

    def __bool__(self) -> bool:
        return bool(self.create or self.patch or self.delete or self.events)

    def __str__(self) -> str:
        return "\n".join(map(str, self)) or "nothing to do"
