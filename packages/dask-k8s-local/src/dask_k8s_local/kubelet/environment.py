"""The command, arguments and environment of a container: `env`, `envFrom`, `valueFrom`, `$(VAR)`.

Starts nothing.
"""

import os
import re
import site
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import dask_k8s_local.network.pod
from dask_k8s_local.kubelet.sources import MissingReference, Sources
from dask_k8s_local.store import Object, namespace_of

_REFERENCE = re.compile(r"\$(\$|\([^()]*\))")
_INVALID_CHARACTER = re.compile(r"[^A-Z0-9_]")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(VAR)` by the value of a defined variable, and `$$` by a dollar sign."""

    def replace(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        return variables.get(match[1][1:-1], match[0])

    return _REFERENCE.sub(replace, text)


def command_line(container: Object, variables: Mapping[str, str]) -> list[str]:
    """Return `command` and `args`. Images have no entry point here, so `args` alone are a command."""
    args = [*(container.get("command") or ()), *(container.get("args") or ())]
    return [expand(arg, variables) for arg in args]


def environment(container: Object, sources: Sources, services: Iterable[Object]) -> dict[str, str]:
    """Return the variables of a container; raises MissingReference."""
    pod = sources.pod
    linked = service_links(pod, services) if pod["spec"].get("enableServiceLinks", True) else {}
    variables: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        variables |= _all_of(source, sources)
    for entry in container.get("env") or ():
        name = entry["name"]
        if entry.get("valueFrom"):
            value = _value_from(entry["valueFrom"], container, sources)
            if value is not None:
                variables[name] = value
        else:
            variables[name] = expand(entry.get("value") or "", {**linked, **variables})
    return {**linked, **variables}


def service_links(pod: Object, services: Iterable[Object]) -> dict[str, str]:
    """Return the variables for the Services of the pod's namespace."""
    variables: dict[str, str] = {}
    for service in services:
        address, ports = service["spec"].get("clusterIP"), service["spec"].get("ports") or ()
        if namespace_of(service) != namespace_of(pod) or address in (None, "", "None") or not ports:
            continue
        name = _variable(service["metadata"]["name"])
        variables[f"{name}_SERVICE_HOST"] = address
        variables[f"{name}_SERVICE_PORT"] = str(ports[0]["port"])
        for index, port in enumerate(ports):
            protocol, number = port.get("protocol", "TCP"), port["port"]
            url = f"{protocol.lower()}://{address}:{number}"
            if port.get("name"):
                variables[f"{name}_SERVICE_PORT_{_variable(port['name'])}"] = str(number)
            if not index:
                variables[f"{name}_PORT"] = url
            prefix = f"{name}_PORT_{number}_{protocol}"
            variables |= {
                prefix: url,
                f"{prefix}_PROTO": protocol.lower(),
                f"{prefix}_PORT": str(number),
                f"{prefix}_ADDR": address,
            }
    return variables


def _variable(name: str) -> str:
    return _INVALID_CHARACTER.sub("_", name.upper())


def _all_of(source: Mapping[str, Any], sources: Sources) -> dict[str, str]:
    reference = source.get("configMapRef") or source.get("secretRef") or {}
    read = sources.config_map if source.get("configMapRef") else sources.secret
    try:
        contents = read(reference["name"])
    except MissingReference:
        if reference.get("optional"):
            return {}
        raise
    prefix = source.get("prefix") or ""
    return {prefix + key: value.decode(errors="replace") for key, value in contents.items()}


def _value_from(source: Mapping[str, Any], container: Object, sources: Sources) -> str | None:
    if reference := source.get("fieldRef"):
        return sources.field(reference["fieldPath"])
    if reference := source.get("resourceFieldRef"):
        return sources.resource(reference, container)
    for kind, title, read in (
        ("configMapKeyRef", "ConfigMap", sources.config_map),
        ("secretKeyRef", "Secret", sources.secret),
    ):
        if reference := source.get(kind):
            optional = reference.get("optional")
            contents: Mapping[str, bytes] = {}
            with suppress(*[MissingReference] if optional else ()):
                contents = read(reference["name"])
            if reference["key"] in contents:
                return contents[reference["key"]].decode(errors="replace")
            if optional:
                return None
            where = f"{title} {namespace_of(sources.pod)}/{reference['name']}"
            raise MissingReference(f"couldn't find key {reference['key']} in {where}")
    raise MissingReference(f"unsupported source of an environment variable: {', '.join(source)}")


_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_INHERITED = (
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "TZ",
    "CONDA_PREFIX",
    "VIRTUAL_ENV",
)
_HOSTNAME_MAX = 63


def base_variables(pod: Object, directory: Path, address: str, names: Path) -> dict[str, str]:
    """Return the variables of all processes of a pod, which make it use the server's Python environment."""
    home, temporary = directory / "home", directory / "tmp"
    for path in (home, temporary):
        path.mkdir(parents=True, exist_ok=True)
    hostname = (pod["spec"].get("hostname") or pod["metadata"]["name"])[:_HOSTNAME_MAX].rstrip(".-")
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return inherited | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{_SYSTEM_PATH}",
        "PYTHONUSERBASE": site.getuserbase(),
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "HOSTNAME": hostname,
        "K8S_LOCAL_ADDRESS": address,
        "K8S_LOCAL_NAMES": str(names),
        "K8S_LOCAL_NAMESPACE": namespace_of(pod),
    }


def python_path() -> str:
    """Return the directory of the sitecustomize module for pods."""
    return str(Path(dask_k8s_local.network.pod.__file__).parent)
