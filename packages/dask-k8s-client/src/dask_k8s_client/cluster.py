"""KubeCluster: a Dask cluster on Kubernetes as one of Dask's cluster managers."""
# mypy: allow-untyped-calls

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Self, Unpack

from distributed.core import Status
from distributed.utils import Log, Logs
from tornado.ioloop import IOLoop

from dask_k8s_client import deletion, scaling
from dask_k8s_client.adaptive import Adaptive
from dask_k8s_client.arguments import (
    JSON,
    ClusterArguments,
    Command,
    CreateMode,
    Duration,
    Env,
    Resources,
    Tolerations,
    checked_count,
    shows,
)
from dask_k8s_client.cluster_manager import ClusterManager, dashboard_link
from dask_k8s_client.logs import PodFilter, pod_logs
from dask_k8s_client.notebook import NotebookView
from dask_k8s_client.options import Options
from dask_k8s_client.progress import Deadline, Progress
from dask_k8s_client.session import Session
from dask_k8s_client.sizing import Size
from dask_k8s_client.specs.pods import change_worker
from dask_k8s_client.worker_counts import WorkerCounts
from dask_k8s_crds import labels

logger = logging.getLogger("dask_k8s_client")


class _Arguments(ClusterArguments, total=False):
    scheduler_sync_interval: float
    """Of ``distributed.deploy.Cluster``."""


