"""Which Kubernetes, which namespace: options that each command has, before or after its name. No I/O."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_HERE = __name__


class Said(NamedTuple):
    """What was said about where; None: as Dask's configuration or kubectl has it."""

    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None


def said(ctx: click.Context | None = None) -> Said:
    """What the command line says; the option after the command's name wins."""
    meta = (ctx or click.get_current_context()).meta
    return Said(*(meta.get(f"{_HERE}.{field}") for field in Said._fields))


def _keep(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.meta[f"{_HERE}.{parameter.name}"] = value


def namespace(function: F) -> F:
    """Add the option `-n`."""
    option = click.option(
        "-n",
        "--namespace",
        metavar="NAME",
        expose_value=False,
        callback=_keep,
        help="Namespace to use instead of the context's.",
    )
    return option(function)


def where(function: F) -> F:
    """Add all of them."""
    for option in (
        click.option(
            "--kubeconfig",
            metavar="FILE",
            type=click.Path(exists=True, dir_okay=False),
            expose_value=False,
            callback=_keep,
            help="Kubeconfig to use instead of $KUBECONFIG or ~/.kube/config.",
        ),
        click.option(
            "--context",
            metavar="NAME",
            expose_value=False,
            callback=_keep,
            help="Context of the kubeconfig to use instead of its current one.",
        ),
        namespace,
    ):
        function = option(function)
    return function
