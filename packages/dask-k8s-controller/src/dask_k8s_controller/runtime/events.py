"""What an Event looks like. No I/O; time is passed in."""

import hashlib
from datetime import datetime
from typing import Any

from dask_k8s_controller.runtime.plan import Event

COMPONENT = "dask-k8s-controller"


def event(tell: Event, now: datetime) -> dict[str, Any]:
    """Return the Event; its name is made of object, reason and message, so that it is told once."""
    metadata = tell.about["metadata"]
    digest = hashlib.sha256(f"{metadata['uid']}/{tell.reason}/{tell.message}".encode()).hexdigest()[:16]
    time = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name']}.{digest}", "namespace": metadata["namespace"]},
        "involvedObject": {
            "apiVersion": tell.about["apiVersion"],
            "kind": tell.about["kind"],
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
        "reason": tell.reason,
        "message": tell.message,
        "type": tell.type,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }
