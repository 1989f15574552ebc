"""How many workers of a cluster take over the data of those that leave. No await."""

from dataclasses import replace

from dask_k8s_controller.dask.scheduler.agent_client import Successors
from dask_k8s_controller.dask.workergroup import surge
from dask_k8s_controller.dask.workergroup.desired import Desired
from dask_k8s_controller.dask.workergroup.observe import Cluster, Observed
from dask_k8s_controller.dask.workergroup.retirement import Step
from dask_k8s_controller.dask.world import World
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_crds import DaskWorkerGroup, InvalidObject
from dask_k8s_crds.resources import DASK_WORKER_GROUPS


def expected(step: Step, observed: Observed, desired: Desired, cluster: Cluster, world: World) -> Successors:
    """Return how many workers the cluster will have while those of this step leave, and the time for them.

    Of this group, these are the workers that stay or can come before one leaves; of others, the desired ones.
    """
    deleted = {pod.uid for pod in step.delete}
    staying = replace(observed, living=tuple(pod for pod in observed.living if pod.uid not in deleted))
    own = surge.coming(staying, desired.replicas, desired.strategy, world.now(), refused=step.surge_refused)
    retiring = sum(drain.count for drain in step.drains)
    name = cluster.value.metadata.name
    others = sum(
        _of_another(group, cluster, world)
        for group in world.find(DASK_WORKER_GROUPS, cluster.record.key.namespace, name)
        if group.key.name != desired.group.metadata.name
    )
    return Successors(max(0, own - retiring) + others, float(desired.strategy.drain_timeout_seconds))


def _of_another(record: Record, cluster: Cluster, world: World) -> int:
    if record.deleting or (record.owner is not None and not record.is_controlled_by(cluster.record)):
        return 0
    try:
        group = DaskWorkerGroup.parse(record.value)
    except InvalidObject:
        return 0
    replicas = group.spec.worker.replicas
    strategy = group.spec.update_strategy or cluster.value.spec.update_strategy
    return max(0, min(replicas, surge.coming(Observed.of(record, world), replicas, strategy, world.now())))
