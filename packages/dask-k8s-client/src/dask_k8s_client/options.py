"""KubeCluster's arguments, completed from Dask's configuration and checked. Parsed once, here."""

import copy
import enum
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

from dask_k8s_client.aliases import JSON
from dask_k8s_client.connection import ways
from dask_k8s_client.durations import seconds
from dask_k8s_client.exceptions import ValidationError
from dask_k8s_client.refusals import admit
from dask_k8s_client.specs.cluster import make_cluster_spec
from dask_k8s_crds import DaskCluster, names, resources

# Read by KubeCluster's ancestor, which made pods itself, and by nobody since.
_OF_THE_PAST = (
    "host",
    "port",
    "deploy-mode",
    "interface",
    "protocol",
    "dashboard_address",
    "scheduler-service-wait-timeout",
    "scheduler-service-name-resolution-retries",
    "scheduler-service-template",
    "scheduler-pdb-template",
    "worker-template-path",
    "scheduler-template",
    "worker-template",
)


class CreateMode(enum.Enum):
    """What KubeCluster does about the resource: make it, take what is there, or either."""

    CREATE_ONLY = "CREATE_ONLY"
    CREATE_OR_CONNECT = "CREATE_OR_CONNECT"
    CONNECT_ONLY = "CONNECT_ONLY"


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that KubeCluster goes by."""

    name: str
    namespace: str | None
    """None: the one that the kubeconfig, or the pod we run in, says."""
    manifest: JSON
    """The DaskCluster to create."""
    create_mode: CreateMode
    shutdown_on_close: bool | None
    """None: if it was created here."""
    resource_timeout: float
    connect: ways.Connect
    dashboard_port: int
    """Local port of a forwarded dashboard; 0: any."""
    jupyter: bool

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """From the arguments that were given; the others come from Dask's configuration."""
        settings = _Settings(given)
        settings.warn()
        custom = settings.get("custom-cluster-spec")
        name = fill_name(settings.get("name"), os.environ)
        namespace = settings.get("namespace")
        if custom is not None:
            manifest = load_spec(custom)
            name, namespace = place(manifest, namespace)
        else:
            manifest = make_cluster_spec(
                name,
                image=settings.get("image"),
                n_workers=settings.get("count.start", "n_workers"),
                resources=settings.get("resources"),
                env=settings.get("env"),
                worker_command=settings.get("worker-command"),
                scheduler_service_type=settings.get("scheduler-service-type"),
                idle_timeout=settings.get("idle-timeout") or 0,
                jupyter=bool(settings.get("scheduler-jupyter", "jupyter")),
                scheduler_resources=settings.get("scheduler-resources"),
                scheduler_node_selector=settings.get("scheduler-node-selector"),
                scheduler_tolerations=settings.get("scheduler-tolerations"),
                worker_node_selector=settings.get("worker-node-selector"),
                worker_tolerations=settings.get("worker-tolerations"),
                run_as_user=settings.get("run-as-user"),
            )
        admit(DaskCluster, manifest)
        return cls(
            name=name,
            namespace=namespace,
            manifest=manifest,
            create_mode=_create_mode(settings.get("create-mode")),
            shutdown_on_close=settings.get("shutdown-on-close"),
            resource_timeout=seconds("resource_timeout", settings.get("resource-timeout")),
            connect=ways.parse(settings.get("connect"), settings.get("port-forward-cluster-ip")),
            dashboard_port=int(settings.get("scheduler-forward-port") or 0),
            jupyter=_starts_jupyter(manifest),
        )


class _Settings:
    """Arguments before configuration."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given

    def get(self, key: str, argument: str | None = None) -> Any:
        value = self._given.get(argument or key.replace("-", "_"))
        return dask.config.get(f"kubernetes.{key}", override_with=value)

    def warn(self) -> None:
        if dask.config.get("kubernetes.count.max", None) is not None:
            warnings.warn(
                "kubernetes.count.max has no effect; limit the workers by a ResourceQuota of the namespace",
                stacklevel=5,
            )
        past = [key for key in _OF_THE_PAST if dask.config.get(f"kubernetes.{key}", None) is not None]
        if past:
            warnings.warn(
                f"configuration without effect: {', '.join(f'kubernetes.{key}' for key in past)}",
                stacklevel=5,
            )


def fill_name(template: str, environ: Mapping[str, str]) -> str:
    """A name from a template with `{user}`, `{uuid}` and environment variables."""
    values = {key: _as_name(value) for key, value in environ.items()}
    user = "anonymous"
    with suppress(KeyError, OSError):  # a container may run as a user id that nobody has named
        user = getpass.getuser()
    values |= {"user": _as_name(user), "uuid": uuid.uuid4().hex[:10]}
    try:
        return template.format_map(values)
    except (KeyError, IndexError, ValueError) as error:
        raise ValidationError(f"name: {template!r} cannot be filled in: {error!r}") from None


def _as_name(value: str) -> str:
    """What may stand inside a cluster's name; cut so that the default template stays below the limit."""
    room = names.CLUSTER_NAME_MAX - len("dask--") - 10
    return re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")[:room].strip("-")


def load_spec(
    spec: Mapping[str, Any] | str | os.PathLike[str],
    *,
    what: str = "custom_cluster_spec",
    kind: str = resources.DASK_CLUSTERS.kind,
) -> JSON:
    """A resource from a dict or a YAML file; always a copy. `what` is the argument that it came by."""
    if isinstance(spec, Mapping):
        return copy.deepcopy(dict(spec))
    path = Path(spec).expanduser()
    try:
        return parse_spec(path.read_text(encoding="utf-8"), f"{what}: {path}", kind)
    except OSError as error:
        raise ValidationError(f"{what}: cannot read {path}: {error.strerror}") from error


def parse_spec(text: str, source: str, kind: str = resources.DASK_CLUSTERS.kind) -> JSON:
    """A resource from YAML; `source` is what the text came from."""
    try:
        documents = [each for each in yaml.safe_load_all(text) if each is not None]
    except yaml.YAMLError as error:
        raise ValidationError(f"{source} is not YAML: {error}") from error
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise ValidationError(f"{source} must hold one {kind}")
    return documents[0]


def place(
    manifest: JSON, namespace: str | None, *, what: str = "custom_cluster_spec"
) -> tuple[str, str | None]:
    """Name and namespace of a resource that was given whole."""
    metadata = manifest.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise ValidationError(f"{what}: metadata.name: Required value")
    own = metadata.get("namespace")
    if own and namespace and own != namespace:
        raise ValidationError(
            f"{what}: metadata.namespace: is {own!r}, but namespace={namespace!r} was given"
        )
    return metadata["name"], namespace or own


def _create_mode(value: CreateMode | str) -> CreateMode:
    try:
        return value if isinstance(value, CreateMode) else CreateMode[value]
    except KeyError:
        raise ValueError(f"create_mode: {value!r} is none of {', '.join(CreateMode.__members__)}") from None


def _starts_jupyter(manifest: JSON) -> bool:
    containers: Sequence[JSON] = manifest["spec"]["scheduler"]["spec"]["containers"]
    return any("--jupyter" in (each.get(key) or ()) for each in containers for key in ("command", "args"))
