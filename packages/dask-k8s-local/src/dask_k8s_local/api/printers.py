"""The columns that `kubectl get` prints for built-in kinds, as in Kubernetes' printers.

Reads objects only.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from dask_k8s_local.api.catalog import Served
from dask_k8s_local.api.printer_columns import AGE, AGE_ONLY, NAME, Column, custom, since
from dask_k8s_local.conditions import is_finished

Object = Mapping[str, Any]

_SHOWN_MAX = 3


def _or(text: str, otherwise: str = "<none>") -> str:
    return text or otherwise


def _joined(items: Sequence[str]) -> str:
    more = f" + {len(items) - _SHOWN_MAX} more..." if len(items) > _SHOWN_MAX else ""
    return _or(",".join(items[:_SHOWN_MAX]) + more)


def columns(served: Served) -> tuple[Column, ...]:
    """Return the columns of a collection."""
    if served.schema:
        return (NAME, *(custom(column) for column in served.columns or AGE_ONLY))
    return COLUMNS.get(served.resource.key, (NAME, AGE))


# ---- pods


def _containers(pod: Object) -> list[Object]:
    return (pod.get("status") or {}).get("containerStatuses") or []


def _initialising(pod: Object) -> str:
    """Return the state of a pod's init containers, empty when all have finished."""
    status = pod.get("status") or {}
    if any(
        item["type"] == "Initialized" and item["status"] == "True" for item in status.get("conditions") or ()
    ):
        return ""
    total = len(pod["spec"].get("initContainers") or ())
    for index, container in enumerate(status.get("initContainerStatuses") or ()):
        state = container.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting") or {}
        if terminated and terminated["exitCode"] == 0:
            continue
        if terminated:
            return f"Init:{_termination(terminated)}"
        if waiting.get("reason") not in {None, "PodInitializing"}:
            return f"Init:{waiting['reason']}"
        return f"Init:{index}/{total}"
    return ""


def _termination(terminated: Object) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    signal = terminated.get("signal")
    return f"Signal:{signal}" if signal else f"ExitCode:{terminated['exitCode']}"


def _pod_ready(pod: Object, _: datetime) -> str:
    ready = 0
    if not _initialising(pod):
        ready = sum(bool(item.get("ready") and "running" in item["state"]) for item in _containers(pod))
    return f"{ready}/{len(pod['spec'].get('containers') or ())}"


def _pod_status(pod: Object, _: datetime) -> str:
    status = pod.get("status") or {}
    phase = status.get("phase", "")
    reason: str = status.get("reason") or phase
    if any(item.get("reason") == "SchedulingGated" for item in status.get("conditions") or ()):
        reason = "SchedulingGated"
    initialising = _initialising(pod)
    reason = initialising or _container_reason(pod, reason)
    if pod["metadata"].get("deletionTimestamp") and not is_finished(pod):
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return reason


def _container_reason(pod: Object, reason: str) -> str:
    running = False
    for container in reversed(_containers(pod)):
        state = container.get("state") or {}
        if (state.get("waiting") or {}).get("reason"):
            reason = state["waiting"]["reason"]
        elif "terminated" in state:
            reason = _termination(state["terminated"])
        elif container.get("ready") and "running" in state:
            running = True
    if reason == "Completed" and running:
        conditions = pod["status"].get("conditions") or ()
        ready = any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)
        return "Running" if ready else "NotReady"
    return reason


def _pod_restarts(pod: Object, at: datetime) -> str:
    status = pod.get("status") or {}
    containers = (status.get("initContainerStatuses") or []) if _initialising(pod) else _containers(pod)
    count = sum(container.get("restartCount", 0) for container in containers)
    last = ((container.get("lastState") or {}).get("terminated") or {} for container in containers)
    finished = max((end["finishedAt"] for end in last if end.get("finishedAt")), default=None)
    return f"{count} ({since(finished, at)} ago)" if count and finished else str(count)


def _pod_gates(pod: Object, _: datetime) -> str:
    gates = pod["spec"].get("readinessGates") or ()
    met = {item["type"] for item in pod["status"].get("conditions") or () if item["status"] == "True"}
    return f"{sum(gate['conditionType'] in met for gate in gates)}/{len(gates)}" if gates else "<none>"


# ---- jobs


def _job_status(job: Object, _: datetime) -> str:
    met = {item["type"] for item in job["status"].get("conditions") or () if item["status"] == "True"}
    for kind in ("Complete", "Failed"):
        if kind in met:
            return kind
    if job["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return next(
        (kind for kind in ("Suspended", "FailureTarget", "SuccessCriteriaMet") if kind in met), "Running"
    )


def _job_completions(job: Object, _: datetime) -> str:
    completions, parallel = job["spec"].get("completions"), job["spec"]["parallelism"]
    several = f"1 of {parallel}" if parallel > 1 else "1"
    return f"{job['status'].get('succeeded', 0)}/{several if completions is None else completions}"


