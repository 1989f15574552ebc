"""The Secret with the scheduler's agent and its token: when to create it, and who mounts an old one. Pure.

The controller has the right to create Secrets, and no other, so the cache shows none. A Secret is named after
its content and never changes: another token or another version of the agent has another name.

A scheduler with another token is one of two things. If it is older than the controller's key, the key was
replaced. If it is newer, another controller with another key has created it.
"""

from datetime import datetime

from dask_k8s_controller.dask.cluster.desired import agent_secret, agent_secret_name
from dask_k8s_controller.dask.cluster.observe import Observed
from dask_k8s_controller.dask.findings import Finding, conditions
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.plan import Create, Delete, Plan
from dask_k8s_crds import Condition, DaskCluster, names
from dask_k8s_crds.resources import SECRETS

REPLACE_SECONDS = 10.0
"""The least age at which a scheduler with a token of the previous key is replaced."""
CLOCK_SECONDS = 2.0
"""By how much the time of the API server may be wrong here; its timestamps are exact to the second."""
_USELESS = "no worker is retired, and autoscaling and spec.idleTimeout do nothing"


def plan(cluster: DaskCluster, observed: Observed, now: datetime, *, new_scheduler: bool) -> Plan:
    """Create the Secret for a new scheduler, and again while one waits for it: it may have been deleted.

    The second is done only if the Secret is not expected, and so not in every turn. A scheduler that has not
    run yet and would start with a token of the previous key is deleted; its successor has the token.
    """
    pod = observed.scheduler
    if not new_scheduler and pod is not None and pod.value.phase == "Pending":
        if _has_other_token(cluster, pod, observed.token):
            # With its version: it may run by now, and then has tasks that would be lost.
            replace = replacement_wait(cluster, observed, now) == 0
            return Plan(delete=(Delete(pod.key, pod.uid, pod.version),) if replace else ())
        key = Key(SECRETS, pod.key.namespace, agent_secret_name(cluster, observed.token))
        waits = pod.value.starting and pod.value.agent_secret == key.name
        new_scheduler = waits and key not in observed.expected
    if not new_scheduler:
        return Plan()
    return Plan(create=(Create(SECRETS, agent_secret(cluster, observed.token), named_by_content=True),))


def replacement_wait(cluster: DaskCluster, observed: Observed, now: datetime) -> float | None:
    """Return after how many seconds to replace a scheduler that has not run; None if it is to stay.

    A controller replaces one scheduler at most: the successor is younger than the key of any controller that
    runs by then. As clocks are inexact, that takes a least age.
    """
    pod = observed.scheduler
    if pod is None or pod.value.phase != "Pending" or not _has_other_token(cluster, pod, observed.token):
        return None
    return max(0.0, REPLACE_SECONDS - pod.value.age(now)) if _is_of_previous_key(pod, observed) else None


def token_problem(cluster: DaskCluster, observed: Observed) -> Finding | None:
    """Return that this or another controller cannot use the scheduler's agent, as its key is another one.

    Both controllers say the same, or they would overwrite each other's status for ever.
    """
    mismatch, reported = _mismatch(cluster, observed), _reported(observed)
    return mismatch if reported is None else mismatch or Finding(reported.reason, reported.message)


def _mismatch(cluster: DaskCluster, observed: Observed) -> Finding | None:
    """Return that this controller cannot use the scheduler's agent."""
    pod = observed.scheduler
    if pod is None or not _has_other_token(cluster, pod, observed.token):
        return None
    if not _is_of_previous_key(pod, observed):
        return Finding(
            "ControllerConflict",
            f"pod {pod.key.name} was created by another controller, which serves this namespace too and has "
            f"another key: {_USELESS} for one of the two; let only one installation serve the namespace "
            "(--namespace, or watchNamespaces of the chart), and restart its controller",
        )
    return Finding(
        "AgentTokenOutdated",
        f"pod {pod.key.name} has a token of another key than the controller's: {_USELESS}, until you delete "
        "the pod; its tasks and results are lost then; if the key was not replaced, another installation "
        "serves this namespace too: let only one do so (--namespace, or watchNamespaces of the chart)",
    )


def token_conditions(cluster: DaskCluster, observed: Observed) -> tuple[Condition, ...]:
    """Return the condition `TokenMismatch` if this controller has to set or end it.

    Only a controller with another token than the scheduler's sets it. The controller with the
    same token compares its time with those of this scheduler and of its own start, and ends an older one.
    """
    generation = cluster.metadata.generation
    if mismatch := _mismatch(cluster, observed):
        return conditions(generation, TokenMismatch=(True, mismatch))
    held = observed.mismatch is not None and observed.mismatch.status == "True"
    if held and _reported(observed) is None:
        accepted = Finding("TokenAccepted", "no scheduler has another token than the controller's")
        return conditions(generation, TokenMismatch=(False, accepted))
    return ()


def _reported(observed: Observed) -> Condition | None:
    """Return the condition `TokenMismatch` if another controller has set it for this scheduler."""
    pod, found = observed.scheduler, observed.mismatch
    if pod is None or found is None or found.status != "True" or found.last_transition_time is None:
        return None
    since = max(observed.key_since, datetime.fromisoformat(pod.value.created))
    return found if found.last_transition_time > since else None


def _is_of_previous_key(pod: Record, observed: Observed) -> bool:
    """Return whether a scheduler may have been created before this controller had its key."""
    age: float = pod.value.age(observed.key_since)
    return age >= -CLOCK_SECONDS


def _has_other_token(cluster: DaskCluster, pod: Record, token: str) -> bool:
    mounted: str = pod.value.agent_secret
    return mounted != "" and not mounted.startswith(names.agent_with_token(cluster.metadata.name, token))
