"""What the pods of a cluster have printed."""

import asyncio
from http import HTTPStatus

from dask_k8s_client.api import Api
from dask_k8s_client.exceptions import ApiError
from dask_k8s_client.refusals import explained
from dask_k8s_client.resources import PODS, Among
from dask_k8s_client.specs import JSON
from dask_k8s_crds import labels


async def pod_logs(api: Api, cluster: JSON, components: frozenset[str]) -> dict[str, str]:
    """Log by pod, of the pods that are these components of the cluster."""
    name, namespace = cluster["metadata"]["name"], cluster["metadata"]["namespace"]
    among = Among(labels=labels.selector({labels.CLUSTER_NAME: name}))
    try:
        pods, _ = await api.list(PODS, namespace, among)
        mine = [pod for pod in pods.values() if pod["metadata"]["labels"].get(labels.COMPONENT) in components]
        logs = await asyncio.gather(*(_pod_log(api, namespace, pod) for pod in mine))
    except ApiError as error:
        raise explained(error, f"read the logs of the cluster {name} in the namespace {namespace}") from error
    return {pod["metadata"]["name"]: log for pod, log in zip(mine, logs, strict=True)}


async def _pod_log(api: Api, namespace: str, pod: JSON) -> str:
    parts: list[str] = []
    several = len(pod["spec"]["containers"]) > 1
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        log = await container_log(api, namespace, pod["metadata"]["name"], status["name"])
        parts.append(f"--- {status['name']} ---\n{log}" if several else log)
    return "".join(parts)


async def container_log(api: Api, namespace: str, pod: str, container: str, tail: int | None = None) -> str:
    """What a container has printed; if nothing since its last start, then what it had before."""
    params = {"container": container} | ({} if tail is None else {"tailLines": str(tail)})
    for more in ({}, {"previous": "true"}):
        try:
            log = await api.logs(namespace, pod, params | more)
        except ApiError as error:
            # It has not begun, or not been restarted; or the pod is gone by now.
            if error.status not in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND):
                raise
            continue
        if log.strip():
            return log
    return ""
