"""Arguments and options that several commands share, and what their values mean. No I/O but completion."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import click
import yaml

from dask_k8s_client.durations import seconds
from dask_k8s_client.specs.pods import checked_resources

F = TypeVar("F", bound=Callable[..., Any])

N_WORKERS = 3


def pair(text: str) -> tuple[str, str]:
    """`NAME=VALUE`."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"{text!r} is not NAME=VALUE")
    return name, value


def resources(text: str) -> Mapping[str, Any]:
    """`limits` and `requests` as JSON or YAML."""
    try:
        return checked_resources(yaml.safe_load(text))
    except (yaml.YAMLError, TypeError, ValueError) as error:
        words = "not JSON" if isinstance(error, yaml.YAMLError) else str(error).removeprefix("resources: ")
        raise click.BadParameter(f"""{words}; an example: '{{"limits": {{"memory": "4Gi"}}}}'""") from error


def duration(text: str) -> float:
    """`90`, `"1 hour"`, in seconds."""
    try:
        return seconds("duration", text)
    except ValueError as error:
        raise click.BadParameter(str(error).removeprefix("duration: ")) from error


def name_of_cluster(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a cluster; without an answer within a second there is nothing to complete."""
    from dask_k8s_client.cli import completion  # noqa: PLC0415  # asks Kubernetes, and only a shell wants that

    names: list[str] = []
    with suppress(Exception):  # nobody would see why
        names = asyncio.run(completion.names(ctx))
    return [name for name in names if name.startswith(incomplete)]


cluster_name = click.argument("name", metavar="NAME", shell_complete=name_of_cluster)


def pods_like(function: F) -> F:
    """Options that say what the pods are like, as `make_cluster_spec` and `make_job_spec` have them."""
    for option in (
        click.option("--worker-command", metavar="COMMAND", help="What starts a worker."),
        click.option(
            "-e",
            "--env",
            type=pair,
            multiple=True,
            metavar="NAME=VALUE",
            help="Environment variable of all containers; may be repeated.",
        ),
        click.option(
            "--resources",
            type=resources,
            metavar="JSON",
            help="Of each worker: `limits`, `requests`, as in a Pod.",
        ),
        click.option(
            "--n-workers",
            type=click.IntRange(min=0),
            default=N_WORKERS,
            show_default=True,
            help="Workers to begin with.",
        ),
        click.option("--image", help="Container image of all pods."),
    ):
        function = option(function)
    return function


def cluster_like(function: F) -> F:
    """Options that say what a cluster is like, as `make_cluster_spec` has them."""
    for option in (
        click.option("--jupyter", is_flag=True, help="Start a Jupyter server beside the dashboard."),
        click.option(
            "--scheduler-resources", type=resources, metavar="JSON", help="Of the scheduler, in the same way."
        ),
        click.option(
            "--idle-timeout",
            type=duration,
            metavar="DURATION",
            help='Delete it after so long without work: 90, "1 hour".',
        ),
        click.option(
            "--scheduler-service-type",
            type=click.Choice(["ClusterIP", "NodePort", "LoadBalancer"]),
            help="How the scheduler is reached.",
        ),
    ):
        function = option(function)
    return pods_like(function)


def job_like(function: F) -> F:
    """Options that say what a job is like, as `make_job_spec` has them."""
    for option in (
        click.option(
            "--ttl",
            type=duration,
            metavar="DURATION",
            help="Delete the job, and what it printed, so long after its end.",
        ),
        click.option(
            "--retries",
            type=click.IntRange(min=0),
            default=0,
            show_default=True,
            help="How many failures of the command are forgiven.",
        ),
        click.option(
            "--cluster",
            metavar="NAME",
            shell_complete=name_of_cluster,
            help="Run on this cluster, which is there and stays, and not on one of its own.",
        ),
    ):
        function = option(function)
    return pods_like(function)


def bounded(function: F) -> F:
    """Options that say how few and how many workers there may be."""
    least, most = (
        click.option(
            "--minimum", type=click.IntRange(min=0), default=0, show_default=True, help="Fewest workers."
        ),
        click.option(
            "--maximum", type=click.IntRange(min=0), help="Most workers; without it there is no bound."
        ),
    )
    return least(most(function))


def check_bounds(minimum: int, maximum: int | None) -> None:
    """Refuse what cannot be."""
    if maximum is not None and maximum < minimum:
        raise click.BadParameter(f"{maximum} is less than the minimum, {minimum}", param_hint="'--maximum'")


def output(*choices: str) -> Callable[[F], F]:
    """Add the option `-o`."""
    return click.option(
        "-o", "--output", type=click.Choice(choices), help="Print this, for other programs to read."
    )
