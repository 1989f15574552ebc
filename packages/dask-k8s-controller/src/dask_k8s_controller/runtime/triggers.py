"""Turns a change of the cache into keys of the work queue, and does nothing else."""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from typing import Any

from dask_k8s_controller.runtime.cache import Change
from dask_k8s_controller.runtime.object_errors import ObjectErrors
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.plugin import Reconciler, Trigger
from dask_k8s_controller.runtime.work_queue import WorkQueue
from dask_k8s_controller.runtime.world import World
from dask_k8s_crds.resources import Resource


@dataclass(slots=True)
class Triggers:
    """The triggers of all reconcilers."""

    reconcilers: InitVar[Sequence[Reconciler[Any]]]
    queue: WorkQueue
    world: World
    errors: ObjectErrors
    _reconciled: dict[tuple[str, str], Resource] = field(default_factory=dict)
    """Reconciled resources by group and kind, as owner references name them."""
    _triggers: dict[Resource, list[Trigger[Any]]] = field(default_factory=dict)

    def __post_init__(self, reconcilers: Sequence[Reconciler[Any]]) -> None:
        for reconciler in reconcilers:
            resource = reconciler.resource
            self._reconciled[resource.group, resource.kind] = resource
            for watched, trigger in reconciler.triggers.items():
                self._triggers.setdefault(watched, []).append(trigger)

    def enqueue(self, change: Change) -> None:
        """Enqueue the changed object, its owner, and the keys that triggers of its resource return."""
        record = change.record
        resource, namespace, _ = record.key
        if (resource.group, resource.kind) in self._reconciled:
            if change.deleted:
                self.queue.forget(record.key)
            # A deleted object too: its reconciler may hold state that it can drop now.
            self.queue.put(record.key)
        if record.owner is not None:
            owner = self._reconciled.get((record.owner.group, record.owner.kind))
            if owner is not None:
                self.queue.put(Key(owner, namespace, record.owner.name))
        for trigger in self._triggers.get(resource, ()):
            try:
                keys = [self._checked(key) for key in trigger(record, self.world)]
            except Exception as error:  # noqa: BLE001  # one trigger must not stop the others
                self.errors.add(record.key, record.uid, "a trigger failed for the object", error)
            else:
                for key in keys:
                    self.queue.put(key)

    def _checked(self, key: object) -> Key:
        """Return a key that a trigger returned; raise `TypeError` if no reconciler can handle it."""
        if not isinstance(key, Key) or key.resource not in self._reconciled.values():
            raise TypeError(f"the trigger returned {key!r}, which is not the key of a reconciled resource")
        return key
