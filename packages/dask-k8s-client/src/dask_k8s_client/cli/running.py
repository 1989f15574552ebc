"""How commands run: with a connection to the API server, and with errors as messages."""

import asyncio
import errno
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any, TypeVar

import click
import dask.config

from dask_k8s_client.api.access import Login, NoAccess
from dask_k8s_client.api.requests import Api
from dask_k8s_client.arguments import JSON, seconds
from dask_k8s_client.cli.parameters import Target, target
from dask_k8s_client.exceptions import SchedulerStartupError, Unreachable, explaining
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_JOBS

T = TypeVar("T")

_EXPECTED = (ApiError, OSError, RuntimeError, SchedulerStartupError, ValueError)
"""What the package raises with a message for users. TimeoutError and PermissionError are OSErrors."""
_COMPLETION_SECONDS = 1.0


def chosen_namespace() -> str | None:
    """Return the namespace of the command line or of Dask's configuration."""
    return target().namespace or dask.config.get("kubernetes.namespace", None)


def start_timeout() -> float:
    """Return the limit for a start in Dask's configuration, in seconds."""
    return seconds("kubernetes.resource-timeout", dask.config.get("kubernetes.resource-timeout"))


def run(work: Callable[[Api, str], Coroutine[Any, Any, T]], namespace: str | None = None) -> T:
    """Run a coroutine function with the API server and a namespace: this one, or that of the command line."""
    chosen, to = namespace or chosen_namespace(), target()

    async def connected() -> T:
        async with Api.connected(Login(to.kubeconfig, to.context)) as api:
            return await work(api, chosen or api.access.namespace)

    with reporting_errors():
        return asyncio.run(connected())


def run_on_cluster(name: str, work: Callable[[Api, JSON], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine function with the API server and the DaskCluster of this name."""

    async def found(api: Api, namespace: str) -> T:
        return await work(api, await find_cluster(api, namespace, name))

    return run(found)


def run_on_cluster_or_job(name: str, work: Callable[[Api, JSON], Coroutine[Any, Any, T]]) -> T:
    """Like `run_on_cluster`; if there is no cluster of this name, with the DaskJob of this name."""

    async def found(api: Api, namespace: str) -> T:
        job = None
        with suppress(
            ApiError
        ):  # of the cluster, or about the kind of jobs: `find_cluster` reports the first
            if await api.get(DASK_CLUSTERS, namespace, name) is None:
                job = await api.get(DASK_JOBS, namespace, name)
        return await work(api, job or await find_cluster(api, namespace, name))

    return run(found)


async def cluster_names(to: Target) -> list[str]:
    """Return the names of the clusters in the target's namespace, for completion."""
    login = Login(to.kubeconfig, to.context)
    async with asyncio.timeout(_COMPLETION_SECONDS), Api.connected(login) as api:
        clusters = await api.list_items(DASK_CLUSTERS, to.namespace or api.access.namespace)
    return sorted(each["metadata"]["name"] for each in clusters)


@contextmanager
def reporting_errors() -> Iterator[None]:
    """Turn an expected exception into a message with advice, and exit with 1."""
    try:
        yield
    except _EXPECTED as error:
        message = error.message if isinstance(error, ApiError) else str(error)
        raise click.ClickException(f"{message}{_advice(error)}") from error


def _advice(error: Exception) -> str:
    if isinstance(error, NoAccess) and target().context:
        return "\n`kubectl config get-contexts` lists the contexts that there are."
    if isinstance(error, NoAccess):
        return "\nName a kubeconfig with --kubeconfig or $KUBECONFIG."
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return "\nChoose another port, or none for any that is free."
    if isinstance(error, Unreachable):
        return "\n`kubectl cluster-info` asks the same server; --context and --kubeconfig name another."
    cause = error.__cause__
    is_unauthorized = isinstance(cause, ApiError) and cause.status == HTTPStatus.UNAUTHORIZED
    if isinstance(error, PermissionError) and is_unauthorized:
        return "\nLog in again, as for kubectl; `kubectl auth whoami` shows whether it has worked."
    if isinstance(error, PermissionError):
        return "\n`kubectl auth can-i --list` shows what you may do."
    return ""


async def find_cluster(api: Api, namespace: str, name: str) -> JSON:
    """Return the DaskCluster of this name, or exit with a message that suggests others."""
    with explaining(f"read the DaskCluster {name} in the namespace {namespace}"):
        cluster = await api.get(DASK_CLUSTERS, namespace, name)
    if cluster is None:
        raise click.ClickException(missing(name, namespace, await _visible_clusters(api, namespace)))
    return cluster


async def _visible_clusters(api: Api, namespace: str) -> list[tuple[str, str]]:
    """Return the namespaces and names of all clusters that we are permitted to list."""
    for scope in (None, namespace):
        with suppress(ApiError):
            clusters = await api.list_items(DASK_CLUSTERS, scope)
            return sorted((each["metadata"]["namespace"], each["metadata"]["name"]) for each in clusters)
    return []


def missing(name: str, namespace: str, others: Sequence[tuple[str, str]]) -> str:
    """Return the message for a cluster that does not exist; `others` are namespaces and names that do."""
    message = f"there is no DaskCluster {name} in the namespace {namespace}."
    if elsewhere := [place for place, other in others if other == name]:
        return f"{message} There is one elsewhere: {', '.join(f'-n {place}' for place in elsewhere)}"
    here = [other for place, other in others if place == namespace]
    if near := get_close_matches(name, here):
        message += f" Did you mean {' or '.join(near)}?"
    if here:
        return f"{message}\n`dask kubernetes list -n {namespace}` shows all that there are."
    if others:
        return f"{message} It has none; `dask kubernetes list -A` shows those of all namespaces."
    return f"{message} `dask kubernetes create {name} -n {namespace}` creates one."
