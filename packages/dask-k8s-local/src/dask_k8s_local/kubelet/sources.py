"""Values that a pod refers to: ConfigMaps, Secrets, fields of the pod and resources of containers.

Reads only.
"""

import base64
import re
from collections.abc import Mapping
from decimal import ROUND_CEILING
from typing import Any

from dask_k8s_local.resources import CONFIGMAPS, SECRETS, Resource
from dask_k8s_local.schema.quantity import parse
from dask_k8s_local.store import Object, Store, namespace_of

_KEYED = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


class MissingReference(Exception):
    """An object or key that the pod refers to does not exist; the message is the kubelet's."""


class Sources:
    """The sources of one pod."""

    def __init__(self, store: Store, pod: Object, node: Object, addresses: Mapping[str, str]) -> None:
        """`addresses` contains `podIP` and `hostIP`, which are known before the status is written."""
        self._store = store
        self.pod = pod
        self._node = node
        self._addresses = addresses

    def config_map(self, name: str) -> dict[str, bytes]:
        """Return the contents of a ConfigMap."""
        found = self._get(CONFIGMAPS, "configmap", name)
        binary = {key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()}
        return {key: value.encode() for key, value in (found.get("data") or {}).items()} | binary

    def secret(self, name: str) -> dict[str, bytes]:
        """Return the contents of a Secret."""
        found = self._get(SECRETS, "secret", name)
        return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}

    def field(self, path: str) -> str:
        """Return the value of a `fieldRef`."""
        metadata = self.pod["metadata"]
        if match := _KEYED.fullmatch(path):
            return str((metadata.get(match[1]) or {}).get(match[2], ""))
        match path:
            case "metadata.name" | "metadata.namespace" | "metadata.uid":
                return str(metadata[path.removeprefix("metadata.")])
            case "metadata.labels" | "metadata.annotations":
                entries = metadata.get(path.removeprefix("metadata.")) or {}
                return "\n".join(f"{key}={_quote(value)}" for key, value in sorted(entries.items()))
            case "spec.nodeName":
                return str(self.pod["spec"]["nodeName"])
            case "spec.serviceAccountName":
                return str(self.pod["spec"].get("serviceAccountName") or "default")
            case "status.podIP" | "status.podIPs":
                return self._addresses["podIP"]
            case "status.hostIP" | "status.hostIPs":
                return self._addresses["hostIP"]
        raise MissingReference(f"field label not supported: {path}")

    def resource(self, reference: Mapping[str, Any], container: Object | None = None) -> str:
        """Return the value of a `resourceFieldRef`; without a limit, it is the capacity of the node."""
        name = reference.get("containerName")
        if name:
            everyone = [*self.pod["spec"]["containers"], *(self.pod["spec"].get("initContainers") or ())]
            container = next((one for one in everyone if one["name"] == name), None)
        if container is None:
            raise MissingReference(f"container {name} not found")
        kind, _, resource = str(reference["resource"]).partition(".")
        resources = container.get("resources") or {}
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        if kind == "limits":
            amount = limits.get(resource) or self._node["status"]["allocatable"].get(resource, "0")
        else:
            amount = requests.get(resource) or limits.get(resource, "0")
        divisor = parse(str(reference.get("divisor") or "1")) or 1
        return str((parse(str(amount)) / divisor).to_integral_value(rounding=ROUND_CEILING))

    def _get(self, resource: Resource, kind: str, name: str) -> Object:
        found = self._store.get(resource, namespace_of(self.pod), name)
        if found is None:
            raise MissingReference(f'{kind} "{name}" not found')
        return found


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'
