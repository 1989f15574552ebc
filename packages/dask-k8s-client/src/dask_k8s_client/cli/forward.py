"""`dashboard`, `port-forward`: a route from here to a scheduler, for as long as the command runs."""

import asyncio
import webbrowser
from contextlib import suppress
from functools import partial

import click
import dask.config

from dask_k8s_client.api.requests import Api
from dask_k8s_client.arguments import JSON
from dask_k8s_client.cli.output import console
from dask_k8s_client.cli.parameters import cluster_name, target_options
from dask_k8s_client.cli.running import reporting_errors, run_on_cluster, start_timeout
from dask_k8s_client.cluster_manager import dashboard_link
from dask_k8s_client.connection.connect_modes import Connect, ConnectMode, choose, parse
from dask_k8s_client.connection.routes import LocalPorts, Route, find_route
from dask_k8s_client.deletion import until_deleted
from dask_k8s_client.observed import located
from dask_k8s_client.progress import Deadline, Progress
from dask_k8s_client.startup import until_ready

_port_option = partial(click.option, type=click.IntRange(0, 2**16 - 1), default=0)


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
        port_forward = dask.config.get("kubernetes.port-forward-cluster-ip")
        connect = parse(dask.config.get("kubernetes.connect"), port_forward)
    _serve(name, connect, LocalPorts(dashboard=port), browser=browser)


def _serve(name: str, connect: Connect, ports: LocalPorts, *, browser: bool = False) -> None:
    async def work(api: Api, cluster: JSON) -> None:
        route = await _route(api, cluster, connect, ports)
        try:
            link = dashboard_link(route.dashboard_host, route.dashboard_port)
            click.echo(f"Scheduler at {route.address}\nDashboard at {link}")
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
