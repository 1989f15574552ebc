"""The deletion of clusters: on request, and at the exit of the interpreter.

At exit, event loops may be closed, and threads refuse new work, even the lookup of a host name. Therefore the
requests at exit are plain blocking ones.
"""

import asyncio
import atexit
import json
import os
import urllib.error
import urllib.request
import weakref
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Protocol

from dask_k8s_client.api.access import Access, load
from dask_k8s_client.api.requests import Api, Objects
from dask_k8s_client.api.watching import until, until_gone
from dask_k8s_client.arguments import JSON
from dask_k8s_client.exceptions import explaining
from dask_k8s_client.observed import located, pods_of
from dask_k8s_client.waiting import time_limit
from dask_k8s_crds import labels
from dask_k8s_crds.resources import DASK_CLUSTERS, PODS

_EXIT_TIMEOUT = 10.0


async def request_deletion(api: Api, cluster: JSON) -> None:
    """Delete a cluster without waiting until it is gone."""
    name, namespace, uid = (cluster["metadata"][key] for key in ("name", "namespace", "uid"))
    with explaining(f"delete the DaskCluster {located(cluster)}"):
        await api.delete(DASK_CLUSTERS, namespace, name, uid)


async def delete_cluster(api: Api, cluster: JSON, timeout: float | None) -> None:
    """Delete a cluster and wait until the resource is gone; its pods may take longer."""
    late = f"the DaskCluster {located(cluster)} is still there after {timeout or 0:.0f} s"
    async with time_limit(timeout, late):
        await request_deletion(api, cluster)
        await until_deleted(api, cluster)


async def until_deleted(api: Api, cluster: JSON) -> None:
    """Wait until a cluster is gone; there may be a new one of the same name."""
    with explaining(f"watch the DaskCluster {located(cluster)}"):
        await until_gone(api, DASK_CLUSTERS, cluster)


async def until_pods_deleted(api: Api, cluster: JSON) -> None:
    """Wait until all pods of a deleted cluster are gone, apart from the client of a job, which stays."""
    namespace, selector = cluster["metadata"]["namespace"], pods_of(cluster)
    # Compared by uid, because a new cluster of the same name has pods of its own.
    remaining: set[str] = set()

    def deleted(objects: Objects) -> bool | None:
        return None if remaining & {pod["metadata"]["uid"] for pod in objects.values()} else True

    with explaining(f"watch the pods of the DaskCluster {located(cluster)}"):
        for pod in await api.list_items(PODS, namespace, selector):
            if (pod["metadata"].get("labels") or {}).get(labels.COMPONENT) != labels.JOB_RUNNER:
                remaining.add(pod["metadata"]["uid"])
        await until(api, PODS, namespace, selector, deleted)


class Closable(Protocol):
    """An object that is closed at the exit of the interpreter."""

    def close_at_exit(self) -> None:
        """Release or delete the cluster, without an event loop and without waiting."""


# The keys are ids, because two objects for the same cluster are equal and both must be closed,
# and process ids, because a forked process must not delete the clusters of its parent.
_open: "weakref.WeakValueDictionary[tuple[int, int], Closable]" = weakref.WeakValueDictionary()


def register(cluster: Closable) -> None:
    """Close the cluster at exit, unless it is unregistered before."""
    _open[os.getpid(), id(cluster)] = cluster


def unregister(cluster: Closable) -> None:
    """Do not close the cluster at exit."""
    _open.pop((os.getpid(), id(cluster)), None)


@atexit.register
def _close_all() -> None:
    for (process, _), cluster in list(_open.items()):
        if process == os.getpid():
            cluster.close_at_exit()


def request_at_exit(access: Access, method: str, path: str, body: Mapping[str, Any]) -> None:
    """Send a blocking DELETE or PATCH; ignore that the object is gone or has another uid."""
    for is_last in (False, True):
        try:
            _send(access, method, path, body)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == HTTPStatus.UNAUTHORIZED and not is_last:
                access = asyncio.run(load(login=access.login))  # the token has expired
                continue
            if error.code not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
                raise
        return


def _send(access: Access, method: str, path: str, body: Mapping[str, Any]) -> None:
    content_type = "application/merge-patch+json" if method == "PATCH" else "application/json"
    request = urllib.request.Request(  # noqa: S310  # the scheme is that of the kubeconfig
        access.server + path,
        data=json.dumps(body).encode(),
        headers={"Content-Type": content_type, **asyncio.run(access.headers())},
        method=method,
    )
    proxy = access.connection.get("proxy")
    proxies = {"http": proxy, "https": proxy} if proxy else None if access.proxy_of_environment else {}
    tls = urllib.request.HTTPSHandler(context=access.connection.get("ssl"))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies), tls)
    opener.open(request, timeout=_EXIT_TIMEOUT).close()
