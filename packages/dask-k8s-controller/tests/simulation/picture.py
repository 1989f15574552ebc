"""What a namespace is like, to be compared with another: without names, times and what the server chose."""

import json
import re
from typing import Any

from dask_k8s_crds import labels
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS, SERVICES

from .scenario import Body, Scene, going

# Of one pod's own life, or of what holds the namespace's name, as the address of the scheduler does.
OF_ITS_OWN = {labels.TEMPLATE_DIGEST, labels.FAILURES, labels.DRAINING_SINCE}
CHOSEN = {"clusterIP", "clusterIPs", "nodeName", "nodePort"}
AGENT = re.compile(r"c-agent-\w{10}-")
"""The Secret of an agent is named after its token, which each cluster has of its own."""
TOKEN_VOLUME = re.compile(r"kube-api-access-\w{5}")


def picture(scene: Scene) -> dict[str, list[str]]:
    """By kind: each object as a line of JSON, in order."""
    resources = (DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS, SERVICES)
    return {each.kind: sorted(_line(body, scene) for body in scene.all(each)) for each in resources}


def _line(body: Body, scene: Scene) -> str:
    metadata, status = body["metadata"], body.get("status") or {}
    annotations = metadata.get("annotations") or {}
    shown = {
        "labels": metadata.get("labels") or {},
        "annotations": {key: value for key, value in annotations.items() if key not in OF_ITS_OWN},
        "owners": [each["kind"] for each in metadata.get("ownerReferences") or ()],
        "going": going(body),
        "spec": _without(body["spec"]),
        "status": _status(status),
        "up to date": status.get("observedGeneration") == metadata.get("generation"),
    }
    line = json.dumps(shown, sort_keys=True).replace(scene.namespace, "NAMESPACE")
    line = AGENT.sub("AGENT-", line)
    return TOKEN_VOLUME.sub("TOKEN", line.replace(f'"{metadata["name"]}"', '"NAME"'))


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without(each) for key, each in value.items() if key not in CHOSEN}
    return [_without(each) for each in value] if isinstance(value, list) else value


def _status(status: Body) -> Body:
    conditions = status.get("conditions") or ()
    reported = ("phase", "workers", "replicas", "readyReplicas", "updatedReplicas", "retiring")
    return {
        **{key: status[key] for key in reported if key in status},
        "conditions": sorted(
            f"{each['type']}={each['status']} {each.get('reason', '')}" for each in conditions
        ),
    }
