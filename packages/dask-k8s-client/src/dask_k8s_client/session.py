"""A cluster from its start to its end: the resource and the route to its scheduler. No Dask comms."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus

from dask_k8s_client.api.access import OwnPod, owner_for
from dask_k8s_client.api.requests import Api, deletion_of
from dask_k8s_client.arguments import JSON
from dask_k8s_client.connection.connect_modes import Connect, choose
from dask_k8s_client.connection.routes import LocalPorts, Route, find_route
from dask_k8s_client.deletion import delete_cluster, request_at_exit
from dask_k8s_client.exceptions import explained
from dask_k8s_client.options import Options
from dask_k8s_client.progress import Deadline, Progress
from dask_k8s_client.startup import create_or_connect, until_ready
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import DASK_CLUSTERS

_RESPONSE_SECONDS = 10.0
"""The longest wait for the answer to a request that was cancelled, and for a scheduler that was lost."""


class Session:
    """A DaskCluster, its API server, and the route to its scheduler."""

    def __init__(self, options: Options) -> None:
        self.created = False
        """Whether this session has created the DaskCluster."""
        self.route: Route | None = None
        """The route to the scheduler, once it is ready."""
        self._options = options
        self._api: Api | None = None
        self._cluster: JSON | None = None
        self._mode: Connect = options.connect
        self._owner: OwnPod | None = None

    @property
    def api(self) -> Api:
        """The API server, once the session is open."""
        if self._api is None:
            raise RuntimeError(f"the cluster {self._options.name} is not started, or closed")
        return self._api

    @property
    def cluster(self) -> JSON:
        """The DaskCluster at the time when its scheduler became ready."""
        if self._cluster is None:
            raise RuntimeError(f"the cluster {self._options.name} is not started")
        return self._cluster

    @property
    def server(self) -> str | None:
        """The URL of the API server, once the session is open."""
        return self._api.access.server if self._api else None

    @property
    def namespace(self) -> str | None:
        """The namespace, as soon as it is known."""
        return self._cluster["metadata"]["namespace"] if self._cluster else self._options.namespace

    async def open(self, deadline: Deadline, progress: Progress) -> Route:
        """Create or find the cluster, wait for its scheduler, and find a route to it."""
        spare = min(_RESPONSE_SECONDS, deadline.seconds / 4)
        async with deadline.enforced(progress, spare):
            await self._create(progress, spare)
        # Before the wait: a mode that does not fit the service would still not fit after it.
        self._mode = choose(self._options.connect, self.cluster, in_cluster=self.api.access.in_cluster)
        observed = await until_ready(self.api, self.cluster, deadline, progress.show)
        self._cluster = observed.cluster
        async with deadline.enforced(progress):
            return await self._find_route(progress)

    async def find_again(self) -> Route:
        """Return the route to the present scheduler; wait a little for one.

        Raises:
            OSError: There is none at present. Try again: a pod that looks ready may be on a lost node.
            RuntimeError: The API server has an error.
        """
        if self.route is None:
            raise ConnectionError(f"the cluster {self._options.name} is not connected to")
        if self.route.may_change:
            async with asyncio.timeout(_RESPONSE_SECONDS):
                return await self._find_route(Progress(self._options.name, quiet=True))
        return self.route

    async def _find_route(self, progress: Progress) -> Route:
        ports = LocalPorts(dashboard=self._options.dashboard_port)
        self.route = await find_route(self.api, self.cluster, self._mode, progress, ports)
        return self.route

    async def _create(self, progress: Progress, patience: float) -> None:
        self._api = await Api.connect()
        progress.step(f"waiting for the Kubernetes API at {self._api.access.server} to answer")
        options, access = self._options, self._api.access
        namespace = options.namespace or access.namespace
        if access.in_cluster and options.shutdown_on_close is not False:
            self._owner = owner_for(access.own_pod, options.manifest, namespace)
        if self._owner is not None:
            options = replace(options, manifest=self._owner.own(options.manifest))
        creating = asyncio.create_task(create_or_connect(self._api, namespace, options))
        try:
            self._cluster, self.created = await asyncio.shield(creating)
        except asyncio.CancelledError:
            # Wait for the answer, to know whether there is a cluster to delete.
            with suppress(Exception):
                self._cluster, self.created = await asyncio.wait_for(creating, patience)
            raise

    async def close(self, timeout: float, *, delete: bool) -> None:
        """Delete the cluster and wait until it is gone, or leave it."""
        try:
            if self.route is not None:
                await self.route.close()
            if delete and self._cluster is not None:
                await delete_cluster(self.api, self._cluster, timeout)
            elif self._is_owned:
                await self._release()
        finally:
            if self._api is not None:
                await self._api.close()

    async def _release(self) -> None:
        metadata = self.cluster["metadata"]
        name = metadata["name"]
        try:
            await self.api.patch(DASK_CLUSTERS, metadata["namespace"], name, _without_owner(metadata["uid"]))
        except ApiError as error:
            if error.status != HTTPStatus.CONFLICT:  # a new cluster has this name
                raise explained(error, f"let go of the DaskCluster {name}") from error

    def close_at_exit(self, *, delete: bool) -> None:
        """Delete or leave the cluster at the exit of the interpreter: no event loop, no waiting."""
        if self._api is None or self._cluster is None:
            return
        metadata = self._cluster["metadata"]
        path = DASK_CLUSTERS.path(metadata["namespace"], metadata["name"])
        if delete:
            request_at_exit(self._api.access, "DELETE", path, deletion_of(metadata["uid"]))
        elif self._is_owned:
            request_at_exit(self._api.access, "PATCH", path, _without_owner(metadata["uid"]))

    @property
    def _is_owned(self) -> bool:
        """Whether this session has made our pod the owner of the cluster."""
        return self.created and self._owner is not None

    def abandon(self) -> None:
        """Close the connections to the API server at the exit of the interpreter."""
        if self._api is not None:
            with suppress(Exception):  # nobody could handle it any more
                self._api.abandon()


def _without_owner(uid: str) -> JSON:
    """Return a merge patch that removes the owners of the object `uid`, and fails for another of its name."""
    return {"metadata": {"uid": uid, "ownerReferences": None}}
