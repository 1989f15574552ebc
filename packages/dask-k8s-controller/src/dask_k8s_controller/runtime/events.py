"""The manifest of a Kubernetes Event. No I/O; time is passed in."""

import hashlib
from datetime import datetime
from typing import Any

from dask_k8s_controller.runtime.plan import Event

COMPONENT = "dask-k8s-controller"


def event_body(event: Event, now: datetime) -> dict[str, Any]:
    """Return the manifest; its name is derived from object, reason and message, so each exists only once."""
    metadata = event.about["metadata"]
    digest = hashlib.sha256(f"{metadata['uid']}/{event.reason}/{event.message}".encode()).hexdigest()[:16]
    time = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name']}.{digest}", "namespace": metadata["namespace"]},
        "involvedObject": {
            "apiVersion": event.about["apiVersion"],
            "kind": event.about["kind"],
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
        "reason": event.reason,
        "message": event.message,
        "type": event.type,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }
