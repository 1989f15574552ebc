"""`logs`, `dashboard`, `port-forward`: the commands that run until Ctrl-C, or until the cluster is gone."""

import asyncio
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import click
import dask.config
from rich.text import Text

from dask_k8s_client.api.requests import Api
from dask_k8s_client.arguments import JSON
from dask_k8s_client.cli.output import console
from dask_k8s_client.cli.parameters import cluster_name, target_options
from dask_k8s_client.cli.running import reporting_errors, run_on_cluster, run_on_cluster_or_job, start_timeout
from dask_k8s_client.cluster_manager import dashboard_link
from dask_k8s_client.connection.connect_modes import Connect, ConnectMode, choose, parse
from dask_k8s_client.connection.routes import LocalPorts, Route, find_route
from dask_k8s_client.deletion import until_deleted, until_pods_deleted
from dask_k8s_client.jobs import until_ended
from dask_k8s_client.logs import PodFilter, follow_pods, pod_logs
from dask_k8s_client.observed import located
from dask_k8s_client.progress import Deadline, Progress
from dask_k8s_client.startup import until_ready
from dask_k8s_crds import labels, names
from dask_k8s_crds.resources import DASK_JOBS

_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_cyan", "bright_green", "bright_magenta")
_LAST_LINES_SECONDS = 0.5
"""How long the last lines may take once the pods are gone."""

_port_option = partial(click.option, type=click.IntRange(0, 2**16 - 1), default=0)


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
@click.option("--tail", type=click.IntRange(min=0), help="Show at most this many lines of each container.")
@target_options
def logs(*, name: str, follow: bool, component: str | None, group: str | None, tail: int | None) -> None:
    """Print what the pods of a cluster print, or those of a job.

    While the cluster of a job exists, NAME means the cluster, with the client of the job among its pods.
    """
    if follow and tail is not None:
        raise click.UsageError("--follow begins at the beginning; it and --tail exclude each other")
    pods = PodFilter(
        components=None if component is None else frozenset((component,)),
        group=None if group is None else names.worker_group(name, group),
    )
    print_line = _printer()

    async def work(api: Api, owner: JSON) -> bool:
        if follow:
            await _follow(api, owner, pods, print_line)
            return True
        texts = await pod_logs(api, owner, pods, tail)
        scheduler = names.scheduler(name)
        for pod, text in sorted(texts.items(), key=lambda each: (not each[0].startswith(scheduler), each[0])):
            for line in text.splitlines():
                print_line(pod, line)
        return bool(texts)

    with suppress(KeyboardInterrupt):  # Ctrl-C is how to stop following
        if not run_on_cluster_or_job(name, work):
            click.echo("There are no such pods.", err=True)


async def _follow(api: Api, owner: JSON, pods: PodFilter, print_line: Callable[[str, str], object]) -> None:
    following = asyncio.create_task(follow_pods(api, owner, pods, print_line))
    over = asyncio.create_task(_until_over(api, owner))
    try:
        await asyncio.wait({following, over}, return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            following.result()
        over.result()
        await asyncio.wait({following}, timeout=_LAST_LINES_SECONDS)
    finally:
        for each in (following, over):
            each.cancel()
        await asyncio.gather(following, over, return_exceptions=True)


async def _until_over(api: Api, owner: JSON) -> None:
    """Wait until no pod of a cluster or a job prints any more."""
    if owner["kind"] == DASK_JOBS.kind:
        await until_ended(api, owner)
    else:
        await until_deleted(api, owner)
        await until_pods_deleted(api, owner)


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


@click.command("port-forward")
@cluster_name
@_port_option("--port", help="Local port of the scheduler; any by default.")
@_port_option("--dashboard-port", help="Local port of the dashboard; any by default.")
@target_options
def port_forward(*, name: str, port: int, dashboard_port: int) -> None:
    """Make a scheduler and its dashboard reachable from here, on this machine only."""
    _serve(name, ConnectMode.PORT_FORWARD, LocalPorts(port, dashboard_port))


@click.command()
@cluster_name
@click.option("--browser/--no-browser", default=True, help="Open it; or only print where it is.")
@_port_option("--port", help="Local port; any by default.")
@target_options
def dashboard(*, name: str, browser: bool, port: int) -> None:
    """Open the dashboard of a cluster in the browser."""
    with reporting_errors():
        is_forwarded = dask.config.get("kubernetes.port-forward-cluster-ip")
        connect = parse(dask.config.get("kubernetes.connect"), is_forwarded)
    _serve(name, connect, LocalPorts(dashboard=port), browser=browser)


def _serve(name: str, connect: Connect, ports: LocalPorts, *, browser: bool | None = None) -> None:
    """Print the addresses, and serve port-forwards; ``browser`` is None if the dashboard is not needed."""

    async def work(api: Api, cluster: JSON) -> None:
        route = await _route(api, cluster, connect, ports)
        try:
            link = dashboard_link(route.dashboard_host, route.dashboard_port, route.dashboard_prefix)
            if not link and browser is not None:
                raise click.ClickException(
                    f"the cluster {located(cluster)} has no dashboard: its scheduler runs with --no-dashboard"
                )
            click.echo(f"Scheduler at {route.address}\nDashboard at {link or 'no address: --no-dashboard'}")
            if browser and not await asyncio.to_thread(webbrowser.open, link):
                click.echo("There is no browser to open it in.", err=True)
            if route.forwards:
                click.echo("Ctrl-C ends it.", err=True)
                await until_deleted(api, cluster)
                raise click.ClickException(f"the DaskCluster {located(cluster)} was deleted")
        finally:
            await route.close()

    with suppress(KeyboardInterrupt):  # Ctrl-C is how to end it
        run_on_cluster(name, work)


async def _route(api: Api, cluster: JSON, connect: Connect, ports: LocalPorts) -> Route:
    async with Progress(cluster["metadata"]["name"], quiet=False, console=console(stderr=True)) as progress:
        deadline = Deadline(start_timeout())
        observed = await until_ready(api, cluster, deadline, progress.show)
        cluster = observed.cluster or cluster
        mode = choose(connect, cluster, in_cluster=api.access.in_cluster)
        async with deadline.enforced(progress):
            return await find_route(api, cluster, mode, progress, ports)
