"""Negotiates the WebSocket protocol of `pods/portforward`, `pods/exec` and `pods/attach`.

Errors of the API server are a Status, and errors of the kubelet plain text, as in Kubernetes.
"""

from collections.abc import Iterable

from aiohttp import web

from dask_k8s_local.api.errors import bad_request
from dask_k8s_local.api.streaming import portforward, remotecommand, tunnel
from dask_k8s_local.api.streaming.channels import V4, V5
from dask_k8s_local.conditions import is_finished
from dask_k8s_local.kubelet.protocol import Kubelet, Pod

_FALSE = {"0", "false"}
_NO_PORT = "cannot convert to []int32: strconv.ParseUint: parsing"


async def port_forward(request: web.BaseRequest, kubelet: Kubelet, pod: Pod) -> web.StreamResponse:
    """Handle `pods/{name}/portforward`; raises StatusError."""
    ports = [_port(port) for text in request.query.getall("ports", []) for port in text.split(",")]
    offered = _offered(request)
    metadata = pod["metadata"]
    if is_finished(pod):
        return _text(500, f'pod not found ("{metadata["name"]}_{metadata["namespace"]}")')
    if tunnels := [name.removeprefix(tunnel.PREFIX) for name in offered if name.startswith(tunnel.PREFIX)]:
        if tunnel.PROTOCOL not in tunnels:
            listed = f"client supports [{' '.join(tunnels)}], server accepts [{tunnel.PROTOCOL}]"
            return _text(403, f"unable to upgrade: unable to negotiate protocol: {listed}")
        ws = await _accept(request, tunnel.PREFIX + tunnel.PROTOCOL)
        await tunnel.serve(ws, kubelet, pod)
        return ws
    if not ports:
        return _text(400, 'query parameter "port" is required')
    if 0 in ports:
        return _text(400, 'port "0" must be > 0')
    protocol = _choose(offered, (V4,))
    if protocol is None:
        return _not_supported(offered, (V4,))
    ws = await _accept(request, protocol)
    await portforward.serve(ws, kubelet, pod, ports)
    return ws


async def exec_(request: web.BaseRequest, kubelet: Kubelet, pod: Pod) -> web.StreamResponse:
    """Handle `pods/{name}/exec`; raises StatusError."""
    options = _exec_options(request, pod)
    offered = _offered(request)
    protocol = V5 if V5 in offered else _choose(offered, (V4,))
    if protocol is None:
        return _not_supported(offered, (V5, V4))
    error = _kubelet_error(pod, options)
    if error and protocol != V5:
        return error
    ws = await _accept(request, protocol)
    if error:
        await remotecommand.refuse(ws, f"unable to upgrade connection: {error.text}")
    else:
        await remotecommand.serve(ws, kubelet, pod, options)
    return ws


async def attach(request: web.BaseRequest, kubelet: Kubelet, pod: Pod) -> web.StreamResponse:
    """Reject `pods/{name}/attach`, which is not supported."""
    del request, kubelet, pod
    raise bad_request(
        "dask-k8s-local does not support attach; use `kubectl logs -f` or `kubectl exec` instead"
    )


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise bad_request(f'{_NO_PORT} "{text}": invalid syntax')
    if int(text) >= 2**16:
        raise bad_request(f'{_NO_PORT} "{text}": value out of range')
    return int(text)


def _exec_options(request: web.BaseRequest, pod: Pod) -> remotecommand.ExecOptions:
    query = request.query
    names = ("stdin", "stdout", "stderr", "tty")
    flags = {name: query.get(name, "false").lower() not in _FALSE for name in names}
    container = _container(pod, query.get("container", ""))
    return remotecommand.ExecOptions(container=container, command=query.getall("command", []), **flags)


def _container(pod: Pod, name: str) -> str:
    spec = pod["spec"]
    kinds = ("initContainers", "containers", "ephemeralContainers")
    names = [container["name"] for kind in kinds for container in spec.get(kind) or ()]
    if name in names:
        return name
    pod_name = pod["metadata"]["name"]
    if name:
        raise bad_request(f"container {name} is not valid for pod {pod_name}")
    if len(spec["containers"]) > 1:
        listed = " ".join(names)
        raise bad_request(f"a container name must be specified for pod {pod_name}, choose one of: [{listed}]")
    only: str = spec["containers"][0]["name"]
    return only


def _kubelet_error(pod: Pod, options: remotecommand.ExecOptions) -> web.Response | None:
    """Return the kubelet's error for a command that cannot be started."""
    if not (options.stdin or options.stdout or options.stderr):
        return _text(400, "you must specify at least 1 of stdin, stdout, stderr")
    status = pod.get("status", {})
    kinds = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
    found = [one for kind in kinds for one in status.get(kind) or () if one["name"] == options.container]
    if any("running" in one.get("state", {}) for one in found):
        return None
    return _text(500, f'container not found ("{options.container}")')


def _offered(request: web.BaseRequest) -> list[str]:
    """Return the WebSocket protocols that the client offers; raises StatusError without an upgrade."""
    upgrade = request.headers.get("Upgrade", "").lower()
    if upgrade.startswith("spdy/"):
        raise bad_request("SPDY is not supported; use kubectl 1.31 or later, which uses WebSocket")
    if upgrade != "websocket":
        raise bad_request("Upgrade request required")
    listed = ",".join(request.headers.getall("Sec-WebSocket-Protocol", []))
    return [protocol.strip() for protocol in listed.split(",") if protocol.strip()]


def _choose(offered: list[str], supported: Iterable[str]) -> str | None:
    """Return the first offered protocol that is supported, or an empty string if the client offers none."""
    return next((protocol for protocol in offered if protocol in supported), None if offered else "")


def _not_supported(offered: list[str], supported: Iterable[str]) -> web.Response:
    listed = f"[{' '.join(offered)}]; supports [{' '.join(supported)}]"
    return _text(403, f"requested protocol(s) are not supported: {listed}")


async def _accept(request: web.BaseRequest, protocol: str) -> web.WebSocketResponse:
    protocols = (protocol,) if protocol else ()
    ws = web.WebSocketResponse(protocols=protocols, compress=False, max_msg_size=0)
    await ws.prepare(request)
    return ws


def _text(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text)
