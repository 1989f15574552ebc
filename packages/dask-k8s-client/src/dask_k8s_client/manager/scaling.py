"""What people ask of a cluster's workers: how many, of which kind. Checks and hands on; no requests."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dask_k8s_client.aliases import JSON, Env, Tolerations
from dask_k8s_client.durations import Duration
from dask_k8s_client.lifecycle.session import Session
from dask_k8s_client.manager.deploy import Manager
from dask_k8s_client.options import Options
from dask_k8s_client.parts import autoscaling, groups
from dask_k8s_client.specs import additions
from dask_k8s_client.specs.pods import checked_count


class ScalableCluster(Manager):
    """A cluster manager whose workers come and go."""

    _options: Options
    _session: Session

    def scale(self, n: int, worker_group: str = "default") -> Any:
        """Set the number of workers of a group, by its name within the cluster.

        That ends `adapt`: an autoscaler that scales this group is deleted first, whoever made it.
        """
        return self._call(self._scale, checked_count("n", n), worker_group)

    async def _scale(self, n: int, worker_group: str) -> None:
        session = self._session
        await groups.resize(session.api, session.cluster, worker_group, n, self._options.resource_timeout)

    def adapt(  # type: ignore[override]  # no `Adaptive` runs here: the controller does its work
        self,
        minimum: int | None = 0,
        maximum: float | None = None,
        *,
        interval: Duration | None = None,
        target_duration: Duration | None = None,
    ) -> Any:
        """Let the cluster have as many workers as its work needs, until `scale` is called.

        Makes a ``DaskAutoscaler`` of the cluster's name, or changes the one that scales the cluster already.
        It works for as long as the cluster is there, with or without this object.

        Args:
            minimum: How many workers the default group has at least.
            maximum: How many it has at most; without it there is no upper bound.
            interval: How often the scheduler is asked what it needs: a number of seconds or a text such as
                ``"10 s"``, rounded up to whole seconds. Stays as it is if not given; 5 at first.
            target_duration: There are so many workers that the known work takes about so long: a number of
                seconds or such a text. Stays as it is if not given; what the scheduler is configured with at
                first.

        Raises:
            ValidationError: numbers that are negative or too large, a maximum below the minimum.
            TypeError: numbers that are none, a keyword that is not known.
            RuntimeError: Kubernetes does not know ``DaskAutoscaler``.
            ValueError: a duration that is none; the cluster is gone.
            PermissionError: we may not.
        """
        spec = autoscaling.wish(
            self.name, minimum=minimum, maximum=maximum, interval=interval, target_duration=target_duration
        )
        return self._call(self._adapt, spec)

    async def _adapt(self, spec: JSON) -> None:
        session = self._session
        await autoscaling.adapt(session.api, session.cluster, spec, self._options.resource_timeout)

    def add_worker_group(  # noqa: PLR0913, PLR0917  # the users' signature
        self,
        name: str,
        n_workers: int = 3,
        image: str | None = None,
        resources: Mapping[str, Any] | None = None,
        worker_command: str | Sequence[str] | None = None,
        env: Env | None = None,
        custom_spec: Mapping[str, Any] | None = None,
        *,
        node_selector: Mapping[str, str] | None = None,
        tolerations: Tolerations | None = None,
    ) -> Any:
        """Add workers that are different from the others.

        They are as the cluster's own workers but for what is given; or as `custom_spec` says, which is what
        ``make_worker_spec`` returns. The group goes with the cluster.
        """

        def worker(own: JSON) -> JSON:
            if custom_spec is not None:
                return {"replicas": checked_count("n_workers", n_workers), **custom_spec}
            return additions.like_worker(
                own,
                n_workers=n_workers,
                image=image,
                resources=resources,
                env=env,
                node_selector=node_selector,
                tolerations=tolerations,
                worker_command=worker_command,
            )

        return self._call(self._add_worker_group, name, worker)

    async def _add_worker_group(self, name: str, worker: Callable[[JSON], JSON]) -> None:
        await groups.add(self._session.api, self._session.cluster, name, worker)

    def delete_worker_group(self, name: str) -> Any:
        """Delete a group that was added, and its workers."""
        return self._call(self._delete_worker_group, name)

    async def _delete_worker_group(self, name: str) -> None:
        await groups.delete(self._session.api, self._session.cluster, name)
