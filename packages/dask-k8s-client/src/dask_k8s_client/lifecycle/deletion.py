"""The end of a cluster: deleted, and waited for until it is gone."""

import asyncio

from dask_k8s_client.aliases import JSON
from dask_k8s_client.api.requests import Api, World
from dask_k8s_client.api.resources import CLUSTERS, PODS, Among
from dask_k8s_client.api.watching import until
from dask_k8s_client.refusals import doing
from dask_k8s_crds import labels


async def request_deletion(api: Api, cluster: JSON) -> None:
    """Have a cluster deleted; that takes as long as it takes."""
    name, namespace, uid = (cluster["metadata"][key] for key in ("name", "namespace", "uid"))
    with doing(f"delete the DaskCluster {name} in the namespace {namespace}"):
        await api.delete(CLUSTERS, namespace, name, uid)


async def delete_cluster(api: Api, cluster: JSON, timeout: float | None) -> None:
    """Delete a cluster and wait until the resource is gone; its pods may take longer."""
    name, namespace = cluster["metadata"]["name"], cluster["metadata"]["namespace"]
    try:
        async with asyncio.timeout(timeout):
            await request_deletion(api, cluster)
            await until_gone(api, cluster)
    except TimeoutError:
        late = f"the DaskCluster {name} in the namespace {namespace} is still there after {timeout:.0f} s"
        raise TimeoutError(late) from None


async def until_gone(api: Api, cluster: JSON) -> None:
    """Wait until a cluster is there no more; another one of its name may be."""
    name, namespace, uid = (cluster["metadata"][key] for key in ("name", "namespace", "uid"))

    def gone(world: World) -> bool | None:
        return True if name not in world or world[name]["metadata"]["uid"] != uid else None

    with doing(f"watch the DaskCluster {name} in the namespace {namespace}"):
        await until(api, CLUSTERS, namespace, Among.named(name), gone)


async def until_empty(api: Api, cluster: JSON) -> None:
    """Wait until none of the pods that a deleted cluster has left behind is there."""
    name, namespace = cluster["metadata"]["name"], cluster["metadata"]["namespace"]
    among = Among(labels=labels.selector({labels.CLUSTER_NAME: name}))
    # By their uids: a new cluster of this name has pods of its own. The client of a job stays with the job.
    left: set[str] = set()

    def gone(world: World) -> bool | None:
        return None if left & {pod["metadata"]["uid"] for pod in world.values()} else True

    with doing(f"watch the pods of the DaskCluster {name} in the namespace {namespace}"):
        found = await api.every(PODS, namespace, among)
        left |= {pod["metadata"]["uid"] for pod in found if not _is_of_a_job(pod)}
        await until(api, PODS, namespace, among, gone)


def _is_of_a_job(pod: JSON) -> bool:
    marks = pod["metadata"].get("labels") or {}
    return bool(marks.get(labels.COMPONENT) == labels.JOB_RUNNER)
