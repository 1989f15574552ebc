"""`dashboard`, `port-forward`: a route from here to a scheduler, for as long as the command runs."""

import asyncio
import webbrowser
from contextlib import suppress

import click
import dask.config

from dask_k8s_client.api.requests import Api
from dask_k8s_client.arguments import JSON
from dask_k8s_client.cli.output import console
from dask_k8s_client.cli.parameters import cluster_name, target_options
from dask_k8s_client.cli.running import find_cluster, reporting_errors, run, start_timeout
from dask_k8s_client.cluster_manager import dashboard_link
from dask_k8s_client.connection.connect_modes import Connect, ConnectMode, choose, parse
from dask_k8s_client.connection.routes import Route, find_route
from dask_k8s_client.deletion import until_deleted
from dask_k8s_client.progress import Deadline, Progress
from dask_k8s_client.startup import until_ready

_PORT = click.IntRange(0, 2**16 - 1)


@click.command("port-forward")
@cluster_name
@click.option("--port", type=_PORT, default=0, help="Local port of the scheduler; any by default.")
@click.option("--dashboard-port", type=_PORT, default=0, help="Local port of the dashboard; any by default.")
@target_options
def port_forward(*, name: str, port: int, dashboard_port: int) -> None:
    """Make a scheduler and its dashboard reachable from here, on this machine only."""
    _serve(name, ConnectMode.PORT_FORWARD, comm_port=port, dashboard_port=dashboard_port)


@click.command()
@cluster_name
@click.option("--browser/--no-browser", default=True, help="Open it; or only print where it is.")
@click.option("--port", type=_PORT, default=0, help="Local port; any by default.")
@target_options
def dashboard(*, name: str, browser: bool, port: int) -> None:
    """Open the dashboard of a cluster in the browser."""
    with reporting_errors():
        connect = parse(
            *(dask.config.get(f"kubernetes.{key}") for key in ("connect", "port-forward-cluster-ip"))
        )
    _serve(name, connect, dashboard_port=port, browser=browser)


def _serve(
    name: str, connect: Connect, *, comm_port: int = 0, dashboard_port: int = 0, browser: bool = False
) -> None:
    async def work(api: Api, namespace: str) -> None:
        cluster = await find_cluster(api, namespace, name)
        route = await _route(api, cluster, connect, comm_port, dashboard_port)
        try:
            link = dashboard_link(route.dashboard_host, route.dashboard_port)
            click.echo(f"Scheduler at {route.address}\nDashboard at {link}")
            if browser and not await asyncio.to_thread(webbrowser.open, link):
                click.echo("There is no browser to open it in.", err=True)
            if route.forwards:
                click.echo("Ctrl-C ends it.", err=True)
                await until_deleted(api, cluster)
                raise click.ClickException(f"the DaskCluster {name} in the namespace {namespace} was deleted")
        finally:
            await route.close()

    with suppress(KeyboardInterrupt):  # Ctrl-C is how to end it
        run(work)


async def _route(api: Api, cluster: JSON, connect: Connect, comm_port: int, dashboard_port: int) -> Route:
    async with Progress(cluster["metadata"]["name"], quiet=False, console=console(stderr=True)) as progress:
        deadline = Deadline(start_timeout())
        observed = await until_ready(api, cluster, deadline, progress.show)
        cluster = observed.cluster or cluster
        mode = choose(connect, cluster, in_cluster=api.access.in_cluster)
        async with deadline.enforced(progress):
            return await find_route(
                api, cluster, mode, progress, comm_port=comm_port, dashboard_port=dashboard_port
            )
