"""The worker groups of a cluster: scale, add, delete."""

import asyncio
from collections.abc import Callable

from dask_k8s_client.aliases import JSON
from dask_k8s_client.api.requests import Api
from dask_k8s_client.api.resources import CLUSTERS, GROUPS, Among
from dask_k8s_client.api.watching import until
from dask_k8s_client.exceptions import ApiError
from dask_k8s_client.parts import autoscaling
from dask_k8s_client.refusals import admit, doing, explained
from dask_k8s_client.specs import additions
from dask_k8s_crds import DaskWorkerGroup, names

DEFAULT = "default"


async def resize(api: Api, cluster: JSON, group: str, n: int, timeout: float) -> None:
    """Set the size of a group for good: an autoscaler that scales it is deleted first."""
    await autoscaling.remove(api, cluster, group)
    await scale(api, cluster, group, n, timeout)


async def scale(api: Api, cluster: JSON, group: str, n: int, timeout: float) -> None:
    """Set the size of a group. The default one of a new cluster may take a moment to appear."""
    metadata = cluster["metadata"]
    name = names.worker_group(metadata["name"], group)
    patch = {"spec": {"worker": {"replicas": n}}}
    try:
        if await api.patch(GROUPS, metadata["namespace"], name, patch) is not None:
            return
        if group != DEFAULT:
            there_are = ", ".join(await _names(api, cluster))
            raise ValueError(
                f"the cluster {metadata['name']} has no worker group {group!r}, but: {there_are}"
            )
        async with asyncio.timeout(timeout):
            await until(api, GROUPS, metadata["namespace"], Among.named(name), lambda world: world.get(name))
            await api.patch(GROUPS, metadata["namespace"], name, patch)
    except ApiError as error:
        raise explained(error, f"scale the worker group {name}") from error
    except TimeoutError:
        message = f"the worker group {name} is not there after {timeout:.0f} s; is the Dask Operator running?"
        raise TimeoutError(message) from None


async def _names(api: Api, cluster: JSON) -> list[str]:
    """Names of all groups within the cluster; those that its users have named freely are in full."""
    own = cluster["metadata"]["name"]
    found = await api.every(GROUPS, cluster["metadata"]["namespace"])
    mine = (each["metadata"]["name"] for each in found if each["spec"]["cluster"] == own)
    return sorted(each.removeprefix(names.worker_group(own, "")) for each in mine)


async def add(api: Api, cluster: JSON, name: str, worker: Callable[[JSON], JSON]) -> None:
    """Make a further group; `worker` gives its section for the `spec.worker` of the cluster as it is now."""
    metadata = cluster["metadata"]
    if name == DEFAULT:
        raise ValueError(f"the cluster {metadata['name']} has a worker group {DEFAULT!r} already")
    what = f"add the worker group {names.worker_group(metadata['name'], name)}"
    with doing(what):
        present = await api.get(CLUSTERS, metadata["namespace"], metadata["name"])
        if present is None:
            raise ValueError(f"cannot {what}: there is no DaskCluster {metadata['name']} any more")
        group = additions.make_group(present, name, worker(present["spec"]["worker"]))
        admit(DaskWorkerGroup, group)
        await api.create(GROUPS, metadata["namespace"], group)


async def delete(api: Api, cluster: JSON, name: str) -> None:
    """Delete a further group, its workers with it. One that is gone already is fine."""
    metadata = cluster["metadata"]
    if name == DEFAULT:
        raise ValueError(
            f"the worker group {DEFAULT!r} belongs to the cluster {metadata['name']}; scale it to 0"
        )
    group = names.worker_group(metadata["name"], name)
    with doing(f"delete the worker group {group}"):
        await api.delete(GROUPS, metadata["namespace"], group)
