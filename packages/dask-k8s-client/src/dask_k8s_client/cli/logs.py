"""`logs`: what the pods of a cluster print, each line with the name of its pod."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import click
from rich.text import Text

from dask_k8s_client.api.requests import Api
from dask_k8s_client.arguments import JSON
from dask_k8s_client.cli.output import console
from dask_k8s_client.cli.parameters import cluster_name, target_options
from dask_k8s_client.cli.running import run_on_cluster
from dask_k8s_client.deletion import until_deleted, until_pods_deleted
from dask_k8s_client.logs import PodFilter, follow_pods, pod_logs
from dask_k8s_crds import labels, names

_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_cyan", "bright_green", "bright_magenta")
_LAST_LINES_SECONDS = 0.5
"""How long the last lines may take once the pods are gone."""


@click.command()
@cluster_name
@click.option(
    "-f", "--follow", is_flag=True, help="Go on, with new pods as well, until the cluster is deleted."
)
@click.option(
    "--component",
    type=click.Choice([labels.SCHEDULER, labels.WORKER, labels.JOB_RUNNER]),
    help="Only pods that are this.",
)
@click.option("--group", help="Only workers of this group, by its name within the cluster.")
@click.option("--tail", type=click.IntRange(min=0), help="Only so many lines of each container.")
@target_options
def logs(*, name: str, follow: bool, component: str | None, group: str | None, tail: int | None) -> None:
    """Print what the pods of a cluster print."""
    if follow and tail is not None:
        raise click.UsageError("--follow begins at the beginning; it and --tail exclude each other")
    pods = PodFilter(
        components=None if component is None else frozenset((component,)),
        group=None if group is None else names.worker_group(name, group),
    )
    print_line = _printer()

    async def work(api: Api, cluster: JSON) -> bool:
        if follow:
            await _follow(api, cluster, pods, print_line)
            return True
        texts = await pod_logs(api, cluster, pods, tail)
        scheduler = names.scheduler(name)
        for pod, text in sorted(texts.items(), key=lambda each: (not each[0].startswith(scheduler), each[0])):
            for line in text.splitlines():
                print_line(pod, line)
        return bool(texts)

    with suppress(KeyboardInterrupt):  # Ctrl-C is how to stop following
        if not run_on_cluster(name, work):
            click.echo("There are no such pods.", err=True)


async def _follow(api: Api, cluster: JSON, pods: PodFilter, print_line: Callable[[str, str], object]) -> None:
    following = asyncio.create_task(follow_pods(api, cluster, pods, print_line))
    deleted = asyncio.create_task(until_deleted(api, cluster))
    try:
        await asyncio.wait({following, deleted}, return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            following.result()
        deleted.result()
        await until_pods_deleted(api, cluster)
        await asyncio.wait({following}, timeout=_LAST_LINES_SECONDS)
    finally:
        for each in (following, deleted):
            each.cancel()
        await asyncio.gather(following, deleted, return_exceptions=True)


def _printer() -> Callable[[str, str], None]:
    """Return a function that prints a line of a pod, on a terminal with a colour for each pod."""
    out, colours = console(), dict[str, str]()

    def print_line(pod: str, line: str) -> None:
        if not out.is_terminal:
            click.echo(f"{pod} {line}")
            return
        if pod not in colours:
            colours[pod] = _COLOURS[len(colours) % len(_COLOURS)]
        out.print(Text.assemble((pod, colours[pod]), " ", Text.from_ansi(line)), soft_wrap=True)

    return print_line