class KubeCluster(ClusterManager):
    """A Dask cluster on Kubernetes.

    Creates a ``DaskCluster`` resource, or finds an existing one by its name, and connects to its scheduler.
    Defaults come from Dask's configuration under ``kubernetes:``.

    Args:
        name: Name of the cluster; may contain ``{user}``, ``{uuid}`` and environment variables in braces.
        namespace: By default that of the kubeconfig's context, or of the pod we run in.
        image: Container image of the scheduler and the workers.
        n_workers: Initial number of workers.
        resources: ``limits`` and ``requests`` of each worker. The scheduler does not get them, so no GPU
            either; see `scheduler_resources`.
        env: Environment variables of the scheduler and the workers: a dict, or a list as in a Pod.
        worker_command: Command that starts a worker, as a string or a list.
        connect: How to reach the scheduler: ``"service"``, by the name of its service; ``"portforward"``,
            through the Kubernetes API; ``"loadbalancer"`` or ``"nodeport"``, if its service has one; or an
            address that it has by other means, such as ``"tcp://host:8786"``. The default, ``"auto"``, is the
            name of the service inside Kubernetes; outside it depends on the service's type, with a
            port-forward for ``ClusterIP``.
        port_forward_cluster_ip: The older form of `connect`, used if that is ``"auto"``: ``True`` means
            ``"portforward"``, ``False`` means ``"service"``.
        create_mode: Whether to create the resource, to connect to an existing one, or either.
        shutdown_on_close: Delete the resource on close; by default only if this object has created it. A
            cluster created in a pod and deleted on close is also deleted with that pod.
        idle_timeout: Delete the cluster after it has been idle for this long, even if clients are connected:
            a number of seconds or a text such as ``"1 hour"``, rounded up to whole seconds; 0 means never.
        resource_timeout: Limit for the whole start: a number of seconds or such a text.
        scheduler_service_type: ``ClusterIP``, ``NodePort`` or ``LoadBalancer``.
        custom_cluster_spec: A ``DaskCluster`` as a dict, or the path of a YAML file with one. Replaces all
            arguments that describe the cluster, including its name.
        scheduler_forward_port: Local port of a forwarded dashboard; any by default.
        jupyter: Start a Jupyter server beside the dashboard.
        scheduler_resources: ``limits`` and ``requests`` of the scheduler.
        scheduler_node_selector: Labels of the nodes that the scheduler may run on.
        scheduler_tolerations: Tolerations of the scheduler, as in a Pod.
        worker_node_selector: Labels of the nodes that the workers may run on.
        worker_tolerations: Tolerations of the workers, as in a Pod.
        labels: Labels of the cluster, and so of everything that is created for it.
        annotations: Annotations of the same objects.
        service_account_name: Service account of the scheduler and the workers.
        image_pull_secrets: Names of the Secrets for the registry of the image, or one name.
        priority_class_name: Priority class of the scheduler and the workers.
        volumes: Volumes of the scheduler and the workers, as in a Pod.
        volume_mounts: Where these are mounted, as in a container.
        run_as_user: User ID that the scheduler and the workers run as, without privileges, for a namespace
            that enforces the `restricted` Pod Security Standard. By default that of the image.
        loop: The event loop to run on; by default a new one in a thread.
        asynchronous: Use ``await`` and ``async with`` on the running loop.
        quiet: Show no progress.
        **kwargs: Passed to ``distributed.deploy.Cluster``.

    Raises:
        ValidationError: A name, an argument or a spec that Kubernetes refuses.
        SchedulerStartupError: The scheduler did not start; the message says why.
        ValueError: A cluster of this name exists, or does not exist, and ``create_mode`` demands otherwise.
        PermissionError: A permission is missing.
        RuntimeError: No Kubernetes is configured, or it does not know Dask's resources.
    """

    @shows(
        "name namespace image n_workers resources env worker_command port_forward_cluster_ip create_mode"
        " shutdown_on_close idle_timeout resource_timeout scheduler_service_type custom_cluster_spec"
        " scheduler_forward_port jupyter connect scheduler_resources scheduler_node_selector"
        " scheduler_tolerations worker_node_selector worker_tolerations labels annotations"
        " service_account_name image_pull_secrets priority_class_name volumes volume_mounts run_as_user",
        rest="kwargs",
    )
    def __init__(
        self,
        *,
        loop: IOLoop | None = None,
        asynchronous: bool = False,
        quiet: bool = False,
        **arguments: Unpack[_Arguments],
    ) -> None:
        self._options = Options.from_arguments(arguments)
        self.shutdown_on_close = self._options.shutdown_on_close
        self._session = Session(self._options)
        self._view = NotebookView(self._session, self._options.name)
        self._counts = WorkerCounts(self._session)
        self._changes = asyncio.Lock()
        self._is_started = False
        known = ClusterArguments.__annotations__
        others: dict[str, Any] = {key: value for key, value in arguments.items() if key not in known}
        super().__init__(name=self._options.name, asynchronous=asynchronous, loop=loop, quiet=quiet, **others)

    @classmethod
    def from_name(cls, name: str, **kwargs: Any) -> Self:
        """Connect to an existing cluster; closing the object does not delete the cluster."""
        defaults: dict[str, Any] = {"create_mode": CreateMode.CONNECT_ONLY, "shutdown_on_close": False}
        return cls(name=name, **(defaults | kwargs))

    async def _open(self) -> None:
        deletion.register(self)
        async with Progress(self.name, quiet=self.quiet) as progress:
            deadline = Deadline(self._options.resource_timeout)
            route = await self._session.open(deadline, progress)
            progress.step(f"connecting to the scheduler at {route.address}", route.hint)
            async with deadline.enforced(progress):
                try:
                    await self._connect(route.address)
                except OSError as error:
                    raise ConnectionError(f"{error}; {route.hint}" if route.hint else str(error)) from error
        self._is_started = True
        if self.shutdown_on_close is None:
            self.shutdown_on_close = self._session.created

    async def _find_again(self) -> str:
        return (await self._session.find_again()).address

    async def _shut(self, timeout: float) -> None:
        try:
            await self._view.stop()
            await self._counts.stop()
            await self._session.close(timeout, delete=self._deletes)
        finally:
            deletion.unregister(self)

    def close_at_exit(self) -> None:
        """Delete or leave the cluster at the exit of the interpreter; needs no event loop."""
        if self.status is Status.closed:
            return
        # First, so that a client that loses its connection now does not try to reconnect.
        self.status = Status.closed
        try:
            self._session.close_at_exit(delete=self._deletes)
        except Exception as error:  # noqa: BLE001  # the process is about to end
            logger.warning("the cluster %s may be left behind: %s", self.name, error)
        self._session.abandon()

    @property
    def _deletes(self) -> bool:
        if not self._is_started:
            # A failed start deletes what it has created, and nothing that existed before.
            return self._session.created and self.shutdown_on_close is not False
        return bool(self.shutdown_on_close)

    def scale(
        self,
        n: int | None = None,
        worker_group: str = "default",
        *,
        memory: str | int | None = None,
        cores: float | None = None,
    ) -> Any:
        """Set the number of workers of a group.

        This ends `adapt`: any autoscaler that scales this group is deleted first.

        Args:
            n: Number of workers. Of several arguments, the one that needs most workers decides.
            worker_group: Name of the group within the cluster.
            memory: Memory of all workers together, such as ``"64 GiB"``. That of each worker is the limit of
                its container, or else the request.
            cores: Cores of all workers together. Those of each worker are the ``--nthreads`` of its command,
                or else the limit of its container, or else the request.

        Raises:
            ValueError: The workers have no limit and no request of memory, or of cores.
        """
        return self._call(self._scale, worker_group, Size.parse(n, memory, cores))

    async def _scale(self, worker_group: str, size: Size) -> None:
        group = await self._apply(scaling.scale, worker_group, size, self._options.resource_timeout)
        if group is not None:
            self._counts.record(group)

    def adapt(  # type: ignore[override]  # the controller does the work of `Adaptive`
        self,
        minimum: int | None = 0,
        maximum: float | None = None,
        *,
        interval: Duration | None = None,
        target_duration: Duration | None = None,
    ) -> Adaptive:
        """Let the number of workers follow the work, until `scale` is called.

        Creates a ``DaskAutoscaler`` of the cluster's name, or changes the one that scales the cluster.
        It works for as long as the cluster exists, with or without this object.

        Returns an object with the bounds, as other cluster managers of Dask do. With ``asynchronous=True``
        it is to be awaited.

        Args:
            minimum: Fewest workers of the default group.
            maximum: Most workers of the default group; without it there is no upper bound.
            interval: How often to ask the scheduler what it needs: a number of seconds or a text such as
                ``"10 s"``, rounded up to whole seconds. Unchanged by default; 5 at first.
            target_duration: Have so many workers that the known work takes about this long: a number of
                seconds or such a text. Unchanged by default; at first as the scheduler is configured.

        Raises:
            ValidationError: A number is negative or too large, or the maximum is below the minimum.
            TypeError: A bound is not a number, or a keyword is unknown.
            RuntimeError: Kubernetes does not know ``DaskAutoscaler``.
            ValueError: A duration is invalid, or the cluster was deleted.
            PermissionError: A permission is missing.
        """
        spec = scaling.autoscaler_spec(
            self.name, minimum=minimum, maximum=maximum, interval=interval, target_duration=target_duration
        )
        change = self._call(self._apply, scaling.adapt, spec, self._options.resource_timeout)
        return Adaptive(spec["minimum"], spec["maximum"], change)

    def add_worker_group(  # noqa: PLR0913, PLR0917  # users may pass these by position
        self,
        name: str,
        n_workers: int = 3,
        image: str | None = None,
        resources: Resources | None = None,
        worker_command: Command | None = None,
        env: Env | None = None,
        custom_spec: Mapping[str, Any] | None = None,
        *,
        node_selector: Mapping[str, str] | None = None,
        tolerations: Tolerations | None = None,
    ) -> Any:
        """Add a group of workers that differ from the others.

        They are like the cluster's own workers apart from the arguments, or like `custom_spec`, a section as
        ``make_worker_spec`` returns it. The group is deleted with the cluster.
        """

        def worker(own: JSON) -> JSON:
            if custom_spec is not None:
                return {"replicas": checked_count("n_workers", n_workers), **custom_spec}
            return change_worker(
                own,
                n_workers=n_workers,
                image=image,
                resources=resources,
                env=env,
                worker_command=worker_command,
                node_selector=node_selector,
                tolerations=tolerations,
            )

        return self._call(self._apply, scaling.add_group, name, worker)

    def delete_worker_group(self, name: str) -> Any:
        """Delete a group that was added, and its workers."""
        return self._call(self._apply, scaling.delete_group, name)

    def restart_workers(self, worker_group: str | None = None) -> Any:
        """Replace the workers of all groups, or of one group, by new pods, a few at a time.

        Data and tasks are handed over before a worker goes, as with an edit of its template; the cluster's
        ``updateStrategy`` says how many go at a time. Returns at once. Use it for example after a ConfigMap
        has changed that workers read when they start. ``Client.restart_workers`` restarts processes within
        their pods instead, and loses their data.

        Args:
            worker_group: The name of the group within the cluster; by default all groups.
        """
        return self._call(self._apply, scaling.restart, worker_group)

    async def _apply(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function of `scaling` with the API server and the cluster, once they are known.

        Calls that nobody awaits take effect in their order: `scale` after `adapt` ends that.
        """
        async with self._changes:
            return await function(self._session.api, self._session.cluster, *args)

    @property
    def plan(self) -> set[str]:
        """The workers that the cluster is to have, by the replicas of its worker groups.

        Those that have not registered with the scheduler are called ``<cluster>-pending-<number>``.
        """
        return self._worker_names(lambda: self._counts.planned)

    @property
    def requested(self) -> set[str]:
        """The workers that have a pod, with names as in `plan`."""
        return self._worker_names(lambda: self._counts.present)

    def _worker_names(self, count: Callable[[], int]) -> set[str]:
        if self.status is not Status.running:
            return set()
        self._call(self._counts.start)
        n, registered = count(), sorted(map(str, self.observed))
        pending = (f"{self.name}-pending-{number}" for number in range(len(registered), n))
        return {*registered[:n], *pending}

    async def _get_logs(self, cluster: bool = True, scheduler: bool = True, workers: bool = True) -> Logs:  # noqa: FBT001, FBT002
        chosen = {labels.SCHEDULER: scheduler, labels.WORKER: workers}
        components = frozenset(component for component, is_chosen in chosen.items() if is_chosen)
        logs = await pod_logs(self._session.api, self._session.cluster, PodFilter(components))
        if cluster and self._cluster_manager_logs:
            logs = {"Cluster": "\n".join(line for _, line in self._cluster_manager_logs)} | logs
        return Logs({name: Log(text) for name, text in logs.items()})

    def _ipython_display_(self, **kwargs: Any) -> None:
        if self.status is Status.running:
            self._call(self._view.start)
        super()._ipython_display_(**kwargs)

    def _repr_html_(self, cluster_status: str | None = None) -> str:
        rows = self._view.status_html(self.status) + (cluster_status or "")
        html: str = super()._repr_html_(cluster_status=rows)
        return html

    def _scaling_status(self) -> str:
        return self._view.scaling_html(self.status)

    @property
    def namespace(self) -> str | None:
        """The namespace; known at the latest when the cluster is started."""
        return self._session.namespace

    @property
    def dashboard_link(self) -> str:
        """The URL of the dashboard for a browser on this machine; empty until there is one.

        It stays empty for a scheduler with ``--no-dashboard``.
        """
        route = self._session.route
        if route is None:
            return ""
        return dashboard_link(route.dashboard_host, route.dashboard_port, route.dashboard_prefix)

    @property
    def jupyter_link(self) -> str:
        """The URL of JupyterLab for a browser on this machine."""
        if not self._options.jupyter:
            raise RuntimeError("the cluster was not started with jupyter=True")
        route = self._session.route
        if route is None:
            return ""
        # Jupyter's own path begins at the root, whatever that of the dashboard is.
        link = dashboard_link(route.dashboard_host, route.dashboard_port)
        return link.replace("/status", "/jupyter/lab")

    @property
    def forwarded_dashboard_port(self) -> str | None:
        """The local port of the dashboard, if it is forwarded."""
        route = self._session.route
        return str(route.dashboard_port) if route and route.forwards else None

    def __eq__(self, other: object) -> bool:
        """Return whether two objects are for the same cluster."""
        return isinstance(other, KubeCluster) and self._identity == other._identity

    def __hash__(self) -> int:
        """Hash the name, which is known from the beginning."""
        return hash(self.name)

    @property
    def _identity(self) -> tuple[str | None, ...]:
        return self._session.server, self.namespace, self.name
