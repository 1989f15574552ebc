"""How a command runs: with a connection to the API server, and without a traceback for what may go wrong."""

import asyncio
import errno
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, TypeVar

import click
import dask.config

from dask_k8s_client.api.access import Login, NoAccess
from dask_k8s_client.api.requests import Api
from dask_k8s_client.cli.where import Said, said
from dask_k8s_client.exceptions import ApiError, SchedulerStartupError, Unreachable

T = TypeVar("T")

# What the package raises with words for people. A time-out and a permission that is missing are OSErrors.
_EXPECTED = (ApiError, OSError, RuntimeError, SchedulerStartupError, ValueError)


def namespace_said() -> str | None:
    """The namespace of the command line, or of Dask's configuration."""
    return said().namespace or dask.config.get("kubernetes.namespace", None)


def run(work: Callable[[Api, str], Coroutine[Any, Any, T]], namespace: str | None = None) -> T:
    """Run a coroutine function with the API server and a namespace: this one, or what was said."""
    here = said()
    chosen = namespace or namespace_said()

    async def connected() -> T:
        api = await Api.connect(Login(here.kubeconfig, here.context))
        try:
            return await work(api, chosen or api.access.namespace)
        finally:
            await api.close()

    with plainly():
        return asyncio.run(connected())


@contextmanager
def plainly() -> Iterator[None]:
    """Say what went wrong and what to do about it, and exit with 1."""
    try:
        yield
    except _EXPECTED as error:
        raise click.ClickException(f"{error}{_advice(error, said())}") from error


def _advice(error: Exception, here: Said) -> str:
    if isinstance(error, NoAccess) and here.context:
        return "\n`kubectl config get-contexts` lists the contexts that there are."
    if isinstance(error, NoAccess):
        return "\nName a kubeconfig with --kubeconfig or $KUBECONFIG."
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return "\nChoose another port, or none for any that is free."
    if isinstance(error, Unreachable):
        return "\n`kubectl cluster-info` asks the same server; --context and --kubeconfig name another."
    if isinstance(error, PermissionError) and _status(error) == HTTPStatus.UNAUTHORIZED:
        return "\nLog in anew, as for kubectl; `kubectl auth whoami` shows whether it has worked."
    if isinstance(error, PermissionError):
        return "\n`kubectl auth can-i --list` shows what you may do."
    return ""


def _status(error: Exception) -> int | None:
    return error.__cause__.status if isinstance(error.__cause__, ApiError) else None
