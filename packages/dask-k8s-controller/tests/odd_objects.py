"""Objects of any shape for property tests, of a tenant, and a cluster in another namespace. No tests."""

import orjson
from hypothesis import strategies as st

from dask_k8s_crds import labels
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS, SERVICES

from .builders import cluster, group, owned_by, pod, service
from .properties import DEEP, nested, values

GOOD = cluster(namespace="good", uid="good-uid")
OF_GOOD = owned_by("DaskCluster", "c", "good-uid")
OF_GOOD_GROUP = owned_by("DaskWorkerGroup", "c-default", "good-group-uid")
RUNNING = {"phase": "Running", "podIP": "192.0.2.7", "containerStatuses": []}
GOOD_OBJECTS = [
    GOOD,
    group(namespace="good", uid="good-group-uid", replicas=1, ownerReferences=[OF_GOOD]),
    pod("c-scheduler", namespace="good", component="scheduler", owner=OF_GOOD) | {"status": RUNNING},
    pod("w", namespace="good", owner=OF_GOOD_GROUP) | {"status": RUNNING},
    service(namespace="good", ownerReferences=[OF_GOOD]),
]
RESOURCES_OF_GOOD = [DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS, PODS, SERVICES]
OWNERS = [
    OF_GOOD,
    OF_GOOD_GROUP,
    OF_GOOD | {"kind": "DaskWorkerGroup"},
    OF_GOOD | {"apiVersion": "v1"},
    owned_by("DaskCluster", "c", "uid-of-cluster"),
    owned_by("DaskWorkerGroup", "c-default", "uid-of-c-default"),
    owned_by("Job", "j", "uid-of-j", "batch/v1"),
    OF_GOOD | {"uid": "u" * 50_000, "name": "n" * 50_000},
]
ANNOTATIONS = [
    labels.FAILURES,
    labels.LAST_APPLIED,
    labels.TEMPLATE_DIGEST,
    labels.DRAINING_SINCE,
    labels.CLUSTER_REPLICAS,
    labels.IDLE_SINCE,
    labels.LEGACY_COMMANDS,
]
FULL_STATUS = {
    "phase": "Failed",
    "reason": "Evicted",
    "message": "the node was low on memory",
    "podIP": "192.0.2.1",
    "conditions": [
        {"type": "Ready", "status": "False", "reason": "r", "message": "m"},
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no node"},
    ],
    "containerStatuses": [
        {
            "name": "dask",
            "image": "dask:1",
            "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}},
            "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
        }
    ],
}
OUR_STATUS = {
    "phase": "Running",
    "replicas": 1,
    "idleSince": "2026-11-23T11:59:00Z",
    "conditions": [{"type": "Ready", "status": "True", "reason": "r", "message": "m"}],
}


def odd(body):
    """An object of the tenant, with each annotation of ours."""
    metadata = {**body["metadata"], "namespace": "bad", "ownerReferences": [dict(OWNERS[0])]}
    metadata["annotations"] = dict.fromkeys(ANNOTATIONS, "1") | metadata.get("annotations", {})
    return body | {"metadata": metadata}


BASES = {
    PODS: [
        odd(pod("c-scheduler", component="scheduler", created=1e6) | {"status": RUNNING}),
        odd(pod("w") | {"status": FULL_STATUS}),
        odd(pod("r", component=labels.JOB_RUNNER)),
    ],
    SERVICES: [odd(service())],
    DASK_CLUSTERS: [odd(cluster(replicas=1) | {"status": OUR_STATUS})],
    DASK_WORKER_GROUPS: [odd(group(replicas=1) | {"status": OUR_STATUS})],
}
FEW = [(resource, orjson.dumps(body)) for resource, bodies in BASES.items() for body in bodies]


def places(value, path=()):
    """Paths of all fields."""
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in entries:
        yield (*path, key)
        yield from places(inner, (*path, key))


def at(value, path):
    for key in path:
        value = value[key]
    return value


def is_free(path):
    """Whether the API server takes any string in this field; it sets or validates others."""
    fixed = {"apiVersion", "name", "uid", "resourceVersion", "creationTimestamp", "ownerReferences", "type"}
    return not fixed.intersection(path) and (path[0] != "spec" or "image" in path)


PLACES = {
    text: [path for path in places(orjson.loads(text)) if path not in {("metadata", "namespace"), ("kind",)}]
    for _, text in FEW
}


PLACES_OF_STRINGS = {
    text: [path for path in paths if isinstance(at(orjson.loads(text), path), str) and is_free(path)]
    for text, paths in PLACES.items()
}
"""Places where the API server takes any string, or nearly any."""
PODS_ONLY = [(resource, text) for resource, text in FEW if resource == PODS]


@st.composite
def odd_objects(draw, places=PLACES, content=values, kinds=FEW):
    """An object of a watched resource in which some fields have other values."""
    resource, text = draw(st.sampled_from(kinds))
    body = orjson.loads(text)
    body["metadata"]["ownerReferences"] = [dict(draw(st.sampled_from(OWNERS)))]
    for path in draw(st.lists(st.sampled_from(places[text]), max_size=4)):
        put(body, path, draw(content))
    return resource, body


def put(body, path, value):
    """Set a field, unless a field above it has another type by now."""
    *above, last = path
    for key in above:
        body = body[key] if has(body, key) else None
    if has(body, last):
        body[last] = nested(300) if value == DEEP else value


def has(body, key):
    return key in body if isinstance(body, dict) else isinstance(body, list) and key in range(len(body))
