"""What the status of an object shows if the controller cannot read it, or fails because of it."""

from datetime import datetime
from typing import Any

from dask_k8s_controller.dask.findings import Finding, conditions
from dask_k8s_controller.runtime.apply import Applier
from dask_k8s_controller.runtime.object_errors import ShownStatus, message, status_of
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.plugin import Reconcile
from dask_k8s_controller.runtime.results import After, flattened
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.conditions import dated, find


def guarded(reconcile: Reconcile[Any], applier: Applier) -> Reconcile[Any]:
    """Return a reconcile that shows in the status of an object what is wrong with it.

    An object whose newest state cannot be read is left alone. Its spec may say anything, and a reconcile of
    the last readable state could delete what the spec asks for.
    """

    async def guarded(key: Key, world: Any) -> After | None:
        unreadable = applier.cache.errors.unreadable.get(key)
        if unreadable is not None:
            text = f"the controller cannot read this object, and does nothing for it: {unreadable.message}"
            patch = _degraded(unreadable.status, Finding("Unreadable", text), world.now())
            if patch is not None:
                await applier.patch_status(key, unreadable.version, patch)
            return None
        try:
            return await reconcile(key, world)
        except Exception as error:
            if defects := [each for each in flattened(error) if not isinstance(each, ApiError)]:
                await _show_defect(key, defects[0], world)
            raise

    async def _show_defect(key: Key, defect: Exception, world: Any) -> None:
        record = applier.cache.get(key)
        if record is None:
            return
        text = f"the controller failed to process this object, and tries again: {message(defect)}"
        patch = _degraded(status_of(record.value), Finding("InternalError", text), world.now())
        if patch is None:
            return
        try:
            await applier.patch_status(key, str(record.version), patch)
        except ApiError as error:
            raise ExceptionGroup("the error cannot be shown in the status", [defect, error]) from defect

    return guarded


def _degraded(status: ShownStatus, finding: Finding, now: datetime) -> dict[str, Any] | None:
    """Return the patch that sets the condition ``Degraded``; None if it has this reason already.

    The message of an error may differ from one time to the next, and is not compared.
    """
    shown = find(status.conditions, "Degraded")
    if shown is not None and (shown.reason, shown.observed_generation) == (finding.reason, status.generation):
        return None
    found = conditions(status.generation, Degraded=(True, finding))
    others = (each for each in status.conditions if each.type != "Degraded")
    return {"conditions": [each.to_dict() for each in (*others, *dated(status.conditions, found, now=now))]}
