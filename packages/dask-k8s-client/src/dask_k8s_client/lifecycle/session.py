"""One cluster in Kubernetes from its creation, or discovery, to its end. Knows nothing of Dask's comms."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus

from dask_k8s_client.aliases import JSON
from dask_k8s_client.api.creator import Creator, owner, release
from dask_k8s_client.api.requests import Api
from dask_k8s_client.api.resources import CLUSTERS
from dask_k8s_client.connection import routes, ways
from dask_k8s_client.exceptions import ApiError
from dask_k8s_client.lifecycle.deletion import delete_cluster
from dask_k8s_client.lifecycle.ending import delete_now, patch_now
from dask_k8s_client.lifecycle.start import create_or_connect, until_ready
from dask_k8s_client.options import Options
from dask_k8s_client.refusals import explained
from dask_k8s_client.waiting.deadline import Deadline
from dask_k8s_client.waiting.progress import Progress

# How long the answer to a request that was cancelled is waited for, at most, or a scheduler that is lost.
_PATIENCE = 10.0


class Session:
    """The DaskCluster, the API server that has it, and the way to its scheduler."""

    def __init__(self, options: Options) -> None:
        self.created = False
        """It was made here."""
        self._options = options
        self._api: Api | None = None
        self._cluster: JSON | None = None
        self._route: routes.Route | None = None
        self._creator: Creator | None = None

    @property
    def api(self) -> Api:
        """The API server, once connected to."""
        if self._api is None:
            raise RuntimeError(f"the cluster {self._options.name} is not started, or closed")
        return self._api

    @property
    def cluster(self) -> JSON:
        """The DaskCluster as it was when its scheduler became ready."""
        if self._cluster is None:
            raise RuntimeError(f"the cluster {self._options.name} is not started")
        return self._cluster

    @property
    def route(self) -> routes.Route | None:
        """The way to the scheduler, once it is ready."""
        return self._route

    @property
    def server(self) -> str | None:
        """Which Kubernetes, once connected to."""
        return self._api.access.server if self._api else None

    @property
    def namespace(self) -> str | None:
        """Where, once that is known."""
        return self._cluster["metadata"]["namespace"] if self._cluster else self._options.namespace

    async def open(self, deadline: Deadline, progress: Progress) -> routes.Route:
        """Make or find the cluster, wait for its scheduler, find a way there."""
        spare = min(_PATIENCE, deadline.seconds / 4)
        async with deadline.enforced(progress, spare):
            await self._create(progress, spare)
        # At once: waiting would not change it.
        ways.choose(self._options.connect, self.cluster, in_cluster=self.api.access.in_cluster)
        observed = await until_ready(self.api, self.cluster, deadline, progress.show)
        self._cluster = observed.cluster
        async with deadline.enforced(progress):
            self._route = await routes.route(self.api, self.cluster, self._wanted, progress)
        return self._route

    async def find_again(self) -> routes.Route:
        """The way to the scheduler that is there by now; waits a little for one.

        Raises:
            OSError: there is none at present. What looks ready may be on a node that is lost: look again.
            RuntimeError: Kubernetes has trouble.
        """
        if self._route is None:
            raise ConnectionError(f"the cluster {self._options.name} is not connected to")
        if self._route.may_move:
            progress = Progress(self._options.name, quiet=True)
            async with asyncio.timeout(_PATIENCE):
                self._route = await routes.route(self.api, self.cluster, self._wanted, progress)
        return self._route

    @property
    def _wanted(self) -> routes.Wanted:
        return routes.Wanted(self._options.connect, dashboard_port=self._options.dashboard_port)

    async def _create(self, progress: Progress, patience: float) -> None:
        self._api = await Api.connect()
        progress.step(f"waiting for the Kubernetes API at {self._api.access.server} to answer")
        options, access = self._options, self._api.access
        namespace = options.namespace or access.namespace
        if access.in_cluster and options.shutdown_on_close is not False:
            self._creator = owner(access.creator, options.manifest, namespace)
        if self._creator is not None:
            options = replace(options, manifest=self._creator.own(options.manifest))
        creating = asyncio.create_task(create_or_connect(self._api, namespace, options))
        try:
            self._cluster, self.created = await asyncio.shield(creating)
        except asyncio.CancelledError:
            # Not cut off half-way: whether there is something to clean up must be known.
            with suppress(Exception):
                self._cluster, self.created = await asyncio.wait_for(creating, patience)
            raise

    async def close(self, timeout: float, *, delete: bool) -> None:
        """Let go of the cluster, or delete it and wait until it is gone."""
        try:
            if self._route is not None:
                await self._route.close()
            if delete and self._cluster is not None:
                await delete_cluster(self.api, self._cluster, timeout)
            elif self._is_ours:
                await self._release()
        finally:
            if self._api is not None:
                await self._api.close()

    async def _release(self) -> None:
        metadata = self.cluster["metadata"]
        name = metadata["name"]
        try:
            await self.api.patch(CLUSTERS, metadata["namespace"], name, release(metadata["uid"]))
        except ApiError as error:
            if error.status != HTTPStatus.CONFLICT:  # another one of this name by now
                raise explained(error, f"let go of the DaskCluster {name}") from error

    def close_now(self, *, delete: bool) -> None:
        """As `close`, without an event loop and without waiting, at the end of the interpreter."""
        if self._api is None or self._cluster is None:
            return
        metadata = self._cluster["metadata"]
        path = CLUSTERS.path(metadata["namespace"], metadata["name"])
        if delete:
            delete_now(self._api.access, path, metadata["uid"])
        elif self._is_ours:
            patch_now(self._api.access, path, release(metadata["uid"]))

    @property
    def _is_ours(self) -> bool:
        """It was made here, and goes with the pod that we run in."""
        return self.created and self._creator is not None

    def abandon(self) -> None:
        """Let go of the API server, at the end of the interpreter."""
        if self._api is not None:
            with suppress(Exception):  # nobody is left to whom it could matter
                self._api.abandon()
