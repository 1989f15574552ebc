"""A cluster by its name, or words that help to find the one that was meant."""

from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches

import click

from dask_k8s_client.aliases import JSON
from dask_k8s_client.api.requests import Api
from dask_k8s_client.api.resources import CLUSTERS
from dask_k8s_client.exceptions import ApiError
from dask_k8s_client.refusals import doing


async def cluster(api: Api, namespace: str, name: str) -> JSON:
    """The DaskCluster of this name; exits if there is none."""
    with doing(f"read the DaskCluster {name} in the namespace {namespace}"):
        found = await api.get(CLUSTERS, namespace, name)
    if found is None:
        raise click.ClickException(missing(name, namespace, await _others(api, namespace)))
    return found


async def _others(api: Api, namespace: str) -> list[tuple[str, str]]:
    """Namespace and name of all clusters that we may see."""
    for place in (None, namespace):
        with suppress(ApiError):
            found = await api.every(CLUSTERS, place)
            return sorted((each["metadata"]["namespace"], each["metadata"]["name"]) for each in found)
    return []


def missing(name: str, namespace: str, others: Sequence[tuple[str, str]]) -> str:
    """What to say where there is no such cluster, but `others`, each by its namespace and name."""
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
