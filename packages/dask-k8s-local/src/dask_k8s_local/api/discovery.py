"""Discovery of groups, versions and resources, in legacy and aggregated format. Contains no schemas."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from dask_k8s_local.api.catalog import Catalog, Served
from dask_k8s_local.resources import Resource

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

_SUBRESOURCES: dict[str, tuple[tuple[str, ...], tuple[str, str, str] | None]] = {
    "attach": (("create", "get"), ("", "", "PodAttachOptions")),
    "binding": (("create",), ("", "", "Binding")),
    "eviction": (("create",), ("policy", "v1", "Eviction")),
    "exec": (("create", "get"), ("", "", "PodExecOptions")),
    "finalize": (("update",), None),
    "log": (("get",), None),
    "portforward": (("create", "get"), ("", "", "PodPortForwardOptions")),
    "scale": (("get", "patch", "update"), ("autoscaling", "v1", "Scale")),
    "status": (("get", "patch", "update"), None),
}
"""Verbs of each subresource, and its group, version and kind if they differ from the resource's."""
RELEASE = "v1.34.4"
"""The release of Kubernetes whose behaviour and schemas this server follows."""
_INFO = {
    "major": "1",
    "minor": "34",
    "gitVersion": RELEASE,
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "python",
    "platform": "linux/amd64",
}


def version() -> dict[str, Any]:
    """Return the response to `/version`."""
    return _INFO


def answer(catalog: Catalog, path: str, *, aggregated: bool) -> dict[str, Any] | None:
    """Return the response to a discovery path, or None if the path does not exist."""
    parts = path.strip("/").split("/")
    groups = _groups(catalog)
    match parts:
        case ["api"] if aggregated:
            return _aggregate({"": groups[""]})
        case ["apis"] if aggregated:
            return _aggregate({name: found for name, found in groups.items() if name})
        case ["api"]:
            address = {"clientCIDR": "0.0.0.0/0", "serverAddress": ""}
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [address]}
        case ["apis"]:
            listed = [_group(name, versions) for name, versions in groups.items() if name]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
        case ["api", "v1"]:
            return _resources("v1", groups[""]["v1"])
        case ["apis", group] if group in groups:
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, groups[group])}
        case ["apis", group, found] if found in groups.get(group, {}):
            return _resources(f"{group}/{found}", groups[group][found])
        case _:
            return None


_Versions = dict[str, list[Served]]


def _groups(catalog: Catalog) -> dict[str, _Versions]:
    groups: dict[str, _Versions] = {}
    for served in catalog:
        resource = served.resource
        groups.setdefault(resource.group, {}).setdefault(resource.version, []).append(served)
    return groups


def _group(name: str, versions: _Versions) -> dict[str, Any]:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _resources(group_version: str, found: Iterable[Served]) -> dict[str, Any]:
    listed = [item for served in found for item in _legacy(served.resource)]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed}


def _legacy(resource: Resource) -> Iterator[dict[str, Any]]:
    common = {"namespaced": resource.namespaced}
    optional = {"shortNames": list(resource.short_names), "categories": list(resource.categories)}
    yield {
        "name": resource.plural,
        "singularName": resource.singular,
        **common,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
        **{key: value for key, value in optional.items() if value},
    }
    for subresource in sorted(resource.subresources):
        verbs, kind = _SUBRESOURCES[subresource]
        group = {"group": kind[0], "version": kind[1]} if kind and kind[0] else {}
        named = {"name": f"{resource.plural}/{subresource}", "singularName": "", **common, **group}
        yield {**named, "kind": kind[2] if kind else resource.kind, "verbs": list(verbs)}


def _aggregate(groups: dict[str, _Versions]) -> dict[str, Any]:
    items = [
        {
            "metadata": {"name": name} if name else {},
            "versions": [
                {
                    "version": version,
                    "resources": [_aggregated(served) for served in found],
                    "freshness": "Current",
                }
                for version, found in versions.items()
            ],
        }
        for name, versions in groups.items()
    ]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _aggregated(served: Served) -> dict[str, Any]:
    resource = served.resource
    own = ("", "", resource.kind)  # built-in kinds leave out the group and version
    if served.schema:
        own = (resource.group, resource.version, resource.kind)
    subresources = [
        {"subresource": name, "responseKind": _kind(kind or own), "verbs": list(verbs)}
        for name in sorted(resource.subresources)
        for verbs, kind in (_SUBRESOURCES[name],)
    ]
    optional = {
        "shortNames": list(resource.short_names),
        "categories": list(resource.categories),
        "subresources": subresources,
    }
    return {
        "resource": resource.plural,
        "responseKind": _kind(own),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
        **{key: value for key, value in optional.items() if value},
    }


def _kind(kind: tuple[str, str, str]) -> dict[str, str]:
    return dict(zip(("group", "version", "kind"), kind, strict=True))


def group_versions(catalog: Catalog) -> Iterator[tuple[str, list[Served]]]:
    """Yield the path of each group version, `api/v1` or `apis/apps/v1`, with its collections."""

    def path(served: Served) -> str:
        resource = served.resource
        return f"apis/{resource.group}/{resource.version}" if resource.group else f"api/{resource.version}"

    for key, found in groupby(sorted(catalog, key=path), key=path):
        yield key, list(found)
