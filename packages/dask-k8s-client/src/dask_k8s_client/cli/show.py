"""`list`, `get`, `describe`: the commands that only read."""

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus

import click
from rich.console import Console

from dask_k8s_client.api.requests import Api
from dask_k8s_client.arguments import JSON
from dask_k8s_client.cli import tables
from dask_k8s_client.cli.output import console, print_objects, print_pairs, print_table
from dask_k8s_client.cli.parameters import cluster_name, output_option, target_options
from dask_k8s_client.cli.running import find_cluster, run, run_on_cluster
from dask_k8s_client.exceptions import explaining
from dask_k8s_client.observed import located, pods_of
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import DASK_AUTOSCALERS, DASK_CLUSTERS, DASK_WORKER_GROUPS, EVENTS, PODS

_Listed = Sequence[JSON] | None
"""Objects; None without the permission to list them."""


@click.command("list")
@click.option(
    "-A", "--all-namespaces", is_flag=True, help="Those of all namespaces, whatever --namespace says."
)
@output_option("json", "yaml", "name")
@target_options
def list_(*, all_namespaces: bool, output: str | None) -> None:
    """List clusters."""

    async def read(api: Api, namespace: str) -> tuple[Sequence[JSON], str]:
        scope = f"in the namespace {namespace}"
        with explaining(f"list the DaskClusters {'in all namespaces' if all_namespaces else scope}"):
            clusters = await api.list_items(DASK_CLUSTERS, None if all_namespaces else namespace)
        return clusters, "in any namespace" if all_namespaces else scope

    clusters, scope = run(read)
    clusters = sorted(clusters, key=lambda each: (each["metadata"]["namespace"], each["metadata"]["name"]))
    if output:
        print_objects(clusters, output, many=True)
    elif not clusters:
        click.echo(f"There are no clusters {scope}.", err=True)
    else:
        print_table(console(), tables.CLUSTER_HEAD, tables.cluster_rows(clusters, datetime.now(UTC)))


@click.command()
@cluster_name
@output_option("json", "yaml", "name")
@target_options
def get(*, name: str, output: str | None) -> None:
    """Show how a cluster is: phase, workers, addresses, conditions."""
    cluster = run(partial(find_cluster, name=name))
    if output:
        print_objects([cluster], output)
    else:
        _print_cluster(console(), cluster, datetime.now(UTC))


@click.command()
@cluster_name
@target_options
def describe(*, name: str) -> None:
    """Show a cluster with its groups, pods and events."""
    cluster, groups, autoscalers, pods, events = run_on_cluster(name, _read_all)
    out, now = console(), datetime.now(UTC)
    _print_cluster(out, cluster, now)
    for each in autoscalers or ():
        out.print(f"\nScaled by {each['metadata']['name']}, {tables.autoscaler_line(each)}", soft_wrap=True)
    for what, head, objects, rows in (
        ("worker groups", tables.GROUP_HEAD, groups, tables.group_rows),
        ("pods", tables.POD_HEAD, pods, tables.pod_rows),
        ("events", tables.EVENT_HEAD, events, tables.event_rows),
    ):
        out.print()
        if objects is None:
            out.print(f"You may not list {what} here.", style="dim")
        elif not objects:
            out.print(f"There are no {what} to show.", style="dim")
        else:
            print_table(out, head, rows(objects, now))


def _print_cluster(out: Console, cluster: JSON, now: datetime) -> None:
    print_pairs(out, tables.cluster_pairs(cluster, now))
    if waiting := tables.waiting_for(cluster):
        out.print(f"\n{waiting}", style="yellow", soft_wrap=True)
    if conditions := list(tables.condition_rows(cluster, now)):
        out.print()
        print_table(out, tables.CONDITION_HEAD, conditions)


async def _read_all(api: Api, cluster: JSON) -> tuple[JSON, _Listed, _Listed, _Listed, _Listed]:
    """Return a cluster with its worker groups, autoscalers, pods and events."""
    name, namespace = cluster["metadata"]["name"], cluster["metadata"]["namespace"]
    with explaining(f"describe the DaskCluster {located(cluster)}"):
        groups, autoscalers, pods, events = await asyncio.gather(
            _permitted(api.list_items(DASK_WORKER_GROUPS, namespace)),
            _permitted(api.list_items(DASK_AUTOSCALERS, namespace)),
            _permitted(api.list_items(PODS, namespace, pods_of(cluster))),
            _permitted(api.list_items(EVENTS, namespace)),
        )
    groups, autoscalers = (
        None if listed is None else [each for each in listed if each["spec"].get("cluster") == name]
        for listed in (groups, autoscalers)
    )
    own = {each["metadata"]["uid"] for each in (cluster, *(groups or ()), *(autoscalers or ()))}
    pods_too = own | {each["metadata"]["uid"] for each in pods or ()}

    def is_relevant(event: JSON) -> bool:  # of a pod, only warnings are
        return event["involvedObject"].get("uid") in (pods_too if event.get("type") == "Warning" else own)

    return cluster, groups, autoscalers, pods, None if events is None else [*filter(is_relevant, events)]


async def _permitted(listing: Awaitable[Sequence[JSON]]) -> _Listed:
    try:
        return await listing
    except ApiError as error:
        # A user may lack permissions, and a controller may have no autoscaler.
        if error.status == HTTPStatus.FORBIDDEN or error.is_unknown_path:
            return None
        raise
