"""The arguments that users pass: their types and their checks. No resources, no I/O.

Each argument that several functions share is typed once, in a ``TypedDict`` that those functions unpack.
"""

import enum
import math
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from inspect import Parameter, signature
from typing import Any, TypedDict, TypeVar, get_args

from dask.utils import parse_timedelta

F = TypeVar("F", bound=Callable[..., Any])

JSON = dict[str, Any]
Env = Mapping[str, str | float] | Sequence[Mapping[str, Any]]
Resources = Mapping[str, Any]
Tolerations = Sequence[Mapping[str, Any]]
Command = str | Sequence[str]
Duration = float | str | timedelta
Spec = Mapping[str, Any] | str | os.PathLike[str]
"""A resource as a dict, or the path of a YAML file with one."""


class CreateMode(enum.Enum):
    """Whether KubeCluster creates the resource, connects to an existing one, or either."""

    CREATE_ONLY = "CREATE_ONLY"
    CREATE_OR_CONNECT = "CREATE_OR_CONNECT"
    CONNECT_ONLY = "CONNECT_ONLY"


class PodArguments(TypedDict, total=False):
    """What all pods of a cluster or a job have in common."""

    run_as_user: int | None
    service_account_name: str | None
    image_pull_secrets: str | Sequence[str] | None
    priority_class_name: str | None
    volumes: Sequence[Mapping[str, Any]] | None
    volume_mounts: Sequence[Mapping[str, Any]] | None


class WorkloadArguments(PodArguments, total=False):
    """What the pods of a cluster look like: the arguments that clusters and jobs share."""

    image: str | None
    n_workers: int | None
    resources: Resources | None
    env: Env | None
    worker_command: Command | None
    scheduler_resources: Resources | None
    scheduler_node_selector: Mapping[str, str] | None
    scheduler_tolerations: Tolerations | None
    worker_node_selector: Mapping[str, str] | None
    worker_tolerations: Tolerations | None
    labels: Mapping[str, str] | None
    annotations: Mapping[str, str] | None


class JobArguments(WorkloadArguments, total=False):
    """The keyword arguments of ``make_job_spec``: those of the pods, and fields of a DaskJob's ``spec``."""

    runner_resources: Resources | None
    backoffLimit: int
    activeDeadlineSeconds: int
    ttlSecondsAfterFinished: int
    podFailurePolicy: Mapping[str, Any]
    suspend: bool
    clusterCleanup: str


class ClusterSpecArguments(WorkloadArguments, total=False):
    """The arguments of ``make_cluster_spec``, apart from the name."""

    scheduler_service_type: str | None
    idle_timeout: Duration | None
    jupyter: bool | None


class ClusterArguments(ClusterSpecArguments, total=False):
    """The arguments of ``KubeCluster`` that describe the cluster and how to connect to it."""

    name: str | None
    namespace: str | None
    custom_cluster_spec: Spec | None
    create_mode: CreateMode | str | None
    shutdown_on_close: bool | None
    resource_timeout: Duration | None
    connect: str | None
    port_forward_cluster_ip: bool | None
    scheduler_forward_port: int | None


def shows(order: str, *, rest: str | None = None, **defaults: Any) -> Callable[[F], F]:
    """Show arguments that a function unpacks in its signature, for ``help`` and completion.

    Args:
        order: Names of keyword-only arguments in the order to show them; the function's others follow.
        rest: Name of the ``**`` parameter to show behind them, for arguments that are not in `order`; None if
            there are no others.
        **defaults: Defaults to show for arguments that are unpacked; None for those that are not here.
    """

    def decorate(function: F) -> F:
        actual = signature(function)
        *own, unpacked = actual.parameters.values()
        hints = get_args(unpacked.annotation)[0].__annotations__
        keyword = partial(Parameter, kind=Parameter.KEYWORD_ONLY)
        keywords = {
            name: keyword(name, default=defaults.get(name), annotation=hints.get(name))
            for name in order.split()
        }
        keywords |= {each.name: each for each in own if each.kind is each.KEYWORD_ONLY}
        positional = [each for each in own if each.kind is not each.KEYWORD_ONLY]
        parameters = [*positional, *keywords.values()]
        if rest is not None:
            parameters.append(unpacked.replace(name=rest, annotation=Any))
        function.__signature__ = actual.replace(parameters=parameters)  # type: ignore[attr-defined]
        return function

    return decorate


def seconds(argument: str, duration: Duration) -> float:
    """Return a duration such as 90, ``"90 s"`` or a timedelta in seconds, or raise a ValueError."""
    try:
        number = float(parse_timedelta(duration, "seconds"))
    except (KeyError, TypeError, ValueError):
        number = math.nan
    if not 0 <= number < math.inf:
        raise ValueError(f"{argument}: must be a duration, such as 90 or '90 s', not {duration!r}")
    return number


def whole_seconds(argument: str, duration: Duration) -> int:
    """Return a duration in whole seconds, rounded up so that a short one does not become 0."""
    return math.ceil(seconds(argument, duration))


def checked_count(argument: str, n: Any) -> int:
    """Return a number of workers, if it is one."""
    # Accept the integers of numpy, but not True or 2.0.
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise TypeError(f"{argument}: must be an integer, not {n!r}")
    if n < 0:
        raise ValueError(f"{argument}: must not be negative: {n}")
    return int(n)


def checked_resources(resources: Resources | None, argument: str = "resources") -> JSON:
    """Return a copy of a container's resources, if they have the form of ``limits`` and ``requests``."""
    if resources is None:
        return {}
    if not isinstance(resources, Mapping):
        raise TypeError(f"{argument}: must be a dict with 'limits' and 'requests', not {resources!r}")
    for key, quantities in resources.items():
        if key not in ("limits", "requests"):
            raise ValueError(f"{argument}: unknown key {key!r}; may have 'limits' and 'requests'")
        if not isinstance(quantities, Mapping):
            example = "a dict such as {'memory': '2Gi'}"
            raise TypeError(f"{argument}: {key!r} must be {example}, not {quantities!r}")
    return {key: dict(quantities) for key, quantities in resources.items()}
