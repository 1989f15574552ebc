"""Validation of pods: the rules of the API server that people run into, with its messages."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from dask_k8s_local.schema import problems, quantity
from dask_k8s_local.schema.problems import Problem
from dask_k8s_local.strategy import metadata, names, resource_lists

Spec = Mapping[str, Any]

_PROTOCOLS = ("SCTP", "TCP", "UDP")
_ENUMS = {
    "restartPolicy": ("Always", "OnFailure", "Never"),
    "dnsPolicy": ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"),
}
_CONTAINER_ENUMS = {
    "terminationMessagePolicy": ("File", "FallbackToLogsOnError"),
    "imagePullPolicy": ("Always", "IfNotPresent", "Never"),
}
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_PROBE_NUMBERS = (
    "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold",
)  # fmt: skip
_ENV_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_CHANGEABLE = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_MAX_INT32 = 2**31 - 1


def validate_spec(spec: Spec) -> Iterator[Problem]:
    """Yield the problems of a pod's spec."""
    volumes: set[str] = set()
    yield from _volumes(spec.get("volumes") or (), volumes)
    containers = spec.get("containers") or ()
    if not containers:
        yield problems.required("spec.containers")
    container_names: set[str] = set()
    for path, container in _each("spec.containers", containers):
        yield from _container(container, path, volumes, container_names)
    for path, container in _each("spec.initContainers", spec.get("initContainers") or ()):
        yield from _container(container, path, volumes, container_names)
    yield from _scheduling(spec)
    for path, container in _each("spec.containers", containers):
        image = container.get("image", "")
        if image != image.strip():
            yield problems.invalid(f"{path}.image", image, "must not have leading or trailing whitespace")


def _scheduling(spec: Spec) -> Iterator[Problem]:
    for key, values in _ENUMS.items():
        if spec.get(key) not in values:
            yield problems.not_supported(f"spec.{key}", spec.get(key), values)
    yield from metadata.validate_labels(spec.get("nodeSelector") or {}, "spec.nodeSelector")
    for key, check in _NAMES.items():
        if value := spec.get(key):
            yield from (problems.invalid(f"spec.{key}", value, message) for message in check(value))
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= _MAX_INT32:
        yield problems.invalid("spec.activeDeadlineSeconds", deadline, _between(1, _MAX_INT32))
    yield from _tolerations(spec.get("tolerations") or ())


_NAMES: dict[str, names.NameCheck] = {
    "serviceAccountName": names.subdomain,
    "nodeName": names.subdomain,
    "hostname": names.label,
    "subdomain": names.label,
    "priorityClassName": names.subdomain,
}


def validate_update(spec: Spec, old: Spec) -> Iterator[Problem]:
    """Yield the changes of a pod that are not allowed."""
    for kind in ("containers", "initContainers"):
        if len(spec.get(kind) or ()) != len(old.get(kind) or ()):
            yield problems.forbidden(f"spec.{kind}", "pod updates may not add or remove containers")
            return
    before, after = old.get("activeDeadlineSeconds"), spec.get("activeDeadlineSeconds")
    if before is not None and after is None:
        message = "must not update from a positive integer to nil value"
        yield problems.invalid("spec.activeDeadlineSeconds", None, message)
    elif before is not None and after is not None and after > before:
        message = "must be less than or equal to previous value"
        yield problems.invalid("spec.activeDeadlineSeconds", after, message)
    if any(item not in (spec.get("tolerations") or ()) for item in old.get("tolerations") or ()):
        message = "existing toleration can not be modified except its tolerationSeconds"
        yield problems.forbidden("spec.tolerations", message)
    if _fixed(spec) != _fixed(old):
        differing = [key for key in {*spec, *old} if spec.get(key) != old.get(key)]
        difference = "\n".join(f"spec.{key}" for key in sorted(differing))
        message = f"pod updates may not change fields other than {_CHANGEABLE}\n{difference}"
        yield problems.forbidden("spec", message)


