"""The clusters that there are, for `dask-ctl` and others who look under `dask_cluster_discovery`."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from dask_k8s_client.api import Api
from dask_k8s_client.cluster import KubeCluster
from dask_k8s_client.exceptions import ApiError
from dask_k8s_client.kube import NoAccess
from dask_k8s_client.resources import CLUSTERS


@dataclass(frozen=True, slots=True)
class Place:
    """Stands where a class is called for that makes a cluster object from a name alone."""

    namespace: str

    def from_name(self, name: str, **kwargs: Any) -> KubeCluster:
        """Connect to a cluster here, as `KubeCluster.from_name` does."""
        return KubeCluster.from_name(name, **({"namespace": self.namespace} | kwargs))


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
    for each in found:
        yield each["metadata"]["name"], Place(each["metadata"]["namespace"])