def _job_duration(job: Object, at: datetime) -> str:
    started, completed = job["status"].get("startTime"), job["status"].get("completionTime")
    end = datetime.fromisoformat(completed) if completed else at
    return since(started, end) if started else ""


def _of_containers(key: str) -> Any:
    return lambda job, _: ",".join(each[key] for each in job["spec"]["template"]["spec"]["containers"])


def _job_selector(job: Object, _: datetime) -> str:
    matched = (job["spec"].get("selector") or {}).get("matchLabels") or {}
    return _or(",".join(f"{key}={value}" for key, value in sorted(matched.items())))


# ---- Services and EndpointSlices


def _external_ip(service: Object, _: datetime) -> str:
    spec = service["spec"]
    if spec["type"] == "ExternalName":
        return str(spec.get("externalName", ""))
    balancer = (service.get("status") or {}).get("loadBalancer") or {}
    found = [item.get("ip") or item.get("hostname") for item in balancer.get("ingress") or ()]
    found += spec.get("externalIPs") or []
    return ",".join(found) or ("<pending>" if spec["type"] == "LoadBalancer" else "<none>")


def _service_ports(service: Object, _: datetime) -> str:
    ports = service["spec"].get("ports") or ()
    node = {id(port): f":{port['nodePort']}" if port.get("nodePort") else "" for port in ports}
    return _or(",".join(f"{port['port']}{node[id(port)]}/{port['protocol']}" for port in ports))


def _slice_ports(obj: Object, _: datetime) -> str:
    ports = obj.get("ports") or ()
    return _joined([str(port.get("port") or port.get("name") or "*") for port in ports]).replace(
        "<none>", "<unset>"
    )


def _slice_endpoints(obj: Object, _: datetime) -> str:
    found = [address for item in obj.get("endpoints") or () for address in item.get("addresses") or ()]
    return _joined(found).replace("<none>", "<unset>")


# ---- nodes, quotas, events, roles


def _node_status(node: Object, _: datetime) -> str:
    conditions = (node.get("status") or {}).get("conditions") or ()
    found = [
        ("" if item["status"] == "True" else "Not") + "Ready"
        for item in conditions
        if item["type"] == "Ready"
    ]
    held = ["SchedulingDisabled"] if (node.get("spec") or {}).get("unschedulable") else []
    return ",".join([*(found or ["Unknown"]), *held])


def _node_roles(node: Object, _: datetime) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = node["metadata"].get("labels") or {}
    return _or(",".join(sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix))))


def _node_info(key: str) -> Any:
    return lambda node, _: ((node.get("status") or {}).get("nodeInfo") or {}).get(key) or "<unknown>"


def _node_address(kind: str) -> Any:
    def cell(node: Object, _: datetime) -> str:
        addresses = (node.get("status") or {}).get("addresses") or ()
        return next((item["address"] for item in addresses if item["type"] == kind), "<none>")

    return cell


def _quota(*, limits: bool) -> Any:
    def cell(quota: Object, _: datetime) -> str:
        status = quota.get("status") or {}
        used = status.get("used") or {}
        hard = sorted((status.get("hard") or {}).items())
        shown = (
            f"{name}: {used.get(name, '0')}/{most}"
            for name, most in hard
            if name.startswith("limits.") == limits
        )
        return ", ".join(shown)

    return cell


def _event_time(*keys: str) -> Any:
    def cell(event: Object, at: datetime) -> str:
        return since(next((event[key] for key in keys if event.get(key)), None), at)

    return cell


def _event_last(event: Object, at: datetime) -> str:
    observed = (event.get("series") or {}).get("lastObservedTime")
    return (
        since(observed, at)
        if observed
        else _event_time("lastTimestamp", "firstTimestamp", "eventTime")(event, at)
    )


def _event_object(event: Object, _: datetime) -> str:
    about = event.get("involvedObject") or {}
    return "/".join(filter(None, (about.get("kind", "").lower(), about.get("name"))))


def _event_source(event: Object, _: datetime) -> str:
    source = event.get("source") or {}
    component = source.get("component") or event.get("reportingComponent") or ""
    host = source.get("host") or event.get("reportingInstance") or ""
    return ", ".join(filter(None, (component, host)))


def _event_count(event: Object, _: datetime) -> int:
    return (event.get("series") or {}).get("count") or event.get("count") or 1


def _role(binding: Object, _: datetime) -> str:
    role = binding.get("roleRef") or {}
    return f"{role.get('kind')}/{role.get('name')}"


def _subjects(kind: str) -> Any:
    def names(binding: Object) -> Iterator[str]:
        for subject in binding.get("subjects") or ():
            if subject["kind"] == kind:
                yield (
                    f"{subject['namespace']}/{subject['name']}"
                    if subject.get("namespace")
                    else subject["name"]
                )

    return lambda binding, _: ", ".join(names(binding))


