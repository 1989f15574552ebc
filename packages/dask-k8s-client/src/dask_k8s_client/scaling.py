"""The workers of a cluster: its worker groups, the autoscaler that may scale them, and restarts."""

import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from http import HTTPStatus

from dask_k8s_client.api.requests import Api, Selector
from dask_k8s_client.api.watching import until, until_gone
from dask_k8s_client.arguments import JSON, Duration, checked_count, seconds, whole_seconds
from dask_k8s_client.exceptions import admit, explained, explaining
from dask_k8s_client.observed import is_terminating
from dask_k8s_client.sizing import Size
from dask_k8s_client.specs.manifests import make_autoscaler, make_group, make_unowned_autoscaler
from dask_k8s_client.waiting import time_limit
from dask_k8s_crds import DaskAutoscaler, DaskWorkerGroup, labels, names
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import DASK_AUTOSCALERS, DASK_CLUSTERS, DASK_WORKER_GROUPS

DEFAULT_GROUP = "default"

_UNKNOWN_KIND = (
    "cannot {action}: Kubernetes does not know DaskAutoscaler; the controller here seems to be without"
    " dask-k8s-autoscaler. Install that beside dask-k8s-controller and apply what"
    " `dask-k8s-controller manifests` prints, or use scale()"
)


async def scale(api: Api, cluster: JSON, group: str, size: Size, timeout: float) -> JSON | None:
    """Set the size of a group, after deleting an autoscaler that scales it; return the group.

    The default group of a new cluster may take a moment to appear, at most `timeout` seconds.
    """
    n = size.count(await _worker(api, cluster, group)) if size.depends_on_workers else size.workers
    await remove_autoscaler(api, cluster, group)
    return await set_replicas(api, cluster, group, n, timeout)


async def _worker(api: Api, cluster: JSON, group: str) -> JSON:
    """Return the ``worker`` section of a group; of the default group, it is in the cluster too."""
    name, namespace = names.worker_group(cluster["metadata"]["name"], group), cluster["metadata"]["namespace"]
    action = f"scale the worker group {name}"
    with explaining(action):
        present = await api.get(DASK_WORKER_GROUPS, namespace, name)
        if present is None and group == DEFAULT_GROUP:
            present = await _present(api, cluster, action)
    if present is None:
        raise ValueError(f"the cluster {cluster['metadata']['name']} has no worker group {group!r}")
    worker: JSON = present["spec"]["worker"]
    return worker


async def set_replicas(api: Api, cluster: JSON, group: str, n: int, timeout: float) -> JSON | None:
    """Set the number of workers of a group and return it; None if it is deleted meanwhile. See `scale`."""
    metadata = cluster["metadata"]
    namespace, name = metadata["namespace"], names.worker_group(metadata["name"], group)
    patch = {"spec": {"worker": {"replicas": n}}}
    with explaining(f"scale the worker group {name}"):
        if (patched := await api.patch(DASK_WORKER_GROUPS, namespace, name, patch)) is not None:
            return patched
        if group != DEFAULT_GROUP:
            raise await _no_such_group(api, cluster, group)
        late = f"the worker group {name} is not there after {timeout:.0f} s; is the Dask Operator running?"
        async with time_limit(timeout, late):
            selector = Selector.named(name)
            await until(api, DASK_WORKER_GROUPS, namespace, selector, lambda objects: objects.get(name))
            return await api.patch(DASK_WORKER_GROUPS, namespace, name, patch)


async def restart(api: Api, cluster: JSON, group: str | None) -> None:
    """Have the workers of a group, or without one those of the cluster, replaced one after another.

    The controller does it for each other value of the annotation, after they have handed over their data.
    """
    name, namespace = cluster["metadata"]["name"], cluster["metadata"]["namespace"]
    patch = {"metadata": {"annotations": {labels.RESTARTED_AT: datetime.now(UTC).isoformat()}}}
    if group is None:
        action = f"restart the workers of the cluster {name}"
        with explaining(action):
            if await api.patch(DASK_CLUSTERS, namespace, name, patch) is None:
                raise _deleted(name, action)
        return
    with explaining(f"restart the worker group {names.worker_group(name, group)}"):
        if await api.patch(DASK_WORKER_GROUPS, namespace, names.worker_group(name, group), patch) is None:
            raise await _no_such_group(api, cluster, group)


async def _no_such_group(api: Api, cluster: JSON, group: str) -> ValueError:
    name = cluster["metadata"]["name"]
    groups = await api.list_items(DASK_WORKER_GROUPS, cluster["metadata"]["namespace"])
    own = [each["metadata"]["name"] for each in groups if each["spec"]["cluster"] == name]
    present = ", ".join(sorted(each.removeprefix(names.worker_group(name, "")) for each in own))
    return ValueError(f"the cluster {name} has no worker group {group!r}, but: {present}")


async def add_group(api: Api, cluster: JSON, name: str, worker: Callable[[JSON], JSON]) -> None:
    """Create a worker group; `worker` makes its section from the present ``spec.worker`` of the cluster."""
    metadata = cluster["metadata"]
    if name == DEFAULT_GROUP:
        raise ValueError(f"the cluster {metadata['name']} has a worker group {name!r} already")
    action = f"add the worker group {names.worker_group(metadata['name'], name)}"
    with explaining(action):
        present = await _present(api, cluster, action)
        group = make_group(present, name, worker(present["spec"]["worker"]))
        admit(DaskWorkerGroup, group)
        await api.create(DASK_WORKER_GROUPS, metadata["namespace"], group)


