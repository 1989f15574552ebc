"""The clusters of a Kubernetes for ``dask-ctl``, which finds this under ``dask_cluster_discovery``."""

from collections import defaultdict
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import click

from dask_k8s_client.api.access import NoAccess
from dask_k8s_client.api.requests import Api
from dask_k8s_client.cluster import KubeCluster
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import DASK_CLUSTERS


@dataclass(frozen=True, slots=True)
class Finder:
    """Finds clusters in one namespace, in the place of a class with `from_name` that dask-ctl expects."""

    namespace: str
    other_namespaces: tuple[str, ...] = ()
    """Other namespaces that have a cluster of the same name."""

    def from_name(self, name: str, **kwargs: Any) -> KubeCluster:
        """Connect to a cluster, as `KubeCluster.from_name` does; ``dask cluster delete`` also deletes it.

        Raises:
            ValueError: It is to be deleted, and several namespaces have a cluster of this name.
        """
        deletes = _is_deletion()
        if deletes and self.other_namespaces:
            where = ", ".join(sorted((self.namespace, *self.other_namespaces)))
            advice = f"`dask kubernetes delete {name} -n NAMESPACE` deletes one of them"
            raise ValueError(f"there is a cluster {name} in each of the namespaces {where}; {advice}")
        known = {"namespace": self.namespace, "shutdown_on_close": deletes}
        return KubeCluster.from_name(name, **(known | kwargs))


def _is_deletion() -> bool:
    """Return whether ``dask cluster delete`` runs: all that it does with a cluster is to close it."""
    context = click.get_current_context(silent=True)
    if context is None or context.command.callback is None:
        return False
    return context.command.name == "delete" and context.command.callback.__module__ == "dask_ctl.cli"


async def discover() -> AsyncGenerator[tuple[str, Finder], None]:
    """Yield the name of each cluster, and what connects to it.

    Those of all namespaces, or of our own without the permission to list all; none without a Kubernetes.
    """
    try:
        api = await Api.connect()
    except NoAccess:
        return
    try:
        try:
            clusters = await api.list_items(DASK_CLUSTERS, None)
        except ApiError as error:
            if error.status != HTTPStatus.FORBIDDEN:
                raise
            clusters = await api.list_items(DASK_CLUSTERS, api.access.namespace)
    finally:
        await api.close()
    namespaces: defaultdict[str, list[str]] = defaultdict(list)
    for each in clusters:
        namespaces[each["metadata"]["name"]].append(each["metadata"]["namespace"])
    for name, places in namespaces.items():
        for namespace in places:
            yield name, Finder(namespace, tuple(other for other in places if other != namespace))
