"""`scale`, `adapt`: how many workers there are, said by people or left to the work."""

import click

from dask_k8s_client.aliases import JSON
from dask_k8s_client.api.requests import Api
from dask_k8s_client.cli import find
from dask_k8s_client.cli.parameters import bounded, check_bounds, cluster_name
from dask_k8s_client.cli.printing import full_name
from dask_k8s_client.cli.running import plainly, run
from dask_k8s_client.cli.where import where
from dask_k8s_client.parts import autoscaling, groups

_PATIENCE = 60.0
"""So many seconds a new cluster's group, or an old cluster's autoscaler, may take to come or go."""


@click.command()
@cluster_name
@click.argument("n", type=click.IntRange(min=0))
@click.option(
    "--group", default=groups.DEFAULT, show_default=True, help="Worker group, by its name within the cluster."
)
@where
def scale(*, name: str, n: int, group: str) -> None:
    """Set the number of workers of a group.

    That ends `adapt`: an autoscaler that scales this group is deleted first.
    """

    async def work(api: Api, namespace: str) -> JSON:
        cluster = await find.cluster(api, namespace, name)
        await groups.resize(api, cluster, group, n, _PATIENCE)
        return cluster

    where_it_is = "" if group == groups.DEFAULT else f" in its group {group}"
    click.echo(f"{full_name(run(work))} scaled to {n}{where_it_is}")


@click.command()
@cluster_name
@bounded
@where
def adapt(*, name: str, minimum: int, maximum: int | None) -> None:
    """Let a cluster have as many workers as its work needs, until it is scaled again."""
    check_bounds(minimum, maximum)
    with plainly():
        wish = autoscaling.wish(name, minimum=minimum, maximum=maximum)

    async def work(api: Api, namespace: str) -> JSON:
        cluster = await find.cluster(api, namespace, name)
        await autoscaling.adapt(api, cluster, wish, _PATIENCE)
        return cluster

    bounds = f"{minimum} to {maximum} workers" if maximum is not None else f"{minimum} workers and more"
    click.echo(f"{full_name(run(work))} adapts: {bounds}")
