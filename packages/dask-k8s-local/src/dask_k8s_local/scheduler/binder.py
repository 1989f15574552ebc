"""The scheduling loop. Writes `spec.nodeName` and the condition PodScheduled."""

import asyncio

from dask_k8s_local.conditions import condition, is_finished, with_condition
from dask_k8s_local.events import Recorder
from dask_k8s_local.informer import Change, run_informer
from dask_k8s_local.resources import NODES, PODS
from dask_k8s_local.scheduler.filters import reject_reason
from dask_k8s_local.scheduler.requests import Load
from dask_k8s_local.store import Object, Store, namespace_of

NAME = "default-scheduler"
_GATED = "Scheduling is blocked due to non-empty scheduling gates"


class Scheduler:
    """Binds pods that request the default scheduler."""

    def __init__(self, store: Store, node: str) -> None:
        self._store = store
        self._node = node
        self._recorder = Recorder(store, NAME)
        self._load = Load()
        self._pending: dict[str, Object] = {}

    async def run(self) -> None:
        """Schedule pods until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(run_informer(self._store, PODS, self._pod_changed))
            tasks.create_task(run_informer(self._store, NODES, lambda _: self._try_pending()))

    def _pod_changed(self, change: Change) -> None:
        pod = change.new or change.old or {}
        uid = pod["metadata"]["uid"]
        known = self._pending.pop(uid, None)
        if change.new is None or is_finished(pod):
            if self._load.remove(pod):
                self._try_pending()
        elif pod["spec"].get("nodeName"):
            self._load.add(pod)
        elif self._is_ours(pod):
            self._pending[uid] = pod
            if known is None or known["spec"] != pod["spec"]:
                self._try(pod)

    @staticmethod
    def _is_ours(pod: Object) -> bool:
        return not pod["metadata"].get("deletionTimestamp") and pod["spec"].get("schedulerName", NAME) == NAME

    def _try_pending(self) -> None:
        for pod in [*self._pending.values()]:
            self._try(pod)

    def _try(self, pod: Object) -> None:
        node = self._store.get(NODES, None, self._node)
        if node is None:
            return
        if pod["spec"].get("schedulingGates"):
            self._write(pod, None, reason="SchedulingGated", message=_GATED)
            return
        refused = reject_reason(pod, node, self._load.used)
        if refused is None:
            if self._write(pod, self._node):
                self._load.add(pod)
                message = (
                    f"Successfully assigned {namespace_of(pod)}/{pod['metadata']['name']} to {self._node}"
                )
                self._recorder.record(pod, "Normal", "Scheduled", message)
        elif self._write(pod, None, reason="Unschedulable", message=refused.message):
            self._recorder.record(pod, "Warning", "FailedScheduling", refused.message)

    def _write(self, pod: Object, node: str | None, *, reason: str = "", message: str = "") -> bool:
        """Bind the pod, or write why it is not bound; return whether anything has changed."""
        current = self._store.get(PODS, namespace_of(pod), pod["metadata"]["name"])
        if current is None or current["metadata"]["uid"] != pod["metadata"]["uid"]:
            return False
        self._pending.pop(pod["metadata"]["uid"], None)
        scheduled = condition("PodScheduled", met=node is not None, reason=reason, message=message)
        status = current.get("status") or {}
        conditions = with_condition(status.get("conditions") or (), scheduled)
        new = {**current, "status": {**status, "conditions": conditions}}
        if node is not None:
            new["spec"] = {**current["spec"], "nodeName": node}
        else:
            self._pending[pod["metadata"]["uid"]] = new
        return self._store.update(PODS, new) is not current
