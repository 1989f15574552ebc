"""Errors that one object causes: counted, logged once for each object, and shown in its status. No I/O.

Anybody can create objects that the controller watches. Whatever runs for one object, such as a trim, an
index, a trigger or a listener, may fail for it, and must not fail for the others.
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from itertools import islice
from pathlib import PurePath
from traceback import StackSummary, walk_tb
from typing import Any, NamedTuple

from prometheus_client import Counter
from pydantic import ValidationError

from dask_k8s_controller.runtime.objects import Key
from dask_k8s_crds import Condition
from dask_k8s_crds.resources import Resource

logger = logging.getLogger(__name__)

OBJECT_ERRORS = Counter(
    "dask_k8s_object_errors", "Failures to process one object, by the resource of the object.", ["resource"]
)
MAX_LOGGED = 1000
"""How many objects are remembered whose first error was logged."""
MAX_MESSAGE = 300
MAX_CONDITIONS = 50
"""How many conditions of an object are read."""


class ShownStatus(NamedTuple):
    """The part of the status of any object of ours that shows an error."""

    generation: int | None
    conditions: tuple[Condition, ...]


class Unreadable(NamedTuple):
    """What is known of an object whose newest state the controller cannot read."""

    uid: str
    version: str
    status: ShownStatus
    message: str


@dataclass(slots=True)
class ObjectErrors:
    """The errors of single objects.

    ``on_unreadable`` is called for an object of a resource in ``reported`` that cannot be read; such objects
    are in ``unreadable`` until they can be read or are deleted.
    """

    reported: Collection[Resource] = ()
    on_unreadable: Callable[[Key], None] = lambda _: None
    unreadable: dict[Key, Unreadable] = field(default_factory=dict)
    _logged: dict[tuple[Key, str], None] = field(default_factory=dict)

    def add(self, key: Key, uid: str, what: str, error: Exception) -> None:
        """Count an error, and log it if it is the first one of this object; ``what`` says what failed."""
        OBJECT_ERRORS.labels(str(key.resource)).inc()
        if (key, uid) not in self._logged:
            self._logged[key, uid] = None
            for oldest in list(islice(self._logged, max(0, len(self._logged) - MAX_LOGGED))):
                del self._logged[oldest]
            logger.warning("%s: %s: %s (%s)", key, what, message(error), _place(error))

    def add_unreadable(self, resource: Resource, body: Any, error: Exception) -> None:
        """Count and log that an object cannot be read; remember it if its status can show this."""
        key, uid = identify(resource, body)
        self.add(key, uid, "the object cannot be read, and its last readable state counts", error)
        if resource in self.reported and uid:
            version = str(body["metadata"].get("resourceVersion", ""))
            self.unreadable[key] = Unreadable(uid, version, status_of(body), message(error))
            self.on_unreadable(key)

    def readable(self, key: Key) -> None:
        """Forget that an object could not be read: it can be read now, or is deleted."""
        self.unreadable.pop(key, None)

    def keep(self, resource: Resource, namespace: str | None, keys: Collection[Key]) -> None:
        """Forget the objects of a resource in a namespace (None: in all) that a list does not contain."""
        for key in [key for key in self.unreadable if key.resource == resource and key not in keys]:
            if namespace in (None, key.namespace):
                del self.unreadable[key]


def identify(resource: Resource, body: Any) -> tuple[Key, str]:
    """Return key and uid of an object of any shape; a part that is missing is empty."""
    metadata = body.get("metadata") if isinstance(body, dict) else None
    fields = metadata if isinstance(metadata, dict) else {}
    namespace, name, uid = (
        value[:253] if isinstance(value := fields.get(field), str) else ""
        for field in ("namespace", "name", "uid")
    )
    return Key(resource, namespace, name), uid


def message(error: Exception) -> str:
    """Return type and text of an error, on one line and not too long."""
    text = " ".join(str(error)[: MAX_MESSAGE * 4].split())
    full = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return full if len(full) <= MAX_MESSAGE else f"{full[: MAX_MESSAGE - 1]}…"


def status_of(body: Any) -> ShownStatus:
    """Return what the status of an object of any shape shows."""
    metadata = body.get("metadata") if isinstance(body, dict) else None
    generation = metadata.get("generation") if isinstance(metadata, dict) else None
    return ShownStatus(generation if isinstance(generation, int) else None, tuple(conditions_of(body)))


def conditions_of(body: Any) -> list[Condition]:
    """Return the conditions in the status of an object, without those that are not valid.

    An older CRD may have admitted a status of any shape.
    """
    status = body.get("status") if isinstance(body, dict) else None
    entries = status.get("conditions") if isinstance(status, dict) else None
    found = []
    for entry in entries[:MAX_CONDITIONS] if isinstance(entries, list) else ():
        try:
            found.append(Condition.model_validate(entry, by_alias=True, by_name=False))
        except ValidationError:
            continue
    return found


def _place(error: Exception) -> str:
    """Return file and line where an error was raised; a traceback for each odd object would be too much."""
    for frame in StackSummary.extract(walk_tb(error.__traceback__), limit=-1, lookup_lines=False):
        return f"{PurePath(frame.filename).name}:{frame.lineno}"
    return "unknown place"
