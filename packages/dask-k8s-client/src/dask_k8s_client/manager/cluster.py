"""KubeCluster: a Dask cluster on Kubernetes as one of Dask's cluster managers."""

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

from distributed.core import Status
from distributed.utils import Logs
from tornado.ioloop import IOLoop

from dask_k8s_client.aliases import Env, Tolerations
from dask_k8s_client.durations import Duration
from dask_k8s_client.lifecycle import ending
from dask_k8s_client.lifecycle.session import Session
from dask_k8s_client.manager.deploy import as_logs, dashboard_link
from dask_k8s_client.manager.notebook import ShownCluster
from dask_k8s_client.options import CreateMode, Options
from dask_k8s_client.parts.logs import Which, pod_logs
from dask_k8s_client.waiting.deadline import Deadline
from dask_k8s_client.waiting.progress import Progress
from dask_k8s_crds import labels

logger = logging.getLogger("dask_k8s_client")


class KubeCluster(ShownCluster):
    """A Dask cluster on Kubernetes.

    Creates a ``DaskCluster`` resource, or finds one by its name, and connects to its scheduler. What is not
    given is taken from Dask's configuration under ``kubernetes:``.

    Args:
        name: Name of the cluster; may have ``{user}``, ``{uuid}`` and environment variables in braces.
        namespace: By default that of the kubeconfig's context, or of the pod we run in.
        image: Container image of scheduler and workers.
        n_workers: Workers to begin with.
        resources: ``limits`` and ``requests`` of each worker. The scheduler gets none of them, so no GPU
            either; see `scheduler_resources`.
        env: Environment of scheduler and workers: a dict, or a list as in a Pod.
        worker_command: What starts a worker, as a string or a list.
        connect: How to reach the scheduler: ``"service"``, by the name of its service; ``"portforward"``,
            through the Kubernetes API; ``"loadbalancer"`` or ``"nodeport"``, where its service has one; or
            the address that it has by other means, such as ``"tcp://host:8786"``. By default, ``"auto"``, by
            the service's name if we are inside Kubernetes; outside by what the service's type gives, a
            port-forward for ``ClusterIP``.
        port_forward_cluster_ip: The same in older words, where `connect` says nothing: ``True`` is
            ``"portforward"``, ``False`` is ``"service"``.
        create_mode: Whether the resource is made, taken as it is, or either.
        shutdown_on_close: Delete the resource on close; by default if it was created here. One that was
            created in a pod, to be deleted on close, is deleted also when that pod is.
        idle_timeout: Have the cluster deleted when it had nothing to do for so long, whoever is connected: a
            number of seconds or a text such as ``"1 hour"``, rounded up to whole seconds; 0 means never.
        resource_timeout: Seconds for the whole start, or such a text.
        scheduler_service_type: ``ClusterIP``, ``NodePort`` or ``LoadBalancer``.
        custom_cluster_spec: A ``DaskCluster`` as a dict, or the path of a YAML file with one. Replaces what
            the other arguments say about the cluster, its name included.
        scheduler_forward_port: Local port of the dashboard where ports are forwarded; any by default.
        jupyter: Start a Jupyter server beside the dashboard.
        scheduler_resources: ``limits`` and ``requests`` of the scheduler.
        scheduler_node_selector: Labels of the nodes where the scheduler may run.
        scheduler_tolerations: Taints of nodes that do not keep it away, as in a Pod.
        worker_node_selector: The same for workers.
        worker_tolerations: The same for workers.
        run_as_user: Number of the user that scheduler and workers run as, without privileges, where a
            namespace enforces the `restricted` Pod Security Standard. By default as the image says.
        loop: The event loop to run on; by default one of its own.
        asynchronous: To be used with ``await`` and ``async with`` on the running loop.
        quiet: Show no progress.
        **kwargs: For ``distributed.deploy.Cluster``.

    Raises:
        ValidationError: a name, an argument or a spec that Kubernetes refuses.
        SchedulerStartupError: the scheduler did not start; the message says why.
        ValueError: there is a cluster of this name, or there is none, and ``create_mode`` says otherwise.
        PermissionError: we may not.
        RuntimeError: no Kubernetes is configured, or it does not know Dask's resources.
    """

    def __init__(  # noqa: PLR0913  # the users' signature
        self,
        *,
        name: str | None = None,
        namespace: str | None = None,
        image: str | None = None,
        n_workers: int | None = None,
        resources: Mapping[str, Any] | None = None,
        env: Env | None = None,
        worker_command: str | Sequence[str] | None = None,
        port_forward_cluster_ip: bool | None = None,
        create_mode: CreateMode | str | None = None,
        shutdown_on_close: bool | None = None,
        idle_timeout: Duration | None = None,
        resource_timeout: Duration | None = None,
        scheduler_service_type: str | None = None,
        custom_cluster_spec: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        scheduler_forward_port: int | None = None,
        jupyter: bool | None = None,
        connect: str | None = None,
        scheduler_resources: Mapping[str, Any] | None = None,
        scheduler_node_selector: Mapping[str, str] | None = None,
        scheduler_tolerations: Tolerations | None = None,
        worker_node_selector: Mapping[str, str] | None = None,
        worker_tolerations: Tolerations | None = None,
        run_as_user: int | None = None,
        loop: IOLoop | None = None,
        asynchronous: bool = False,
        quiet: bool = False,
        **kwargs: Any,
    ) -> None:
        self._options = Options.of(
            {
                "name": name,
                "namespace": namespace,
                "image": image,
                "n_workers": n_workers,
                "resources": resources,
                "env": env,
                "worker_command": worker_command,
                "port_forward_cluster_ip": port_forward_cluster_ip,
                "create_mode": create_mode,
                "shutdown_on_close": shutdown_on_close,
                "idle_timeout": idle_timeout,
                "resource_timeout": resource_timeout,
                "scheduler_service_type": scheduler_service_type,
                "custom_cluster_spec": custom_cluster_spec,
                "scheduler_forward_port": scheduler_forward_port,
                "jupyter": jupyter,
                "connect": connect,
                "scheduler_resources": scheduler_resources,
                "scheduler_node_selector": scheduler_node_selector,
                "scheduler_tolerations": scheduler_tolerations,
                "worker_node_selector": worker_node_selector,
                "worker_tolerations": worker_tolerations,
                "run_as_user": run_as_user,
            }
        )
        self.shutdown_on_close = self._options.shutdown_on_close
        self._session = Session(self._options)
        self._is_up = False
        super().__init__(name=self._options.name, asynchronous=asynchronous, loop=loop, quiet=quiet, **kwargs)

    @classmethod
    def from_name(cls, name: str, **kwargs: Any) -> Self:
        """Connect to a cluster that is there; closing the object leaves the cluster alone."""
        defaults: dict[str, Any] = {"create_mode": CreateMode.CONNECT_ONLY, "shutdown_on_close": False}
        return cls(name=name, **(defaults | kwargs))

    async def _open(self) -> None:
        ending.remember(self)
        async with Progress(self.name, quiet=self.quiet) as progress:
            deadline = Deadline(self._options.resource_timeout)
            route = await self._session.open(deadline, progress)
            progress.step(f"connecting to the scheduler at {route.address}", route.hint)
            async with deadline.enforced(progress):
                try:
                    await self._join(route.address)
                except OSError as error:
                    raise ConnectionError(f"{error}; {route.hint}" if route.hint else str(error)) from error
        self._is_up = True
        if self.shutdown_on_close is None:
            self.shutdown_on_close = self._session.created

    async def _find_again(self) -> str:
        return (await self._session.find_again()).address

    async def _shut(self, timeout: float) -> None:
        try:
            await self._session.close(timeout, delete=self._is_to_be_deleted)
        finally:
            ending.forget(self)

    def close_at_exit(self) -> None:
        """Delete the cluster if that is still to be done; needs no loop."""
        if self.status is Status.closed:
            return
        # At once, so that a client which loses its connection now knows why and does not try for a new one.
        self.status = Status.closed
        try:
            self._session.close_now(delete=self._is_to_be_deleted)
        except Exception as error:  # noqa: BLE001  # the last words of a process
            logger.warning("the cluster %s may be left behind: %s", self.name, error)
        self._session.abandon()

    @property
    def _is_to_be_deleted(self) -> bool:
        if not self._is_up:
            # A start that failed takes back what it has made, and nothing that was there before.
            return self._session.created and self.shutdown_on_close is not False
        return bool(self.shutdown_on_close)

    async def _get_logs(self, cluster: bool = True, scheduler: bool = True, workers: bool = True) -> Logs:  # noqa: FBT001, FBT002
        wanted = {labels.SCHEDULER: scheduler, labels.WORKER: workers}
        components = frozenset(each for each, wish in wanted.items() if wish)
        found = await pod_logs(self._session.api, self._session.cluster, Which(components))
        own = {"Cluster": "\n".join(line for _, line in self._cluster_manager_logs)}
        return as_logs((own if cluster and self._cluster_manager_logs else {}) | found)

    @property
    def namespace(self) -> str | None:
        """Where it is; known once it is started, at the latest."""
        return self._session.namespace

    @property
    def dashboard_link(self) -> str:
        """Where a browser on this machine finds the dashboard; empty until there is one."""
        route = self._session.route
        return dashboard_link(route.dashboard_host, route.dashboard_port) if route else ""

    @property
    def jupyter_link(self) -> str:
        """Where a browser on this machine finds JupyterLab."""
        if not self._options.jupyter:
            raise RuntimeError("the cluster was not started with jupyter=True")
        return self.dashboard_link.replace("/status", "/jupyter/lab")

    @property
    def forwarded_dashboard_port(self) -> str | None:
        """Local port of the dashboard, where ports are forwarded."""
        route = self._session.route
        return str(route.dashboard_port) if route and route.forwards else None

    def __eq__(self, other: object) -> bool:
        """Two objects for the same cluster are equal."""
        return isinstance(other, KubeCluster) and self._identity == other._identity

    def __hash__(self) -> int:
        """By what is known from the beginning."""
        return hash(self.name)

    @property
    def _identity(self) -> tuple[str | None, ...]:
        return self._session.server, self.namespace, self.name
