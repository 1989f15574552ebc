"""How many workers a cluster is to have and has, by its worker groups, which are followed by a watch."""

from collections.abc import Iterator

from dask_k8s_client.api.requests import EVERYTHING
from dask_k8s_client.api.watching import FIRST_VIEW_SECONDS, Watches
from dask_k8s_client.arguments import JSON
from dask_k8s_client.session import Session
from dask_k8s_crds import names
from dask_k8s_crds.resources import DASK_WORKER_GROUPS


class WorkerCounts:
    """Follows the worker groups of a cluster from the first time that somebody asks for a number."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._watches: Watches | None = None
        self._changed: dict[str, JSON] = {}

    async def start(self) -> None:
        """Begin to follow the worker groups, and wait until they are known."""
        if self._watches is None:
            namespace = self._session.namespace or ""
            self._watches = Watches(self._session.api, namespace, {DASK_WORKER_GROUPS: EVERYTHING})
        await self._watches.first(DASK_WORKER_GROUPS, FIRST_VIEW_SECONDS)

    async def stop(self) -> None:
        """Stop following."""
        if self._watches is not None:
            await self._watches.aclose()

    def record(self, group: JSON) -> None:
        """Record a worker group as the API server returned it after a change; the watch may be a bit late."""
        self._changed[group["metadata"]["name"]] = group

    @property
    def planned(self) -> int:
        """The number of workers that the worker groups are to have."""
        return sum(group["spec"]["worker"].get("replicas", 1) for group in self._groups())

    @property
    def present(self) -> int:
        """The number of workers that have a pod."""
        return sum((group.get("status") or {}).get("replicas", 0) for group in self._groups())

    def _groups(self) -> Iterator[JSON]:
        for group in self._listed():
            metadata = group["metadata"]
            changed = self._changed.get(metadata["name"], group)
            is_newer = changed["metadata"].get("generation", 0) > metadata.get("generation", 0)
            is_same = metadata.get("uid") in (None, changed["metadata"].get("uid"))
            yield changed if is_newer and is_same else group

    def _listed(self) -> list[JSON]:
        """Return the groups that the API server has listed; before that, the default group as it began."""
        cluster = self._session.cluster
        name = cluster["metadata"]["name"]
        if self._watches is None or DASK_WORKER_GROUPS not in self._watches.objects:
            group: JSON = {"metadata": {"name": names.default_group(name)}, "status": cluster.get("status")}
            return [{**group, "spec": {"cluster": name, "worker": cluster["spec"]["worker"]}}]
        listed = self._watches.objects[DASK_WORKER_GROUPS].values()
        return [group for group in listed if group["spec"]["cluster"] == name]
