"""Handlers ring: a change of the cache becomes keys in the queue, and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from dask_k8s_controller.runtime.cache import Change, What
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.plugin import Reconciler, Trigger
from dask_k8s_controller.runtime.work_queue import WorkQueue
from dask_k8s_controller.runtime.world import World
from dask_k8s_crds.resources import Resource


@dataclass(slots=True)
class Triggers:
    """Which keys a change rings."""

    queue: WorkQueue[Key]
    world: World
    _primary: dict[tuple[str, str], Resource] = field(default_factory=dict)
    """By group and kind, as owner references name them."""
    _triggers: dict[Resource, list[Trigger[Any]]] = field(default_factory=dict)

    @classmethod
    def of(cls, reconcilers: Sequence[Reconciler[Any]], queue: WorkQueue[Key], world: World) -> Self:
        """Hang the triggers of these reconcilers."""
        triggers = cls(queue, world)
        for reconciler in reconcilers:
            resource = reconciler.resource
            triggers._primary[resource.group, resource.kind] = resource
            for watched, wake in reconciler.triggers.items():
                triggers._triggers.setdefault(watched, []).append(wake)
        return triggers

    def enqueue(self, change: Change) -> None:
        """Put the object itself, its owner, and whoever else wants to know."""
        record = change.record
        resource, namespace, _ = record.key
        if (resource.group, resource.kind) in self._primary:
            if change.what is What.GONE:
                self.queue.forget(record.key)
            # Also where it is gone: whoever remembers something of it can forget it.
            self.queue.put(record.key)
        if record.owner is not None:
            primary = self._primary.get((record.owner.group, record.owner.kind))
            if primary is not None:
                self.queue.put(Key(primary, namespace, record.owner.name))
        for wake in self._triggers.get(resource, ()):
            for key in wake(record, self.world):
                self.queue.put(key)
