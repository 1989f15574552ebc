"""KubeCluster's arguments, completed from Dask's configuration and validated. Parsed once, here."""

import copy
import getpass
import os
import re
import uuid
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import dask.config
import yaml

from dask_k8s_client.arguments import JSON, ClusterSpecArguments, CreateMode, Spec, seconds
from dask_k8s_client.connection import connect_modes
from dask_k8s_client.exceptions import ValidationError, admit
from dask_k8s_client.specs.manifests import make_cluster_spec
from dask_k8s_crds import DaskCluster, names
from dask_k8s_crds.resources import DASK_CLUSTERS

_KEYS = {"n_workers": "count.start", "jupyter": "scheduler-jupyter"}
"""Configuration keys of the arguments whose key is not just their name with hyphens."""

_OBSOLETE_KEYS = (
    *("host", "port", "deploy-mode", "interface", "protocol", "dashboard_address"),
    *("scheduler-service-wait-timeout", "scheduler-service-name-resolution-retries"),
    *("scheduler-service-template", "scheduler-pdb-template"),
    *("worker-template-path", "scheduler-template", "worker-template"),
)
"""Configuration of dask-kubernetes' classic KubeCluster, which had no operator."""


@dataclass(frozen=True, slots=True)
class Options:
    """What KubeCluster does, with all defaults filled in."""

    name: str
    namespace: str | None
    """None: that of the kubeconfig's context, or of the pod we run in."""
    manifest: JSON
    """The DaskCluster to create."""
    create_mode: CreateMode
    shutdown_on_close: bool | None
    """None: only if this KubeCluster created the resource."""
    resource_timeout: float
    connect: connect_modes.Connect
    dashboard_port: int
    """Local port of a forwarded dashboard; 0: any."""
    jupyter: bool

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, object]) -> Self:
        """Fill in the arguments that are absent or None from Dask's configuration.

        Raises:
            ValidationError: The API server would refuse the resource.
            ValueError, TypeError: An argument is invalid; the message begins with its name.
        """
        _warn_of_obsolete_keys()

        def get(argument: str) -> Any:
            key = _KEYS.get(argument, argument.replace("_", "-"))
            return dask.config.get(f"kubernetes.{key}", override_with=arguments.get(argument))

        namespace = get("namespace")
        name = fill_name(get("name"), os.environ)
        if (custom := get("custom_cluster_spec")) is not None:
            manifest = load_spec(custom)
            name, namespace = identity(manifest, namespace)
        else:
            spec = {argument: get(argument) for argument in ClusterSpecArguments.__annotations__}
            spec |= {"idle_timeout": spec["idle_timeout"] or 0, "jupyter": bool(spec["jupyter"])}
            manifest = make_cluster_spec(name, **spec)
        admit(DaskCluster, manifest)
        return cls(
            name=name,
            namespace=namespace,
            manifest=manifest,
            create_mode=_create_mode(get("create_mode")),
            shutdown_on_close=get("shutdown_on_close"),
            resource_timeout=seconds("resource_timeout", get("resource_timeout")),
            connect=connect_modes.parse(get("connect"), get("port_forward_cluster_ip")),
            dashboard_port=int(get("scheduler_forward_port") or 0),
            jupyter=_starts_jupyter(manifest),
        )


def _warn_of_obsolete_keys() -> None:
    if dask.config.get("kubernetes.count.max", None) is not None:
        advice = "limit the workers by a ResourceQuota of the namespace"
        warnings.warn(f"kubernetes.count.max has no effect; {advice}", stacklevel=4)
    keys = [f"kubernetes.{key}" for key in _OBSOLETE_KEYS]
    if obsolete := [key for key in keys if dask.config.get(key, None) is not None]:
        warnings.warn(f"configuration without effect: {', '.join(obsolete)}", stacklevel=4)


def fill_name(template: str, environ: Mapping[str, str]) -> str:
    """Return a name from a template with ``{user}``, ``{uuid}`` and environment variables."""
    values = {key: _as_name(value) for key, value in environ.items()}
    user = "anonymous"
    with suppress(KeyError, OSError):  # in a container the user ID may have no name
        user = getpass.getuser()
    values |= {"user": _as_name(user), "uuid": uuid.uuid4().hex[:10]}
    try:
        return template.format_map(values)
    except (KeyError, IndexError, ValueError) as error:
        raise ValidationError(f"name: {template!r} cannot be filled in: {error!r}") from None


def _as_name(value: str) -> str:
    """Return a value as part of a cluster's name, cut so that the default template fits the limit."""
    length = names.CLUSTER_NAME_MAX - len("dask--") - 10
    return re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")[:length].strip("-")


def load_spec(spec: Spec, *, argument: str = "custom_cluster_spec", kind: str = DASK_CLUSTERS.kind) -> JSON:
    """Return a copy of a resource from a dict or a YAML file; `argument` is where the user passed it."""
    if isinstance(spec, Mapping):
        return copy.deepcopy(dict(spec))
    path = Path(spec).expanduser()
    try:
        return parse_spec(path.read_text(encoding="utf-8"), f"{argument}: {path}", kind)
    except OSError as error:
        raise ValidationError(f"{argument}: cannot read {path}: {error.strerror}") from error


def parse_spec(text: str, source: str, kind: str = DASK_CLUSTERS.kind) -> JSON:
    """Return a resource from YAML; `source` names the origin of the text in messages."""
    try:
        documents = [each for each in yaml.safe_load_all(text) if each is not None]
    except yaml.YAMLError as error:
        raise ValidationError(f"{source} is not YAML: {error}") from error
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise ValidationError(f"{source} must hold one {kind}")
    return documents[0]


def identity(
    manifest: JSON, namespace: str | None, *, argument: str = "custom_cluster_spec"
) -> tuple[str, str | None]:
    """Return the name and namespace of a manifest that a user wrote, which must agree with `namespace`."""
    metadata = manifest.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise ValidationError(f"{argument}: metadata.name: Required value")
    own = metadata.get("namespace")
    if own and namespace and own != namespace:
        problem = f"is {own!r}, but namespace={namespace!r} was passed"
        raise ValidationError(f"{argument}: metadata.namespace: {problem}")
    return metadata["name"], namespace or own


def _create_mode(value: CreateMode | str) -> CreateMode:
    try:
        return value if isinstance(value, CreateMode) else CreateMode[value]
    except KeyError:
        raise ValueError(f"create_mode: {value!r} is none of {', '.join(CreateMode.__members__)}") from None


def _starts_jupyter(manifest: JSON) -> bool:
    containers: Sequence[JSON] = manifest["spec"]["scheduler"]["spec"]["containers"]
    return any("--jupyter" in (each.get(key) or ()) for each in containers for key in ("command", "args"))
