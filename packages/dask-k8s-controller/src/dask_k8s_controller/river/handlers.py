"""Handlers ring: a change of the cache becomes keys in the queue, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dask_k8s_controller.plugin import Reconciler, Wake, World
from dask_k8s_controller.resources import Key
from dask_k8s_controller.river.cache import Change, What
from dask_k8s_controller.river.queue import WorkQueue
from dask_k8s_crds.resources import Resource


@dataclass(slots=True)
class Bells:
    """Which keys a change rings."""

    queue: WorkQueue[Key]
    world: World
    _primary: dict[tuple[str, str], Resource] = field(default_factory=dict)
    """By group and kind, as owner references name them."""
    _wakes: dict[Resource, list[Wake]] = field(default_factory=dict)

    @classmethod
    def of(cls, reconcilers: Sequence[Reconciler], queue: WorkQueue[Key], world: World) -> Bells:
        """Hang the bells of these reconcilers."""
        bells = cls(queue, world)
        for reconciler in reconcilers:
            resource = reconciler.resource
            bells._primary[resource.group, resource.kind] = resource
            for watched, wake in reconciler.wakes.items():
                bells._wakes.setdefault(watched, []).append(wake)
        return bells

    def ring(self, change: Change) -> None:
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
        for wake in self._wakes.get(resource, ()):
            for key in wake(record, self.world):
                self.queue.put(key)
