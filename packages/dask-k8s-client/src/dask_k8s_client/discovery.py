"""The clusters that there are, for `dask-ctl` and others who look under `dask_cluster_discovery`."""

from collections import defaultdict
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import click

from dask_k8s_client.api.access import NoAccess
from dask_k8s_client.api.requests import Api
from dask_k8s_client.api.resources import CLUSTERS
from dask_k8s_client.exceptions import ApiError
from dask_k8s_client.manager.cluster import KubeCluster


@dataclass(frozen=True, slots=True)
class Place:
    """Stands where a class is called for that makes a cluster object from a name alone."""

    namespace: str
    namesakes: tuple[str, ...] = ()
    """Other namespaces that have a cluster of the same name."""

    def from_name(self, name: str, **kwargs: Any) -> KubeCluster:
        """Connect to a cluster here, as `KubeCluster.from_name` does, but to delete it if that is the wish.

        Raises:
            ValueError: it is to be deleted, and there is more than one of this name.
        """
        deletes = _is_deletion()
        if deletes and self.namesakes:
            where = ", ".join(sorted((self.namespace, *self.namesakes)))
            raise ValueError(
                f"there is a cluster {name} in each of the namespaces {where};"
                f" `dask kubernetes delete {name} -n NAMESPACE` deletes one of them"
            )
        known = {"namespace": self.namespace, "shutdown_on_close": deletes}
        return KubeCluster.from_name(name, **(known | kwargs))


def _is_deletion() -> bool:
    """`dask cluster delete` runs: all it does is to close what it finds, so whoever finds it has to know."""
    context = click.get_current_context(silent=True)
    if context is None or context.command.callback is None:
        return False
    return context.command.name == "delete" and context.command.callback.__module__ == "dask_ctl.cli"


async def discover() -> AsyncGenerator[tuple[str, Place], None]:
    """Yield the name of each cluster, and what connects to it.

    Of all namespaces, or of our own where we may not look into others. Without a Kubernetes there are none.
    """
    try:
        api = await Api.connect()
    except NoAccess:
        return
    try:
        try:
            found = await api.every(CLUSTERS, None)
        except ApiError as error:
            if error.status != HTTPStatus.FORBIDDEN:
                raise
            found = await api.every(CLUSTERS, api.access.namespace)
    finally:
        await api.close()
    namespaces: defaultdict[str, list[str]] = defaultdict(list)
    for each in found:
        namespaces[each["metadata"]["name"]].append(each["metadata"]["namespace"])
    for name, own in namespaces.items():
        for namespace in own:
            yield name, Place(namespace, tuple(other for other in own if other != namespace))
