"""Which container of a pod runs Dask. The controller and the client both decide it here. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from dask_k8s_crds import labels, names

Container = Any
"""A container as in a PodSpec."""

LEGACY_COMMANDS: Mapping[str, tuple[str, str]] = {
    "dask-scheduler": ("dask", "scheduler"),
    "dask-worker": ("dask", "worker"),
}
"""Commands that `distributed` removed in 2026.6.0, and what starts the same program since 2022.10."""

_MOST_TEXT = 2**14
"""Characters of a command that are read, since a pod may have a command of any length."""
_LONGEST_NAME = 63
_SHELL_FLAG = re.compile(r"-[a-z]*c")
_SHELL_WORD = re.compile(r"""(?:[^\s;&|()'"]|'[^']*'|"[^"]*")+""")
_BEFORE_PROGRAM = re.compile(r"--|-[a-z]*[cm]")
"""Options after which a program follows, as in ``sh -c``, ``python -m`` and ``tini --``."""
_PORT_NAMES = frozenset({"tcp-comm", "http-dashboard"})
_PORT_NUMBERS = frozenset({names.SCHEDULER_PORT, names.DASHBOARD_PORT})


def dask_container(spec: Mapping[str, Any], component: str) -> Container:
    """Return the container that runs Dask: by its command, then its ports, then its name.

    Where nothing shows it, it is the first one, and `unidentified` says so.

    Args:
        spec: A PodSpec with at least one container.
        component: What the pod is: ``scheduler`` or ``worker``.
    """
    containers = spec["containers"]
    if len(containers) == 1 or component not in {labels.SCHEDULER, labels.WORKER}:
        return containers[0]
    return max(containers, key=lambda container: _signs(container, component))


def unidentified(spec: Mapping[str, Any], component: str, path: str) -> str | None:
    """Return a message if nothing shows which of several containers runs Dask.

    Args:
        spec: The PodSpec of a template.
        component: What its pods are: ``scheduler`` or ``worker``.
        path: The path of the template, for the message.
    """
    containers = spec["containers"]
    if len(containers) == 1 or any(any(_signs(each, component)) for each in containers):
        return None
    ports = " or ".join(sorted(_PORT_NAMES))
    first = _name(containers[0])[:_LONGEST_NAME]
    return (
        f"{path}: none of its {len(containers)} containers runs `dask {component}`, has a port named "
        f'{ports}, or has a name that ends in "{component}". The first one, "{first}", is treated as the one '
        f'that runs Dask: name the one that does "{component}"'
    )


def command_line(container: Container) -> list[str]:
    """Return the parts of a container's command and arguments, with those of a shell line apart."""
    found: list[str] = []
    left, is_line = _MOST_TEXT, False
    for arg in (*(container.get("command") or ()), *(container.get("args") or ())):
        text = str(arg)[:left]
        left -= len(text)
        found += map(_unquoted, _SHELL_WORD.findall(text)) if is_line else [text]
        is_line = _SHELL_FLAG.fullmatch(text) is not None
        if left <= 0:
            break
    return found


def options(container: Container) -> dict[str, str]:
    """Return the options in a container's command with their values: ``--name value``, ``--name=value``.

    The value of one that has none, a flag, is the word after it.
    """
    return dict(_options(command_line(container)))


def runs(found: Sequence[str], component: str) -> int | None:
    """Return the position of Dask's program in a command line, None if it is not there."""
    legacy = {f"dask-{component}", f"dask-cuda-{component}"}
    for index, word in enumerate(found):
        program, following = word.rpartition("/")[2], list(found[index + 1 : index + 3])
        if program == "dask" and (following[:1] == [component] or following == ["cuda", component]):
            return index
        before = found[index - 1] if index else ""
        is_value = before.startswith("-") and not _BEFORE_PROGRAM.fullmatch(before)
        if word == f"distributed.cli.dask_{component}" or (program in legacy and not is_value):
            return index
    return None


def _signs(container: Container, component: str) -> tuple[int, bool, int]:
    """Return how much the command, the ports and the name of a container look like Dask's, in this order."""
    position = runs(command_line(container), component)
    by_command = 0 if position is None else 2 if position == 0 else 1
    by_port = any(
        port.get("name") in _PORT_NAMES or port.get("containerPort") in _PORT_NUMBERS
        for port in container.get("ports") or ()
    )
    name = _name(container)
    return by_command, by_port, (name == component) + name.endswith(component)


def _options(found: Sequence[str]) -> Iterator[tuple[str, str]]:
    for word, following in pairwise([*found, ""]):
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            yield name, value if equals else following


def _name(container: Container) -> str:
    return str(container.get("name") or "")


def _unquoted(word: str) -> str:
    return word.replace("'", "").replace('"', "")
