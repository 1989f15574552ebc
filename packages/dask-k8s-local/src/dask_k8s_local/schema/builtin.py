"""The schemas of built-in kinds (package data), and defaults that they do not contain.

Contains no validation.
"""

from functools import cache
from importlib import resources as package
from typing import Any

import orjson

from dask_k8s_local.schema.node import Node, fill_node

_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_CONTAINER = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "resources": {},
}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "batch.v1.JobSpec": {"completionMode": "NonIndexed", "manualSelector": False, "suspend": False},
    "batch.v1.PodFailurePolicyOnPodConditionsPattern": {"status": "True"},
    "coordination.v1.Lease": {"spec": {}},
    "core.v1.ConfigMapVolumeSource": {"defaultMode": 420},
    "core.v1.Container": _CONTAINER,
    "core.v1.DownwardAPIVolumeSource": {"defaultMode": 420},
    "core.v1.EphemeralContainer": _CONTAINER,
    "core.v1.HTTPGetAction": {"path": "/", "scheme": "HTTP"},
    "core.v1.HostPathVolumeSource": {"type": ""},
    "core.v1.NamespaceStatus": {"phase": "Active"},
    "core.v1.Node": {"spec": {}, "status": {}},
    "core.v1.ObjectFieldSelector": {"apiVersion": "v1"},
    "core.v1.PodSpec": {
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    },
    "core.v1.Probe": _PROBE,
    "core.v1.ProjectedVolumeSource": {"defaultMode": 420},
    "core.v1.ResourceQuota": {"spec": {}, "status": {}},
    "core.v1.Secret": {"type": "Opaque"},
    "core.v1.SecretVolumeSource": {"defaultMode": 420},
    "core.v1.ServiceAccountTokenProjection": {"expirationSeconds": 3600},
    "core.v1.ServiceSpec": {"sessionAffinity": "None", "type": "ClusterIP"},
    "discovery.v1.EndpointPort": {"name": "", "protocol": "TCP"},
    "rbac.v1.RoleRef": {"apiGroup": "rbac.authorization.k8s.io"},
}
"""Constant defaults of Kubernetes' SetDefaults_* functions; computed defaults are in `strategy`."""

_SCHEMA = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
_SCHEMA_OR = frozenset({"v1.JSONSchemaPropsOrArray", "v1.JSONSchemaPropsOrBool"})


@cache
def schemas() -> dict[str, Any]:
    """Return Kubernetes' OpenAPI v3 schemas by name."""
    data: dict[str, Any] = orjson.loads((package.files(__package__) / "data/schemas.json").read_bytes())
    return data


@cache
def _names() -> dict[tuple[str, str, str], str]:
    """Return the schema's name by group, version and kind, without DeleteOptions, which have many."""
    kinds = ((name, schema.get("x-kubernetes-group-version-kind", ())) for name, schema in schemas().items())
    return {
        (k["group"], k["version"], k["kind"]): name for name, gvks in kinds for k in gvks if len(gvks) == 1
    }


def schema_name(group: str, version: str, kind: str) -> str | None:
    """Return the name of a built-in kind's schema."""
    return _names().get((group, version, kind))


@cache
def node(name: str) -> Node:
    """Return the compiled schema; references to a schema share one node."""
    if name not in _nodes:
        _compile(name)
    return _nodes[name]


_nodes: dict[str, Node] = {}


def _compile(name: str) -> Node:
    if name in _nodes:
        return _nodes[name]
    result = _nodes[name] = Node()
    schema = schemas()[name]
    fill_node(result, schema, _compile)
    package_and_type = name.rsplit(".", 2)[1:]
    result.name = ".".join(package_and_type)
    if result.name == "resource.Quantity":
        result.type, result.format = "string", "quantity"
    elif result.name == "intstr.IntOrString":
        result.type, result.int_or_string = "", True
    elif not schema.get("type") or result.name == "v1.FieldsV1":
        result.type, result.preserve = "", True
    if result.name in _SCHEMA_OR:
        result.additional = _compile(_SCHEMA)
    # OpenAPI contains Go's zero values ({}, 0) as defaults; a missing field means the same
    result.defaults = {key: value for key, value in result.defaults.items() if value} | _DEFAULTS.get(
        name.removeprefix("io.k8s.api."), {}
    )
    return result
