"""The Secret with the scheduler's agent and its token: when to create it, and who mounts an old one. Pure.

The controller has the right to create Secrets, and no other, so the cache shows none. A Secret is named after
its content and never changes: another token or another version of the agent has another name.
"""

from dask_k8s_controller.dask.cluster.desired import agent_secret, agent_secret_name
from dask_k8s_controller.dask.cluster.observe import Observed
from dask_k8s_controller.dask.findings import Finding
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.plan import Create, Delete, Plan
from dask_k8s_crds import DaskCluster, names
from dask_k8s_crds.resources import SECRETS


def plan(cluster: DaskCluster, observed: Observed, *, new_scheduler: bool) -> Plan:
    """Create the Secret for a new scheduler, and again while one waits for it: it may have been deleted.

    The second is done only if the Secret is not expected, and so not in every turn. A scheduler that has not
    run yet and would start with another token than the controller's is deleted; its successor has the token.
    """
    pod = observed.scheduler
    if not new_scheduler and pod is not None and pod.value.phase == "Pending":
        if _has_other_token(cluster, pod, observed.token):
            # With its version: it may run by now, and then has tasks that would be lost.
            return Plan(delete=(Delete(pod.key, pod.uid, pod.version),))
        key = Key(SECRETS, pod.key.namespace, agent_secret_name(cluster, observed.token))
        waits = pod.value.starting and pod.value.agent_secret == key.name
        new_scheduler = waits and key not in observed.expected
    if not new_scheduler:
        return Plan()
    return Plan(create=(Create(SECRETS, agent_secret(cluster, observed.token), named_by_content=True),))


def outdated_token(cluster: DaskCluster, observed: Observed) -> Finding | None:
    """Return that the scheduler has another token than the controller, whose key was replaced."""
    pod = observed.scheduler
    if pod is None or not _has_other_token(cluster, pod, observed.token):
        return None
    return Finding(
        "AgentTokenOutdated",
        f"pod {pod.key.name} has a token of the controller's previous key: no worker is retired, and "
        "autoscaling and spec.idleTimeout do nothing, until you delete the pod; its tasks and results are "
        "lost then",
    )


def _has_other_token(cluster: DaskCluster, pod: Record, token: str) -> bool:
    mounted, own = pod.value.agent_secret, names.agent_with_token(cluster.metadata.name, token)
    return bool(mounted) and not mounted.startswith(own)
