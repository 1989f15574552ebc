"""Arguments and options that several commands share, and how their values are parsed."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar

import click
import yaml

from dask_k8s_client.arguments import checked_resources, seconds

F = TypeVar("F", bound=Callable[..., Any])

_META = __name__


class Target(NamedTuple):
    """Which Kubernetes and which namespace; None: as in Dask's configuration or for kubectl."""

    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None


def target(ctx: click.Context | None = None) -> Target:
    """Return the target on the command line; the option after the command's name has precedence."""
    meta = (ctx or click.get_current_context()).meta
    return Target(*(meta.get(f"{_META}.{field}") for field in Target._fields))


def _store(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.meta[f"{_META}.{parameter.name}"] = value


def _all(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Return a decorator that adds options, which ``--help`` lists in this order."""

    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def output_option(*choices: str) -> Callable[[F], F]:
    """Add the option ``-o``."""
    return click.option(
        "-o", "--output", type=click.Choice(choices), help="Print this, for other programs to read."
    )


def pair(text: str) -> tuple[str, str]:
    """Parse ``NAME=VALUE``."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"{text!r} is not NAME=VALUE")
    return name, value


def resources(text: str) -> Mapping[str, Any]:
    """Parse ``limits`` and ``requests`` in JSON or YAML."""
    try:
        return checked_resources(yaml.safe_load(text))
    except (yaml.YAMLError, TypeError, ValueError) as error:
        problem = "not JSON" if isinstance(error, yaml.YAMLError) else str(error).removeprefix("resources: ")
        raise click.BadParameter(f"""{problem}; an example: '{{"limits": {{"memory": "4Gi"}}}}'""") from error


def duration(text: str) -> float:
    """Parse a duration such as ``90`` or ``1 hour`` into seconds."""
    try:
        return seconds("duration", text)
    except ValueError as error:
        raise click.BadParameter(str(error).removeprefix("duration: ")) from error


def complete_cluster(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a cluster; without an answer within a second there is nothing to complete."""
    from dask_k8s_client.cli import running  # noqa: PLC0415  # only completion needs Kubernetes here

    names: list[str] = []
    with suppress(Exception):  # a shell shows no errors of completions
        names = asyncio.run(running.cluster_names(target(ctx)))
    return [name for name in names if name.startswith(incomplete)]


cluster_name = click.argument("name", metavar="NAME", shell_complete=complete_cluster)

_target_option = partial(click.option, expose_value=False, callback=_store)
duration_option = partial(click.option, type=duration, metavar="DURATION")
_resources_option = partial(click.option, type=resources, metavar="JSON")
_pairs_option = partial(click.option, type=pair, multiple=True, metavar="NAME=VALUE")
_count_option = partial(click.option, type=click.IntRange(min=0))

namespace_option = _target_option(
    "-n", "--namespace", metavar="NAME", help="Namespace to use instead of the context's."
)
target_options = _all(
    namespace_option,
    _target_option(
        "--context", metavar="NAME", help="Context of the kubeconfig to use instead of its current one."
    ),
    _target_option(
        "--kubeconfig",
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False),
        help="Kubeconfig to use instead of $KUBECONFIG or ~/.kube/config.",
    ),
)
"""The options for the fields of a `Target`."""

_pod_options = _all(
    click.option("--image", help="Container image of all pods."),
    _count_option("--n-workers", default=3, show_default=True, help="Workers to begin with."),
    _resources_option("--resources", help="Of each worker: `limits`, `requests`, as in a Pod."),
    _pairs_option("-e", "--env", help="Environment variable of all containers; may be repeated."),
    click.option("--worker-command", metavar="COMMAND", help="What starts a worker."),
    _pairs_option("--label", "labels", help="Label of all objects; may be repeated."),
    _pairs_option("--annotation", "annotations", help="Annotation of all objects; may be repeated."),
    click.option(
        "--service-account", "service_account_name", metavar="NAME", help="Service account of all pods."
    ),
    click.option(
        "--image-pull-secret",
        "image_pull_secrets",
        metavar="NAME",
        multiple=True,
        help="Secret for the registry of the image; may be repeated.",
    ),
    click.option(
        "--priority-class", "priority_class_name", metavar="NAME", help="Priority class of all pods."
    ),
    _resources_option("--scheduler-resources", help="Of the scheduler, in the same way."),
)
cluster_options = _all(
    _pod_options,
    click.option(
        "--scheduler-service-type",
        type=click.Choice(["ClusterIP", "NodePort", "LoadBalancer"]),
        help="How the scheduler is reached.",
    ),
    duration_option("--idle-timeout", help='Delete it after so long without work: 90, "1 hour".'),
    click.option("--jupyter", is_flag=True, help="Start a Jupyter server beside the dashboard."),
)
"""The options that describe a cluster, named like the arguments of `make_cluster_spec`."""

job_options = _all(
    _pod_options,
    _resources_option("--runner-resources", help="Of the pod that runs the command, in the same way."),
    click.option(
        "--cluster",
        metavar="NAME",
        shell_complete=complete_cluster,
        help="Run on this cluster, which is there and stays, and not on one of its own.",
    ),
    _count_option(
        "--retries", default=0, show_default=True, help="How many failures of the command are forgiven."
    ),
    duration_option("--ttl", help="Delete the job, and what it printed, so long after its end."),
)
"""The options that describe a job."""

bounds_options = _all(
    _count_option("--minimum", default=0, show_default=True, help="Fewest workers."),
    _count_option("--maximum", help="Most workers; without it there is no bound."),
)
"""The options for the bounds of an autoscaler."""


def check_bounds(minimum: int, maximum: int | None) -> None:
    """Refuse a maximum below the minimum."""
    if maximum is not None and maximum < minimum:
        raise click.BadParameter(f"{maximum} is less than the minimum, {minimum}", param_hint="'--maximum'")
