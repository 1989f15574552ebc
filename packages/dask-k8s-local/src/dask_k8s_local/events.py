"""The Events that `kubectl describe` shows: creates them, counts repeated ones and deletes old ones."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from dask_k8s_local.resources import EVENTS, NAMESPACES
from dask_k8s_local.store import NotFound, Object, Store, timestamp

Severity = Literal["Normal", "Warning"]

_KEPT = timedelta(hours=1)
"""How long an Event is kept after it last occurred."""


class Recorder:
    """Records Events for one component, such as `kubelet`."""

    def __init__(self, store: Store, component: str, host: str | None = None) -> None:
        self._store = store
        self._source = {"component": component} | ({"host": host} if host else {})

    def record(
        self, obj: Object, severity: Severity, reason: str, message: str, *, field_path: str | None = None
    ) -> None:
        """Create an Event about an object, or increase the count of an identical one."""
        metadata = obj["metadata"]
        namespace = metadata.get("namespace") or "default"
        home = self._store.get(NAMESPACES, None, namespace)
        if home is not None and home["metadata"].get("deletionTimestamp"):
            return
        name = self._name(metadata, severity, reason, message, field_path)
        now = timestamp()
        known = self._store.get(EVENTS, namespace, name)
        if known is not None:
            self._store.update(EVENTS, {**known, "count": known.get("count", 1) + 1, "lastTimestamp": now})
            return
        about: dict[str, Any] = {
            "kind": obj.get("kind", "Pod"),
            "apiVersion": obj.get("apiVersion", "v1"),
            "namespace": metadata.get("namespace"),
            "name": metadata["name"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "fieldPath": field_path,
        }
        self._store.create(
            EVENTS,
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": name, "namespace": namespace},
                "involvedObject": {key: value for key, value in about.items() if value},
                "reason": reason,
                "message": message,
                "type": severity,
                "source": self._source,
                "reportingComponent": self._source["component"],
                "reportingInstance": self._source.get("host", ""),
                "count": 1,
                "firstTimestamp": now,
                "lastTimestamp": now,
                "eventTime": None,
            },
        )

    @staticmethod
    def _name(metadata: Object, *what: str | None) -> str:
        """Return the same name for identical Events."""
        text = "\0".join((metadata["uid"], *(part or "" for part in what)))
        return f"{metadata['name']}.{hashlib.sha256(text.encode()).hexdigest()[:16]}"


async def expire(store: Store) -> None:
    """Delete Events an hour after they last occurred; runs until cancelled."""
    while True:
        await asyncio.sleep(_KEPT.total_seconds() / 10)
        oldest = timestamp(datetime.now(UTC) - _KEPT)
        for event in store.list(EVENTS):
            if (event.get("lastTimestamp") or event["metadata"]["creationTimestamp"]) < oldest:
                try:
                    store.delete(EVENTS, event["metadata"]["namespace"], event["metadata"]["name"])
                except NotFound:
                    continue
