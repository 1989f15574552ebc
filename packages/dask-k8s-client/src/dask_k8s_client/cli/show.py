"""`list`, `get`, `describe`: how clusters are. They only read."""

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import NamedTuple

import click
from rich.console import Console

from dask_k8s_client.aliases import JSON
from dask_k8s_client.api.requests import Api
from dask_k8s_client.api.resources import AUTOSCALERS, CLUSTERS, EVENTS, GROUPS, PODS, Among
from dask_k8s_client.cli import find, view
from dask_k8s_client.cli.parameters import cluster_name, output
from dask_k8s_client.cli.printing import Cell, console, print_objects, print_pairs, print_table
from dask_k8s_client.cli.running import run
from dask_k8s_client.cli.where import where
from dask_k8s_client.exceptions import ApiError
from dask_k8s_client.refusals import doing
from dask_k8s_crds import labels


@click.command("list")
@click.option(
    "-A", "--all-namespaces", is_flag=True, help="Those of all namespaces, whatever --namespace says."
)
@output("json", "yaml", "name")
@where
def list_(*, all_namespaces: bool, output: str | None) -> None:
    """List clusters."""

    async def read(api: Api, namespace: str) -> tuple[Sequence[JSON], str]:
        place = f"in the namespace {namespace}"
        with doing(f"list the DaskClusters {'in all namespaces' if all_namespaces else place}"):
            found = await api.every(CLUSTERS, None if all_namespaces else namespace)
        return found, "in any namespace" if all_namespaces else place

    clusters, place = run(read)
    clusters = sorted(clusters, key=lambda each: (each["metadata"]["namespace"], each["metadata"]["name"]))
    if output:
        print_objects(clusters, output, many=True)
    elif not clusters:
        click.echo(f"There are no clusters {place}.", err=True)
    else:
        now = datetime.now(UTC)
        rows = [view.cluster_row(each, now) for each in clusters]
        print_table(console(), view.CLUSTER_HEAD, rows)


@click.command()
@cluster_name
@output("json", "yaml", "name")
@where
def get(*, name: str, output: str | None) -> None:
    """Show how a cluster is: phase, workers, addresses, conditions."""
    cluster = run(lambda api, namespace: find.cluster(api, namespace, name))
    if output:
        print_objects([cluster], output)
    else:
        _print_cluster(console(), cluster, datetime.now(UTC))


class _Family(NamedTuple):
    """A cluster and what belongs to it; None: we may not look."""

    cluster: JSON
    groups: Sequence[JSON] | None
    autoscalers: Sequence[JSON] | None
    pods: Sequence[JSON] | None
    events: Sequence[JSON] | None


@click.command()
@cluster_name
@where
def describe(*, name: str) -> None:
    """Show a cluster with its groups, pods and events."""
    family = run(lambda api, namespace: _family(api, namespace, name))
    out, now = console(), datetime.now(UTC)
    _print_cluster(out, family.cluster, now)
    for each in family.autoscalers or ():
        out.print(f"\nScaled by {each['metadata']['name']}, {view.autoscaler_line(each)}", soft_wrap=True)
    groups = None if family.groups is None else [view.group_row(each, now) for each in family.groups]
    pods = None if family.pods is None else view.pod_rows(family.pods, now)
    events = None if family.events is None else view.event_rows(family.events, now)
    _print_part(out, "worker groups", view.GROUP_HEAD, groups)
    _print_part(out, "pods", view.POD_HEAD, pods)
    _print_part(out, "events", view.EVENT_HEAD, events)


def _print_cluster(out: Console, cluster: JSON, now: datetime) -> None:
    print_pairs(out, view.cluster_pairs(cluster, now))
    if waiting := view.waiting_for(cluster):
        out.print(f"\n{waiting}", style="yellow", soft_wrap=True)
    if conditions := list(view.condition_rows(cluster, now)):
        out.print()
        print_table(out, view.CONDITION_HEAD, conditions)


def _print_part(out: Console, what: str, head: Sequence[str], rows: Sequence[Sequence[Cell]] | None) -> None:
    out.print()
    if rows is None:
        out.print(f"You may not list {what} here.", style="dim")
    elif not rows:
        out.print(f"There are no {what} to show.", style="dim")
    else:
        print_table(out, head, rows)


async def _family(api: Api, namespace: str, name: str) -> _Family:
    cluster = await find.cluster(api, namespace, name)
    mine = Among(labels=labels.selector({labels.CLUSTER_NAME: name}))
    with doing(f"describe the DaskCluster {name} in the namespace {namespace}"):
        groups, autoscalers, pods, events = await asyncio.gather(
            _permitted(api.every(GROUPS, namespace)),
            _permitted(api.every(AUTOSCALERS, namespace)),
            _permitted(api.every(PODS, namespace, mine)),
            _permitted(api.every(EVENTS, namespace)),
        )
    groups, autoscalers = (
        None if found is None else [each for each in found if each["spec"].get("cluster") == name]
        for found in (groups, autoscalers)
    )
    known = _uids([cluster, *(groups or ()), *(autoscalers or ())])
    watched = known | _uids(pods or ())
    about = None if events is None else [each for each in events if _matters(each, known, watched)]
    return _Family(cluster, groups, autoscalers, pods, about)


async def _permitted(listing: Awaitable[Sequence[JSON]]) -> Sequence[JSON] | None:
    try:
        return await listing
    except ApiError as error:
        # Not everybody may see everything, and not every controller has an autoscaler.
        if error.status == HTTPStatus.FORBIDDEN or error.is_unknown_path:
            return None
        raise


def _uids(objects: Sequence[JSON]) -> set[str]:
    return {each["metadata"]["uid"] for each in objects}


def _matters(event: JSON, known: set[str], watched: set[str]) -> bool:
    """About the cluster or its own, or a warning about a pod: that pods start is no news."""
    return event["involvedObject"].get("uid") in (watched if event.get("type") == "Warning" else known)
