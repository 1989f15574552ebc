"""What to do about well-known ways in which containers end. The controller and the client both use it. Pure.

A hint contains nothing of a log or a command but a bounded name.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from dask_k8s_crds import labels
from dask_k8s_crds.containers import LEGACY_COMMANDS, command_line, runs

_NOT_EXECUTABLE, _NOT_FOUND, _NOT_STARTED = 126, 127, 128
"""Exit codes of shells and container runtimes for a command that cannot be run."""
_MODULE = re.compile(r"No module named '?([\w.]{1,64})")
_MOST_OUTPUT = 2**14
"""Characters at the end of an output that are searched."""


class End(NamedTuple):
    """How a container ended.

    Attributes:
        command: The parts of its command line.
        exit_code: Its exit code, None if it is not known.
        output: The end of what it printed, as far as that is known.
    """

    command: Sequence[str]
    exit_code: int | None
    output: str


def removed_command(end: End) -> str | None:
    """A command that current versions of Dask do not have, in a shell line, which is not rewritten."""
    if end.exit_code not in {_NOT_EXECUTABLE, _NOT_FOUND, _NOT_STARTED}:
        return None
    programs = (part.rpartition("/")[2] for part in end.command)
    old = next((program for program in programs if program in LEGACY_COMMANDS), None)
    if old is None:
        return None
    new = " ".join(LEGACY_COMMANDS[old])
    return f'the command "{old}" does not exist in distributed 2026.6.0 and later: write "{new}" instead'


def command_not_found(end: End) -> str | None:
    """The exit code of a shell for a command that the image does not have."""
    if end.exit_code != _NOT_FOUND:
        return None
    return "the image does not contain a command that it runs: correct the command, or use another image"


def ends_when_idle(end: End) -> str | None:
    """An option that ends the scheduler, which its pod starts again."""
    has_option = any(part.partition("=")[0] == "--idle-timeout" for part in end.command)
    if end.exit_code != 0 or not has_option or runs(end.command, labels.SCHEDULER) is None:
        return None
    return (
        "the option --idle-timeout ends an idle scheduler, and its pod starts it again: "
        "remove the option, and set spec.idleTimeout of the DaskCluster"
    )


def missing_module(end: End) -> str | None:
    """A Python module that the image does not have."""
    found = _MODULE.search(end.output[-_MOST_OUTPUT:])
    if end.exit_code == 0 or found is None:
        return None
    return f'the image does not contain the Python module "{found[1]}": add it to the image, or use another'


HINTS: Sequence[Callable[[End], str | None]] = (
    removed_command,
    command_not_found,
    ends_when_idle,
    missing_module,
)
"""The first that fits is shown."""


def hint(container: Any, exit_code: int | None, output: str = "") -> str:
    """Return what to do about the end of a container, with a separator before it, or nothing.

    Args:
        container: The container as in a PodSpec.
        exit_code: Its exit code, None if it is not known.
        output: The end of what it printed, as far as that is known.
    """
    end = End(command_line(container), exit_code, output)
    return next((f": {found}" for each in HINTS if (found := each(end))), "")