def _fixed(spec: Spec) -> dict[str, Any]:
    """Return the immutable fields of a pod's spec."""
    fixed = {**spec}
    for key in ("activeDeadlineSeconds", "tolerations", "schedulingGates"):
        fixed.pop(key, None)
    for kind in ("containers", "initContainers"):
        fixed[kind] = [{**container, "image": ""} for container in spec.get(kind) or ()]
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        fixed["terminationGracePeriodSeconds"] = 1
    return fixed


def _each(path: str, items: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    return ((f"{path}[{index}]", item) for index, item in enumerate(items))


def _between(low: int, high: int) -> str:
    return f"must be between {low} and {high}, inclusive"


def _volumes(volumes: Sequence[Any], found: set[str]) -> Iterator[Problem]:
    for path, volume in _each("spec.volumes", volumes):
        name = volume.get("name", "")
        wrong = list(_label(f"{path}.name", name))
        sources = [key for key in volume if key != "name"]
        wrong += [
            problems.forbidden(f"{path}.{key}", "may not specify more than 1 volume type")
            for key in sources[1:]
        ]
        if name in found:
            wrong.append(problems.duplicate(f"{path}.name", name))
        found.add(name)
        yield from wrong


def _label(path: str, name: str) -> Iterator[Problem]:
    if not name:
        yield problems.required(path)
    else:
        yield from (problems.invalid(path, name, message) for message in names.label(name))


def _container(container: Spec, path: str, volumes: set[str], container_names: set[str]) -> Iterator[Problem]:
    name = container.get("name", "")
    yield from _label(f"{path}.name", name)
    if not container.get("image"):
        yield problems.required(f"{path}.image")
    for key, values in _CONTAINER_ENUMS.items():
        if container.get(key) not in values:
            yield problems.not_supported(f"{path}.{key}", container.get(key), values)
    for key, check in _PARTS:
        if part := container.get(key):
            yield from check(part, f"{path}.{key}")
    yield from _mounts(container.get("volumeMounts") or (), f"{path}.volumeMounts", volumes)
    if name in container_names:
        yield problems.duplicate(f"{path}.name", name)
    container_names.add(name)


def _ports(ports: Sequence[Any], path: str) -> Iterator[Problem]:
    found: set[str] = set()
    for at, port in _each(path, ports):
        if name := port.get("name"):
            wrong = [problems.invalid(f"{at}.name", name, message) for message in names.port(name)]
            yield from wrong or ([problems.duplicate(f"{at}.name", name)] if name in found else [])
            found.add(name)
        for key in ("containerPort", "hostPort"):
            number = port.get(key) or 0
            if key == "containerPort" and not number:
                yield problems.required(f"{at}.{key}")
            elif number and not 1 <= number <= 65535:
                yield problems.invalid(f"{at}.{key}", number, _between(1, 65535))
        if port.get("protocol") not in _PROTOCOLS:
            yield problems.not_supported(f"{at}.protocol", port.get("protocol"), _PROTOCOLS)


def _env(variables: Sequence[Any], path: str) -> Iterator[Problem]:
    for at, variable in _each(path, variables):
        name = variable.get("name", "")
        if not name:
            yield problems.required(f"{at}.name")
        yield from (
            problems.invalid(f"{at}.name", name, message) for message in names.environment_variable(name)
        )
        source = variable.get("valueFrom")
        if source is None:
            continue
        found = [key for key in _ENV_SOURCES if key in source]
        if not found:
            message = (
                "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
            )
            yield problems.invalid(f"{at}.valueFrom", "", message)
        elif variable.get("value"):
            message = "may not be specified when `value` is not empty"
            yield problems.invalid(f"{at}.valueFrom", "", message)
        elif len(found) > 1:
            message = "may not have more than one field specified at a time"
            yield problems.invalid(f"{at}.valueFrom", "", message)
        for kind in ("configMapKeyRef", "secretKeyRef"):
            if kind in source and not source[kind].get("key"):
                yield problems.required(f"{at}.valueFrom.{kind}.key")


def _mounts(mounts: Sequence[Any], path: str, volumes: set[str]) -> Iterator[Problem]:
    found: set[str] = set()
    for at, mount in _each(path, mounts):
        name, where = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            yield problems.required(f"{at}.name")
        if name not in volumes:
            yield problems.not_found(f"{at}.name", name)
        if not where:
            yield problems.required(f"{at}.mountPath")
        if where in found:
            yield problems.invalid(f"{at}.mountPath", where, "must be unique")
        found.add(where)


def _resources(resources: Spec, path: str) -> Iterator[Problem]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for kind, asked in (("limits", limits), ("requests", requests)):
        for name, amount in asked.items():
            at = f"{path}.{kind}[{name}]"
            yield from _resource_name(name, at)
            yield from resource_lists.validate(name, amount, at)
    for name, amount in requests.items():
        limit = limits.get(name)
        is_extended = "/" in name  # limits and requests of extended resources must be equal
        if limit is None:
            if is_extended:
                yield problems.required(
                    f"{path}.limits", "Limit must be set for non overcommitable resources"
                )
        elif is_extended and quantity.parse(amount) != quantity.parse(limit):
            yield problems.invalid(f"{path}.requests", amount, f"must be equal to {name} limit of {limit}")
        elif quantity.parse(amount) > quantity.parse(limit):
            message = f"must be less than or equal to {name} limit of {limit}"
            yield problems.invalid(f"{path}.requests", amount, message)


def _resource_name(name: str, path: str) -> Iterator[Problem]:
    known = name in resource_lists.COMPUTE
    yield from resource_lists.validate_name(name, path, known=known, of="containers")
    if "/" in name and "kubernetes.io/" not in name and not resource_lists.is_extended(name):
        yield problems.invalid(path, name, "doesn't follow extended resource name standard")


def _probe(probe: Spec, path: str) -> Iterator[Problem]:
    yield from _handler(probe, path)
    for key in _PROBE_NUMBERS:
        if probe.get(key, 0) < 0:
            yield problems.invalid(f"{path}.{key}", probe[key], "must be greater than or equal to 0")


def _liveness_probe(probe: Spec, path: str) -> Iterator[Problem]:
    yield from _probe(probe, path)
    if probe.get("successThreshold", 1) != 1:
        yield problems.invalid(f"{path}.successThreshold", probe["successThreshold"], "must be 1")


def _handler(handler: Spec, path: str) -> Iterator[Problem]:
    found = [key for key in _HANDLERS if key in handler]
    if not found:
        yield problems.required(path, "must specify a handler type")
    for key in found[1:]:
        yield problems.forbidden(f"{path}.{key}", "may not specify more than 1 handler type")
    if found[:1] == ["exec"] and not handler["exec"].get("command"):
        yield problems.required(f"{path}.exec.command")
    if found[:1] in (["httpGet"], ["tcpSocket"]):
        port, at = handler[found[0]].get("port"), f"{path}.{found[0]}.port"
        if isinstance(port, str):
            yield from (problems.invalid(at, port, message) for message in names.port(port))
        elif not 1 <= (port or 0) <= 65535:
            yield problems.invalid(at, port or 0, _between(1, 65535))


def _lifecycle(lifecycle: Spec, path: str) -> Iterator[Problem]:
    kinds = (kind for kind in ("postStart", "preStop") if kind in lifecycle)
    return chain.from_iterable(_handler(lifecycle[kind], f"{path}.{kind}") for kind in kinds)


def _tolerations(tolerations: Sequence[Any]) -> Iterator[Problem]:
    for path, toleration in _each("spec.tolerations", tolerations):
        operator = toleration.get("operator") or "Equal"
        if not toleration.get("key") and operator != "Exists":
            message = (
                'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            )
            yield problems.invalid(f"{path}.operator", toleration.get("operator", ""), message)
        if operator not in {"Equal", "Exists"}:
            yield problems.not_supported(f"{path}.operator", operator, ("Equal", "Exists"))
        if operator == "Exists" and toleration.get("value"):
            message = "value must be empty when `operator` is 'Exists'"
            yield problems.invalid(f"{path}.operator", toleration["value"], message)


_PARTS: tuple[tuple[str, Callable[[Any, str], Iterator[Problem]]], ...] = (
    ("ports", _ports),
    ("env", _env),
    ("resources", _resources),
    ("lifecycle", _lifecycle),
    ("livenessProbe", _liveness_probe),
    ("readinessProbe", _probe),
    ("startupProbe", _liveness_probe),
)