def _created(obj: Object, _: datetime) -> str:
    return str(obj["metadata"].get("creationTimestamp", ""))


def _count(*keys: str) -> Any:
    return lambda obj, _: sum(len(obj.get(key) or ()) for key in keys)


def _field(*keys: str, otherwise: str = "<none>") -> Any:
    def cell(obj: Object, _: datetime) -> str:
        at: Any = obj
        for key in keys:
            at = (at or {}).get(key)
        return str(at) if at else otherwise

    return cell


_BINDING = (
    NAME,
    Column("Role", _role),
    AGE,
    Column("Users", _subjects("User"), wide=True),
    Column("Groups", _subjects("Group"), wide=True),
    Column("ServiceAccounts", _subjects("ServiceAccount"), wide=True),
)
_ROLE = (NAME, Column("Created At", _created))

COLUMNS: dict[str, tuple[Column, ...]] = {
    "pods": (
        NAME,
        Column("Ready", _pod_ready),
        Column("Status", _pod_status),
        Column("Restarts", _pod_restarts),
        AGE,
        Column("IP", _field("status", "podIP"), wide=True),
        Column("Node", _field("spec", "nodeName"), wide=True),
        Column("Nominated Node", _field("status", "nominatedNodeName"), wide=True),
        Column("Readiness Gates", _pod_gates, wide=True),
    ),
    "services": (
        NAME,
        Column("Type", _field("spec", "type")),
        Column("Cluster-IP", _field("spec", "clusterIP")),
        Column("External-IP", _external_ip),
        Column("Port(s)", _service_ports),
        AGE,
        Column(
            "Selector",
            lambda obj, _: _or(
                ",".join(f"{k}={v}" for k, v in sorted((obj["spec"].get("selector") or {}).items()))
            ),
            wide=True,
        ),
    ),
    "endpointslices.discovery.k8s.io": (
        NAME,
        Column("AddressType", _field("addressType")),
        Column("Ports", _slice_ports),
        Column("Endpoints", _slice_endpoints),
        AGE,
    ),
    "namespaces": (NAME, Column("Status", _field("status", "phase")), AGE),
    "nodes": (
        NAME,
        Column("Status", _node_status),
        Column("Roles", _node_roles),
        AGE,
        Column("Version", _node_info("kubeletVersion")),
        Column("Internal-IP", _node_address("InternalIP"), wide=True),
        Column("External-IP", _node_address("ExternalIP"), wide=True),
        Column("OS-Image", _node_info("osImage"), wide=True),
        Column("Kernel-Version", _node_info("kernelVersion"), wide=True),
        Column("Container-Runtime", _node_info("containerRuntimeVersion"), wide=True),
    ),
    "configmaps": (NAME, Column("Data", _count("data", "binaryData")), AGE),
    "secrets": (NAME, Column("Type", _field("type")), Column("Data", _count("data")), AGE),
    "serviceaccounts": (NAME, Column("Secrets", _count("secrets")), AGE),
    "resourcequotas": (
        NAME,
        Column("Request", _quota(limits=False)),
        Column("Limit", _quota(limits=True)),
        AGE,
    ),
    "leases.coordination.k8s.io": (
        NAME,
        Column("Holder", _field("spec", "holderIdentity", otherwise="")),
        AGE,
    ),
    "events": (
        Column("Last Seen", _event_last),
        Column("Type", _field("type", otherwise="")),
        Column("Reason", _field("reason", otherwise="")),
        Column("Object", _event_object),
        Column("Subobject", _field("involvedObject", "fieldPath", otherwise=""), wide=True),
        Column("Source", _event_source, wide=True),
        Column("Message", lambda obj, _: (obj.get("message") or "").strip()),
        Column("First Seen", _event_time("firstTimestamp", "eventTime"), wide=True),
        Column("Count", _event_count, wide=True),
        Column("Name", NAME.cell, format="name", wide=True),
    ),
    "jobs.batch": (
        NAME,
        Column("Status", _job_status),
        Column("Completions", _job_completions),
        Column("Duration", _job_duration),
        AGE,
        Column("Containers", _of_containers("name"), wide=True),
        Column("Images", _of_containers("image"), wide=True),
        Column("Selector", _job_selector, wide=True),
    ),
    "roles.rbac.authorization.k8s.io": _ROLE,
    "clusterroles.rbac.authorization.k8s.io": _ROLE,
    "rolebindings.rbac.authorization.k8s.io": _BINDING,
    "clusterrolebindings.rbac.authorization.k8s.io": _BINDING,
    "customresourcedefinitions.apiextensions.k8s.io": (NAME, Column("Created At", _created, "date")),
}
