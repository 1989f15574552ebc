"""Creates and deletes the pods of Jobs. Decides nothing."""

from dask_k8s_local.controllers.client import ApiClient, RequestRejected
from dask_k8s_local.events import Recorder
from dask_k8s_local.resources import JOBS, PODS
from dask_k8s_local.store import Object, Store, namespace_of

TRACKING = "batch.kubernetes.io/job-tracking"
"""The finalizer of a pod that is not counted yet."""
_LONGEST_RETRY = 60
"""Seconds between attempts to create a pod at most."""


class JobPods:
    """Creates and deletes pods of Jobs, and records Events."""

    def __init__(self, store: Store, api: ApiClient, recorder: Recorder) -> None:
        self._store = store
        self._api = api
        self._recorder = recorder
        self._rejections: dict[str, int] = {}

    def of(self, job: Object) -> list[Object]:
        """Return the pods that a Job controls."""
        uid = job["metadata"]["uid"]
        owned = ((pod, owner_of(pod)) for pod in self._store.list(PODS, namespace_of(job)))
        return [pod for pod, owner in owned if owner and owner["uid"] == uid]

    def create(self, job: Object, count: int) -> float | None:
        """Create a number of pods; if one is rejected, return the seconds until the next attempt."""
        uid = job["metadata"]["uid"]
        for _ in range(count):
            try:
                pod = self._api.create(PODS, namespace_of(job), _manifest(job))
            except RequestRejected as error:
                self._recorder.record(job, "Warning", "FailedCreate", f"Error creating: {error}")
                tries = self._rejections[uid] = self._rejections.get(uid, 0) + 1
                return float(min(2 ** (tries - 1), _LONGEST_RETRY))
            self._rejections.pop(uid, None)
            name = pod["metadata"]["name"]
            self._recorder.record(job, "Normal", "SuccessfulCreate", f"Created pod: {name}")
        return None

    def delete(self, job: Object, pod: Object) -> None:
        """Delete a pod of a Job."""
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        self._api.delete(PODS, namespace_of(pod), name, uid, propagation="Background")
        self._recorder.record(job, "Normal", "SuccessfulDelete", f"Deleted pod: {name}")

    def release(self, pod: Object) -> None:
        """Remove the tracking finalizer of a pod."""
        current = self._store.get(PODS, namespace_of(pod), pod["metadata"]["name"])
        if (
            current is not None
            and current["metadata"]["uid"] == pod["metadata"]["uid"]
            and is_tracked(current)
        ):
            finalizers = [one for one in current["metadata"]["finalizers"] if one != TRACKING]
            metadata = {**current["metadata"], "finalizers": finalizers}
            if not finalizers:
                del metadata["finalizers"]
            self._store.update(PODS, {**current, "metadata": metadata})

    def forget(self, job: Object) -> None:
        """Remove the state of a deleted Job."""
        self._rejections.pop(job["metadata"]["uid"], None)


def owner_of(pod: Object) -> Object | None:
    """Return the owner reference to the Job that controls a pod."""
    references: list[Object] = pod["metadata"].get("ownerReferences") or []
    return next((one for one in references if one.get("controller") and one["kind"] == "Job"), None)


def is_tracked(pod: Object) -> bool:
    """Return whether a pod has the tracking finalizer."""
    return TRACKING in (pod["metadata"].get("finalizers") or ())


def _manifest(job: Object) -> Object:
    template, metadata = job["spec"]["template"], job["metadata"]
    owner = {
        "apiVersion": JOBS.api_version,
        "kind": JOBS.kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    pod_metadata = template.get("metadata") or {}
    kept = {key: pod_metadata[key] for key in ("labels", "annotations") if pod_metadata.get(key)}
    finalizers = [*(pod_metadata.get("finalizers") or ()), TRACKING]
    made = {"generateName": f"{metadata['name']}-", "finalizers": finalizers, "ownerReferences": [owner]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {**kept, **made}, "spec": template["spec"]}
