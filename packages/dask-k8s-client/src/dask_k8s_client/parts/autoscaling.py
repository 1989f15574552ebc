"""The autoscaler of a cluster: made, changed, removed. How many workers it wants is decided elsewhere."""

import asyncio
import math
from collections.abc import Iterable
from functools import partial
from http import HTTPStatus

from dask_k8s_client.aliases import JSON
from dask_k8s_client.api.requests import Api, World
from dask_k8s_client.api.resources import AUTOSCALERS, CLUSTERS, Among
from dask_k8s_client.api.watching import until
from dask_k8s_client.durations import Duration, seconds, whole_seconds
from dask_k8s_client.exceptions import ApiError
from dask_k8s_client.refusals import admit, explained
from dask_k8s_client.specs import additions
from dask_k8s_client.specs.pods import checked_count
from dask_k8s_client.waiting.observed import is_going
from dask_k8s_crds import DaskAutoscaler, names, resources

_NOT_KNOWN = (
    "cannot {doing}: Kubernetes does not know DaskAutoscaler; the controller here seems to be without"
    " dask-k8s-autoscaler. Install that beside dask-k8s-controller and apply what"
    " `dask-k8s-controller manifests` prints, or use scale()"
)


def wish(
    cluster: str,
    *,
    minimum: int | None,
    maximum: float | None,
    interval: Duration | None = None,
    target_duration: Duration | None = None,
) -> JSON:
    """What `spec` of an autoscaler is to say, checked; as a patch, so that null removes an upper bound."""
    unbounded = maximum is None or maximum == math.inf
    spec: JSON = {
        "minimum": 0 if minimum is None else checked_count("minimum", minimum),
        "maximum": None if unbounded else checked_count("maximum", maximum),
    }
    if interval is not None:
        spec["intervalSeconds"] = whole_seconds("interval", interval)
    if target_duration is not None:
        spec["targetDurationSeconds"] = seconds("target_duration", target_duration)
    admit(DaskAutoscaler, additions.make_loose_autoscaler(cluster, spec))
    return spec


async def adapt(api: Api, cluster: JSON, spec: JSON, timeout: float) -> None:
    """Let the cluster be scaled as `spec`, a patch, says: by the autoscaler that it has, or by a new one."""
    metadata = cluster["metadata"]
    namespace, name = metadata["namespace"], metadata["name"]
    doing = f"adapt the cluster {name}"
    try:
        present = await api.get(CLUSTERS, namespace, name)
        if present is None:
            raise ValueError(f"cannot {doing}: there is no DaskCluster {name} any more")
        async with asyncio.timeout(timeout):
            await _put(api, present, spec)
    except ApiError as error:
        if error.is_unknown_path:
            raise RuntimeError(_NOT_KNOWN.format(doing=doing)) from error
        raise explained(error, doing) from error
    except TimeoutError:
        late = f"the DaskAutoscaler of an earlier cluster {name} is still there after {timeout:.0f} s"
        raise TimeoutError(late) from None


async def _put(api: Api, cluster: JSON, spec: JSON) -> None:
    namespace = cluster["metadata"]["namespace"]
    for found in await _autoscalers(api, cluster):
        name = found["metadata"]["name"]
        if not _is_going(found, cluster):
            if await api.patch(AUTOSCALERS, namespace, name, {"spec": spec}) is not None:
                return
        else:
            uid = found["metadata"]["uid"]
            await api.delete(AUTOSCALERS, namespace, name, uid)
            await until(api, AUTOSCALERS, namespace, Among.named(name), partial(_is_gone, name, uid))
    await api.create(AUTOSCALERS, namespace, additions.make_autoscaler(cluster, spec))


async def remove(api: Api, cluster: JSON, group: str) -> None:
    """Leave the size of a group to people: delete what scales it, if something does.

    `group` is the name that the group has within its cluster.
    """
    metadata = cluster["metadata"]
    full = names.worker_group(metadata["name"], group)
    try:
        for found in await _autoscalers(api, cluster):
            if full in _groups(found):
                own = found["metadata"]
                await api.delete(AUTOSCALERS, metadata["namespace"], own["name"], own["uid"])
    except ApiError as error:
        # Where Kubernetes knows no autoscalers there are none, and who may not see them has not made one.
        if not error.is_unknown_path and error.status != HTTPStatus.FORBIDDEN:
            raise explained(error, f"remove the autoscaler of the cluster {metadata['name']}") from error


async def _autoscalers(api: Api, cluster: JSON) -> list[JSON]:
    found, _ = await api.list(AUTOSCALERS, cluster["metadata"]["namespace"])
    return of(cluster, found.values())


def of(cluster: JSON, autoscalers: Iterable[JSON]) -> list[JSON]:
    """Those that scale a cluster, whoever made them; the one of its name first."""
    name = cluster["metadata"]["name"]
    mine = (each for each in autoscalers if each["spec"]["cluster"] == name)
    return sorted(mine, key=lambda each: each["metadata"]["name"] != name)


def bounds(autoscaler: JSON) -> str:
    """Between which numbers of workers it scales, in words."""
    least, most = autoscaler["spec"].get("minimum", 0), autoscaler["spec"].get("maximum")
    return f"{least} to {most} workers" if most is not None else f"{least} workers and more"


def _groups(autoscaler: JSON) -> set[str]:
    spec = autoscaler["spec"]
    return {names.default_group(spec["cluster"]), *(each["name"] for each in spec.get("groups") or ())}


def _is_going(autoscaler: JSON, cluster: JSON) -> bool:
    """It was that of a cluster that had this name before, and goes with it; or it is being deleted."""
    owners = autoscaler["metadata"].get("ownerReferences") or ()
    return is_going(autoscaler) or any(
        each["kind"] == resources.DASK_CLUSTERS.kind and each["uid"] != cluster["metadata"]["uid"]
        for each in owners
    )


def _is_gone(name: str, uid: str, world: World) -> bool | None:
    return True if name not in world or world[name]["metadata"]["uid"] != uid else None
