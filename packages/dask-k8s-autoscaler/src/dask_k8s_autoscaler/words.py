"""What users are told: sentences for conditions. What is said of a state has no number that changes in it."""

from collections.abc import Sequence

from dask_k8s_autoscaler.share import Need
from dask_k8s_autoscaler.values import Group, Resources, Rules, Work


def bound(group: Group, size: int) -> str:
    """Say why a group was brought into its bounds."""
    which = "minimum" if size > group.replicas else "maximum"
    return f"{_scaled(group, size)}: {size} is its {which}"


def more(group: Group, size: int, need: Need, work: Work) -> str:
    """Say why a group grows."""
    if need.data:
        return f"{_scaled(group, size)}: so many hold the data without filling their memory"
    tasks = f"{work.tasks} task{'s' * (work.tasks != 1)}"
    seconds = f"{work.seconds:.0f} s of work" if work.seconds >= 1 else "less than 1 s of work"
    return (
        f"{_scaled(group, size)}: {tasks} with {seconds} are there, {work.target:g} s per thread are wanted"
    )


def fewer(group: Group, size: int, enough: int, rules: Rules) -> str:
    """Say why a group shrinks; ``enough`` workers would have done for the whole window."""
    lately = f" for {rules.down.window:g} s" if rules.down.window else ""
    return f"{_scaled(group, size)}: no more than {enough} have been needed{lately}"


def _scaled(group: Group, size: int) -> str:
    return f"scaled {group.name} from {group.replicas} to {size}"


def unserved(asks: Resources) -> str:
    """Say what tasks wait for in vain."""
    asked = ", ".join(f"{name}: {amount:g}" for name, amount in sorted(asks.items()))
    if not asked:
        return "tasks wait, and no group may have workers"
    where = "no group that may have workers offers it in spec.worker.daskResources"
    return f"tasks ask for {{{asked}}}, and {where}"


def full(groups: Sequence[Group]) -> str:
    """Say which groups would be larger if they might."""
    each = (f"{group.name} is at its maximum of {group.bounds and group.bounds.maximum}" for group in groups)
    return f"more workers are needed, but {', '.join(each)}"


def small(groups: Sequence[Group]) -> str:
    """Say which groups would be smaller if they might."""
    each = (f"{group.name} is at its minimum of {group.bounds and group.bounds.minimum}" for group in groups)
    return f"fewer workers would do, but {', '.join(each)}"


def missing(names: Sequence[str], cluster: str) -> str:
    """Say which groups of the spec there are not."""
    these = ", ".join(f'"{name}"' for name in names)
    return f'spec.groups: cluster "{cluster}" has no DaskWorkerGroup {these}'
