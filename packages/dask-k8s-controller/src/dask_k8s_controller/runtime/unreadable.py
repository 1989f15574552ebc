"""What a reconcile does for an object whose newest state cannot be read: it reports that, no more."""

from typing import Any

from dask_k8s_controller.runtime.apply import Applier
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.plugin import Reconcile
from dask_k8s_controller.runtime.results import After


def guarded(reconcile: Reconcile[Any], applier: Applier) -> Reconcile[Any]:
    """Return a reconcile that leaves an object alone as long as its newest state cannot be read.

    Its spec may say anything; a reconcile of the last readable state could delete what it asks for.
    """

    async def guarded(key: Key, world: Any) -> After | None:
        unreadable = applier.cache.errors.unreadable.get(key)
        if unreadable is None:
            return await reconcile(key, world)
        patch = unreadable.report(world.now())
        if patch is not None:
            await applier.patch_status(key, patch)
        return None

    return guarded