async def delete_group(api: Api, cluster: JSON, name: str) -> None:
    """Delete a worker group and its workers, if it exists."""
    metadata = cluster["metadata"]
    if name == DEFAULT_GROUP:
        raise ValueError(
            f"the worker group {name!r} belongs to the cluster {metadata['name']}; scale it to 0"
        )
    group = names.worker_group(metadata["name"], name)
    with explaining(f"delete the worker group {group}"):
        await api.delete(DASK_WORKER_GROUPS, metadata["namespace"], group)


async def _present(api: Api, cluster: JSON, action: str) -> JSON:
    name, namespace = cluster["metadata"]["name"], cluster["metadata"]["namespace"]
    present = await api.get(DASK_CLUSTERS, namespace, name)
    if present is None:
        raise _deleted(name, action)
    return present


def _deleted(cluster: str, action: str) -> ValueError:
    return ValueError(f"cannot {action}: there is no DaskCluster {cluster} any more")


def autoscaler_spec(
    cluster: str,
    *,
    minimum: int | None,
    maximum: float | None,
    interval: Duration | None = None,
    target_duration: Duration | None = None,
) -> JSON:
    """Return the validated ``spec`` of an autoscaler as a merge patch: null removes the upper bound."""
    unbounded = maximum is None or maximum == math.inf
    spec: JSON = {
        "minimum": 0 if minimum is None else checked_count("minimum", minimum),
        "maximum": None if unbounded else checked_count("maximum", maximum),
    }
    if interval is not None:
        spec["intervalSeconds"] = whole_seconds("interval", interval)
    if target_duration is not None:
        spec["targetDurationSeconds"] = seconds("target_duration", target_duration)
    admit(DaskAutoscaler, make_unowned_autoscaler(cluster, spec))
    return spec


async def adapt(api: Api, cluster: JSON, spec: JSON, timeout: float) -> None:
    """Apply `spec`, a merge patch, to the cluster's autoscaler, or create one.

    An autoscaler of an earlier cluster with the same name has `timeout` seconds to disappear.
    """
    name = cluster["metadata"]["name"]
    action = f"adapt the cluster {name}"
    try:
        present = await _present(api, cluster, action)
        late = f"the DaskAutoscaler of an earlier cluster {name} is still there after {timeout:.0f} s"
        async with time_limit(timeout, late):
            await _apply(api, present, spec)
    except ApiError as error:
        if error.is_unknown_path:
            raise RuntimeError(_UNKNOWN_KIND.format(action=action)) from error
        raise explained(error, action) from error


async def _apply(api: Api, cluster: JSON, spec: JSON) -> None:
    namespace = cluster["metadata"]["namespace"]
    for autoscaler in autoscalers_of(cluster, await api.list_items(DASK_AUTOSCALERS, namespace)):
        name, uid = autoscaler["metadata"]["name"], autoscaler["metadata"]["uid"]
        if _is_obsolete(autoscaler, cluster):
            await api.delete(DASK_AUTOSCALERS, namespace, name, uid)
            await until_gone(api, DASK_AUTOSCALERS, autoscaler)
        elif await api.patch(DASK_AUTOSCALERS, namespace, name, {"spec": spec}) is not None:
            return
    await api.create(DASK_AUTOSCALERS, namespace, make_autoscaler(cluster, spec))


async def remove_autoscaler(api: Api, cluster: JSON, group: str) -> None:
    """Delete the autoscaler that scales a group, if there is one; `group` is the name within the cluster."""
    metadata = cluster["metadata"]
    full_name = names.worker_group(metadata["name"], group)
    try:
        listed = await api.list_items(DASK_AUTOSCALERS, metadata["namespace"])
        for autoscaler in autoscalers_of(cluster, listed):
            groups = autoscaler["spec"].get("groups") or ()
            if full_name in (names.default_group(metadata["name"]), *(each["name"] for each in groups)):
                name, uid = autoscaler["metadata"]["name"], autoscaler["metadata"]["uid"]
                await api.delete(DASK_AUTOSCALERS, metadata["namespace"], name, uid)
    except ApiError as error:
        # Without the kind there are no autoscalers, and a user who may not list them has not created one.
        if not error.is_unknown_path and error.status != HTTPStatus.FORBIDDEN:
            raise explained(error, f"remove the autoscaler of the cluster {metadata['name']}") from error


def autoscalers_of(cluster: JSON, autoscalers: Iterable[JSON]) -> list[JSON]:
    """Return the autoscalers that scale a cluster, the one of the same name first."""
    name = cluster["metadata"]["name"]
    own = (each for each in autoscalers if each["spec"]["cluster"] == name)
    return sorted(own, key=lambda each: each["metadata"]["name"] != name)


def bounds(minimum: int, maximum: int | None) -> str:
    """Return the bounds of an autoscaler as a text."""
    return f"{minimum} to {maximum} workers" if maximum is not None else f"{minimum} workers and more"


def bounds_of(autoscaler: JSON) -> str:
    """Return the bounds of a DaskAutoscaler as a text."""
    return bounds(autoscaler["spec"].get("minimum", 0), autoscaler["spec"].get("maximum"))


def _is_obsolete(autoscaler: JSON, cluster: JSON) -> bool:
    """Return whether an autoscaler is being deleted, or will be with an earlier cluster of the same name."""
    owners = autoscaler["metadata"].get("ownerReferences") or ()
    return is_terminating(autoscaler) or any(
        each["kind"] == DASK_CLUSTERS.kind and each["uid"] != cluster["metadata"]["uid"] for each in owners
    )
