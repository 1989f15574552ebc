"""`logs`: what the pods of a cluster print, each line with the name of its pod."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import click
from rich.text import Text

from dask_k8s_client.aliases import JSON
from dask_k8s_client.api.requests import Api
from dask_k8s_client.cli import find
from dask_k8s_client.cli.parameters import cluster_name
from dask_k8s_client.cli.printing import console
from dask_k8s_client.cli.running import run
from dask_k8s_client.cli.where import where
from dask_k8s_client.lifecycle.deletion import until_empty, until_gone
from dask_k8s_client.parts.logs import Which, follow_pods, pod_logs
from dask_k8s_crds import labels, names

_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_cyan", "bright_green", "bright_magenta")
_LAST_WORDS = 0.5
"""So many seconds the last lines may take once the pods are gone."""


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
@where
def logs(*, name: str, follow: bool, component: str | None, group: str | None, tail: int | None) -> None:
    """Print what the pods of a cluster print."""
    if follow and tail is not None:
        raise click.UsageError("--follow begins at the beginning; it and --tail exclude each other")
    which = Which(
        components=None if component is None else frozenset((component,)),
        group=None if group is None else names.worker_group(name, group),
    )
    say = _speaker()

    async def work(api: Api, namespace: str) -> bool:
        cluster = await find.cluster(api, namespace, name)
        if follow:
            await _follow(api, cluster, which, say)
            return True
        found = await pod_logs(api, cluster, which, tail)
        for pod, text in sorted(found.items(), key=lambda each: (_is_worker(each[0], name), each[0])):
            for line in text.splitlines():
                say(pod, line)
        return bool(found)

    with suppress(KeyboardInterrupt):  # that is how one stops following
        if not run(work):
            click.echo("There are no such pods.", err=True)


def _is_worker(pod: str, cluster: str) -> bool:
    return not pod.startswith(names.scheduler(cluster))


async def _follow(api: Api, cluster: JSON, which: Which, say: Callable[[str, str], object]) -> None:
    following = asyncio.create_task(follow_pods(api, cluster, which, say))
    deleted = asyncio.create_task(until_gone(api, cluster))
    try:
        await asyncio.wait({following, deleted}, return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            following.result()
        deleted.result()
        await until_empty(api, cluster)
        await asyncio.wait({following}, timeout=_LAST_WORDS)
    finally:
        for each in (following, deleted):
            each.cancel()
        await asyncio.gather(following, deleted, return_exceptions=True)


def _speaker() -> Callable[[str, str], None]:
    """Prints a line of a pod; every pod has a colour."""
    out, colours = console(), dict[str, str]()

    def say(pod: str, line: str) -> None:
        if not out.is_terminal:
            click.echo(f"{pod} {line}")
            return
        if pod not in colours:
            colours[pod] = _COLOURS[len(colours) % len(_COLOURS)]
        out.print(Text.assemble((pod, colours[pod]), " ", Text.from_ansi(line)), soft_wrap=True)

    return say
