"""`dashboard`, `port-forward`: a way from here to a scheduler, for as long as the command runs."""

import asyncio
import webbrowser
from contextlib import suppress

import click
import dask.config

from dask_k8s_client.aliases import JSON
from dask_k8s_client.api.requests import Api
from dask_k8s_client.cli import find
from dask_k8s_client.cli.parameters import cluster_name
from dask_k8s_client.cli.printing import console
from dask_k8s_client.cli.running import plainly, run
from dask_k8s_client.cli.where import where
from dask_k8s_client.connection.routes import Route, Wanted, route
from dask_k8s_client.connection.ways import Way, parse
from dask_k8s_client.durations import seconds
from dask_k8s_client.lifecycle.deletion import until_gone
from dask_k8s_client.lifecycle.start import until_ready
from dask_k8s_client.manager.deploy import dashboard_link
from dask_k8s_client.waiting.deadline import Deadline
from dask_k8s_client.waiting.progress import Progress

_PORT = click.IntRange(0, 2**16 - 1)


@click.command("port-forward")
@cluster_name
@click.option("--port", type=_PORT, default=0, help="Local port of the scheduler; any by default.")
@click.option("--dashboard-port", type=_PORT, default=0, help="Local port of the dashboard; any by default.")
@where
def port_forward(*, name: str, port: int, dashboard_port: int) -> None:
    """Make a scheduler and its dashboard reachable from here, on this machine only."""
    _serve(name, Wanted(Way.PORT_FORWARD, comm_port=port, dashboard_port=dashboard_port), browser=False)


@click.command()
@cluster_name
@click.option("--browser/--no-browser", default=True, help="Open it; or only print where it is.")
@click.option("--port", type=_PORT, default=0, help="Local port; any by default.")
@where
def dashboard(*, name: str, browser: bool, port: int) -> None:
    """Open the dashboard of a cluster in the browser."""
    with plainly():
        way = parse(*(dask.config.get(f"kubernetes.{key}") for key in ("connect", "port-forward-cluster-ip")))
    wanted = Wanted(way, dashboard_port=port)
    _serve(name, wanted, browser=browser)


def _serve(name: str, wanted: Wanted, *, browser: bool) -> None:
    async def work(api: Api, namespace: str) -> None:
        cluster = await find.cluster(api, namespace, name)
        way = await _way(api, cluster, wanted)
        try:
            link = dashboard_link(way.dashboard_host, way.dashboard_port)
            click.echo(f"Scheduler at {way.address}\nDashboard at {link}")
            if browser and not await asyncio.to_thread(webbrowser.open, link):
                click.echo("There is no browser to open it in.", err=True)
            if way.forwards:
                click.echo("Ctrl-C ends it.", err=True)
                await until_gone(api, cluster)
                raise click.ClickException(f"the DaskCluster {name} in the namespace {namespace} was deleted")
        finally:
            await way.close()

    with suppress(KeyboardInterrupt):  # that is how one ends it
        run(work)


async def _way(api: Api, cluster: JSON, wanted: Wanted) -> Route:
    limit = seconds("kubernetes.resource-timeout", dask.config.get("kubernetes.resource-timeout"))
    async with Progress(cluster["metadata"]["name"], quiet=False, console=console(stderr=True)) as progress:
        deadline = Deadline(limit)
        observed = await until_ready(api, cluster, deadline, progress.show)
        async with deadline.enforced(progress):
            return await route(api, observed.cluster or cluster, wanted, progress)
