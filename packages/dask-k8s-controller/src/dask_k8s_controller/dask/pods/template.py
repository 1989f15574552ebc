"""From a user's pod template to the spec of a pod, with our environment and current commands. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dask_k8s_controller.dask import last_applied
from dask_k8s_controller.runtime.objects import Body
from dask_k8s_controller.runtime.plan import Event
from dask_k8s_crds import labels
from dask_k8s_crds.containers import LEGACY_COMMANDS


def pod_spec(template: Body, *, env: Mapping[str, str | Body], legacy_commands: bool) -> dict[str, Any]:
    """Return the spec of a pod: the user's, with our environment and current commands.

    The result and its containers are new objects; everything in them that stays as it is, which may be large,
    is shared with the template.
    A variable that the user sets wins over ours of the same name. The user's come first, as dask-kubernetes
    has them, unless one refers to ours, for example as ``$(DASK_WORKER_NAME)``: Kubernetes expands only
    references to earlier variables. A value in ``env`` that is no string is a ``valueFrom``.
    ``legacy_commands`` keeps `dask-scheduler` and `dask-worker` as they are.
    """
    containers = [_container(each, env, legacy_commands=legacy_commands) for each in template["containers"]]
    spec = {**template, "containers": containers}
    spec.setdefault("enableServiceLinks", False)
    return spec


def _container(container: Body, env: Mapping[str, str | Body], *, legacy_commands: bool) -> dict[str, Any]:
    changed = dict(container)
    user_env = container.get("env") or []
    user_names = {variable["name"] for variable in user_env}
    added = {name: value for name, value in env.items() if name not in user_names}
    if added:
        ours = [_variable(name, value) for name, value in added.items()]
        changed["env"] = [*ours, *user_env] if _refers(user_env, added) else [*user_env, *ours]
    if not legacy_commands:
        _renew_command(changed)
    return changed


def _refers(variables: Sequence[Body], names: Iterable[str]) -> bool:
    """Return whether the value of a variable refers to one of the names."""
    references = [f"$({name})" for name in names]
    return any(each in (variable.get("value") or "") for variable in variables for each in references)


def _variable(name: str, value: str | Body) -> dict[str, Any]:
    return {"name": name, "value" if isinstance(value, str) else "valueFrom": value}


def template_digest(
    template: Body, *, env: Mapping[str, str], legacy_commands: bool, restarts: Sequence[Any] = ()
) -> str:
    """Return the digest of the input of `pod_spec`, without the name of the pod.

    It does not cover the result, so that a newer controller that builds pods differently restarts none.
    ``restarts`` are annotations, or values of some, that ask for new pods when they change.
    """
    parts = [template, env, legacy_commands and bool(removed_commands(template))]
    return last_applied.digest([*parts, *([restarts] if any(restarts) else [])])


def removed_commands(template: Body) -> list[str]:
    """Return the removed commands that a template starts, for example ``["dask-worker"]``."""
    programs = (program for each in template["containers"] for program in _entrypoint(each)[1][:1])
    return [program for program in programs if program in LEGACY_COMMANDS]


def _renew_command(container: dict[str, Any]) -> None:
    field, args = _entrypoint(container)
    if args and args[0] in LEGACY_COMMANDS:
        container[field] = [*LEGACY_COMMANDS[args[0]], *args[1:]]


def _entrypoint(container: Body) -> tuple[str, Sequence[str]]:
    """Return the field that begins with the container's program, and its content."""
    field = "command" if container.get("command") else "args"
    return field, container.get(field) or ()


def keeps_legacy_commands(annotations: Mapping[str, str]) -> bool:
    """Return whether the user annotated a resource to start removed commands as they are written."""
    return annotations.get(labels.LEGACY_COMMANDS) == "keep"


def legacy_command_events(about: Body, template: Body, annotations: Mapping[str, str]) -> tuple[Event, ...]:
    """Return an Event about an object whose template starts removed commands, unless it keeps them."""
    commands = removed_commands(template)
    if not commands or keeps_legacy_commands(annotations):
        return ()
    return (Event(about, "LegacyCommand", removed_commands_message(commands)),)


def removed_commands_message(commands: Sequence[str]) -> str:
    """Return the message for a user whose template starts removed commands."""
    renewed = ", ".join(f'"{old}" as "{" ".join(LEGACY_COMMANDS[old])}"' for old in dict.fromkeys(commands))
    return (
        f"started {renewed}: distributed 2026.6.0 removed the old form; change the template, or annotate "
        f'the resource with "{labels.LEGACY_COMMANDS}: keep" for an image older than 2022.10'
    )
