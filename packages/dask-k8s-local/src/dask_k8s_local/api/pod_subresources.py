"""Subresources of pods: log, binding, eviction. Exec, attach and portforward are handled in `streaming`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from dask_k8s_local.api import errors
from dask_k8s_local.api.delete import Deleter
from dask_k8s_local.api.delete_options import DeleteOptions
from dask_k8s_local.api.request import Request
from dask_k8s_local.api.streaming import upgrade
from dask_k8s_local.conditions import condition, with_condition
from dask_k8s_local.kubelet.protocol import Kubelet, LogOptions, PodUnavailable
from dask_k8s_local.resources import PODS
from dask_k8s_local.store import Object, Store, Stored

_STREAMS = {
    "attach": upgrade.attach,
    "exec": upgrade.exec_,
    "portforward": upgrade.port_forward,
}


async def connect(
    http: web.BaseRequest, kubelet: Kubelet, request: Request, pod: Stored
) -> web.StreamResponse:
    """Handle log, exec, attach and portforward."""
    if not pod["spec"].get("nodeName"):
        raise errors.bad_request(f"pod {request.name} does not have a host assigned")
    if request.subresource == "log":
        return await _log(http, kubelet, request, pod)
    return await _STREAMS[request.subresource](http, kubelet, pod)


async def _log(http: web.BaseRequest, kubelet: Kubelet, request: Request, pod: Stored) -> web.StreamResponse:
    container = _container(pod, request.query.get("container", ""))
    pieces = kubelet.logs(pod, container, _options(request))
    try:
        first = await anext(pieces, b"")
    except PodUnavailable as error:
        raise errors.bad_request(str(error)) from None
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    response.enable_chunked_encoding()
    await response.prepare(http)
    if first:
        await response.write(first)
    async for piece in pieces:
        await response.write(piece)
    await response.write_eof()
    return response


def _container(pod: Stored, name: str) -> str:
    spec = pod["spec"]
    names = [item["name"] for key in ("containers", "initContainers") for item in spec.get(key) or ()]
    if name:
        if name not in names:
            raise errors.bad_request(f"container {name} is not valid for pod {pod['metadata']['name']}")
        return name
    main = [item["name"] for item in spec["containers"]]
    default = (pod["metadata"].get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
    if default in main:
        return str(default)
    if len(main) > 1:
        found = f"choose one of: [{' '.join(main)}]"
        about = f"a container name must be specified for pod {pod['metadata']['name']}, {found}"
        raise errors.bad_request(about)
    return str(main[0])


def _options(request: Request) -> LogOptions:
    query = request.query
    since: float | None = float(query["sinceSeconds"]) if query.get("sinceSeconds") else None
    if query.get("sinceTime"):
        since = (datetime.now(UTC) - datetime.fromisoformat(query["sinceTime"])).total_seconds()
    return LogOptions(
        follow=request.flag("follow"),
        previous=request.flag("previous"),
        timestamps=request.flag("timestamps"),
        tail_lines=_non_negative(query, "tailLines"),
        limit_bytes=_non_negative(query, "limitBytes"),
        since_seconds=since,
    )


def _non_negative(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if not text:
        return None
    if not text.isdecimal():
        raise errors.StatusError(
            422, "Invalid", f'PodLogOptions "" is invalid: {name}: Invalid value: "{text}"', {}
        )
    return int(text)


def post(store: Store, deleter: Deleter, request: Request, pod: Stored, body: Any) -> Object:
    """Handle a binding or an eviction."""
    if request.subresource == "binding":
        _bind(store, pod, body)
    else:
        grace = (
            (body.get("deleteOptions") or {}).get("gracePeriodSeconds") if isinstance(body, dict) else None
        )
        deleter.delete(PODS, request.namespace, request.name, DeleteOptions(grace=grace))
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def _bind(store: Store, pod: Stored, body: Any) -> None:
    name, node = pod["metadata"]["name"], ((body or {}).get("target") or {}).get("name")
    if pod["spec"].get("nodeName"):
        why = f'pod {name} is already assigned to node "{pod["spec"]["nodeName"]}"'
        raise errors.StatusError(
            409,
            "Conflict",
            f'Operation cannot be fulfilled on pods/binding "{name}": {why}',
            errors.details(PODS, name),
        )
    status = pod.get("status") or {}
    conditions = with_condition(status.get("conditions") or (), condition("PodScheduled", met=True))
    spec = {**pod["spec"], "nodeName": node}
    store.update(PODS, {**pod, "spec": spec, "status": {**status, "conditions": conditions}})
