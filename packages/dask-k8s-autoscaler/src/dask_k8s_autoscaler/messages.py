"""The messages of conditions. One that describes a lasting state contains no number that keeps changing."""

from collections.abc import Sequence
from datetime import UTC, datetime

from dask_k8s_autoscaler.allocation import Need
from dask_k8s_autoscaler.model import Group, Resources, Settings, Stuck, Work

STEADY = "the cluster has as many workers as its work needs"
WITHIN_BOUNDS = "nothing keeps the cluster from having as many workers as its work needs"

RESTRICTED = (
    "tasks wait for workers or hosts that are not there, and new workers cannot run them; submit them "
    "without `workers`, or with `allow_other_workers=True`"
)


def into_bounds(group: Group, size: int) -> str:
    """Say why a group is brought into its bounds."""
    bound = "minimum" if size > group.replicas else "maximum"
    return f"{_scaled(group, size)}: {size} is its {bound}"


def scaled_up(group: Group, size: int, need: Need, work: Work) -> str:
    """Say why a group grows."""
    if need.for_data:
        return f"{_scaled(group, size)}: so many hold the data without filling their memory"
    tasks = f"{work.tasks} task{'s' * (work.tasks != 1)}"
    seconds = f"{work.seconds:.0f} s of work" if work.seconds >= 1 else "less than 1 s of work"
    target = f"{work.target:g} s per thread are wanted"  # codespell:ignore wanted
    return f"{_scaled(group, size)}: {tasks} with {seconds} are there, {target}"


def scaled_down(group: Group, size: int, enough: int, settings: Settings) -> str:
    """Say why a group shrinks; `enough` workers would have done for the whole window."""
    lately = f" for {settings.down.window:g} s" if settings.down.window else ""
    return f"{_scaled(group, size)}: no more than {enough} have been needed{lately}"


def _scaled(group: Group, size: int) -> str:
    return f"scaled {group.name} from {group.replicas} to {size}"


def not_ready(stuck: Sequence[tuple[Group, Stuck]], now: float) -> str:
    """Say for how long which workers have not been ready."""
    return "; ".join(_not_ready(group, each, f"for {now - each.since:.0f} s") for group, each in stuck)


def work_of_stuck(
    stuck: Sequence[tuple[Group, Stuck]], takers: Sequence[str], full: Sequence[Group], *, unserved: bool
) -> str:
    """Say which groups do the work of workers that are not ready, and why nobody does the rest of it."""
    parts = []
    for group, each in stuck:
        since = f"since {datetime.fromtimestamp(each.since, UTC):%Y-%m-%dT%H:%M:%SZ}"
        parts.append(_not_ready(group, each, since))
    if takers:
        parts.append(f"their load goes to {', '.join(takers)}")
    if unserved:
        parts.append(at_maximum(full) if full else "no other group can do their work")
    return "; ".join(parts)


def _not_ready(group: Group, stuck: Stuck, time: str) -> str:
    workers = f"group {group.name}: {stuck.pods} of {group.replicas} workers"
    limit = f"more than fallbackSeconds ({stuck.patience:g})"
    return f"{workers} have not been ready {time} ({stuck.reason}), {limit}"


def no_group_offers(asks: Resources) -> str:
    """Say what resources tasks ask for in vain."""
    asked = ", ".join(f"{name}: {amount:g}" for name, amount in sorted(asks.items()))
    if not asked:
        return "tasks wait, and no group may have workers"
    nobody = "no group that may have workers offers it in spec.worker.daskResources"
    return f"tasks ask for {{{asked}}}, and {nobody}"


def at_maximum(groups: Sequence[Group]) -> str:
    """Say which groups need more workers than their maximum."""
    each = (f"{group.name} is at its maximum of {group.bounds and group.bounds.maximum}" for group in groups)
    return f"more workers are needed, but {', '.join(each)}"


def at_minimum(groups: Sequence[Group]) -> str:
    """Say which groups need fewer workers than their minimum."""
    each = (f"{group.name} is at its minimum of {group.bounds and group.bounds.minimum}" for group in groups)
    return f"fewer workers would do, but {', '.join(each)}"


def group_not_found(names: Sequence[str], cluster: str) -> str:
    """Say which groups in the spec do not exist."""
    quoted = ", ".join(f'"{name}"' for name in names)
    return f'spec.groups: cluster "{cluster}" has no DaskWorkerGroup {quoted}'


def cluster_not_found(cluster: str, namespace: str) -> str:
    """Say that the cluster does not exist."""
    missing = f'spec.cluster: there is no DaskCluster "{cluster}" in namespace "{namespace}"'
    return f"{missing}; it is scaled when there is"


def another_autoscaler(other: str, cluster: str) -> str:
    """Say that an older autoscaler scales the cluster."""
    return f'DaskAutoscaler "{other}" is older and scales cluster "{cluster}"; delete one of the two'
