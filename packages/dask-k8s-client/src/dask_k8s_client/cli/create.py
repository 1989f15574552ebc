"""`create`, `delete`: the beginning and the end of a cluster."""

import asyncio
from pathlib import Path
from typing import IO, Any

import click
import dask.config

from dask_k8s_client.aliases import JSON
from dask_k8s_client.api.requests import Api
from dask_k8s_client.cli import build, find
from dask_k8s_client.cli.parameters import cluster_like, cluster_name, duration, output
from dask_k8s_client.cli.printing import console, full_name, print_objects
from dask_k8s_client.cli.running import namespace_said, plainly, run
from dask_k8s_client.cli.where import said, where
from dask_k8s_client.durations import seconds
from dask_k8s_client.exceptions import NameTaken, SchedulerStartupError, ValidationError
from dask_k8s_client.lifecycle.deletion import delete_cluster, request_deletion, until_empty
from dask_k8s_client.lifecycle.start import create_or_connect, until_ready
from dask_k8s_client.options import Options, parse_spec, place
from dask_k8s_client.waiting.deadline import Deadline
from dask_k8s_client.waiting.progress import Progress


@click.command()
@click.argument("name", required=False)
@click.option(
    "-f", "--filename", "file", type=click.File(encoding="utf-8"), help="YAML with a DaskCluster; - is stdin."
)
@cluster_like
@click.option("--wait", is_flag=True, help="Wait until the scheduler is ready, or say why it does not come.")
@click.option("--timeout", type=duration, metavar="DURATION", help="How long --wait waits; 60 s by default.")
@output("json", "yaml", "name")
@where
def create(
    *,
    name: str | None,
    file: IO[str] | None,
    wait: bool,
    timeout: float | None,
    output: str | None,
    **words: Any,
) -> None:
    """Create a cluster, from a name and options or from a file."""
    with plainly():
        options = _options(name, file, words)
    limit = _limit(timeout) if wait else None

    async def work(api: Api, namespace: str) -> JSON:
        try:
            made, _ = await create_or_connect(api, namespace, options)
        except NameTaken as error:
            it = f"{options.name} -n {namespace}"
            hint = f"`dask kubernetes describe {it}` shows it, `dask kubernetes delete {it}` deletes it."
            raise click.ClickException(f"{error}\n{hint}") from error
        if not output:
            click.echo(f"{full_name(made)} created")
        return made if limit is None else await _ready(api, made, limit)

    made = run(work, options.namespace)
    if output:
        print_objects([made], output)
    elif wait:
        click.echo(f"{full_name(made)} is ready")


def _options(name: str | None, file: IO[str] | None, words: dict[str, Any]) -> Options:
    if (name is None) == (file is None):
        raise click.UsageError("either NAME or --filename is needed, and not both")
    if file is None:
        return build.cluster(name or "", namespace_said(), words)
    if others := [each for each in words if build.is_said(each)]:
        raise click.UsageError(f"--filename says it all; {build.options(others)} would say it again")
    source = "stdin" if file.name in {"-", "<stdin>"} else Path(file.name).name
    try:
        manifest = parse_spec(file.read(), source)
    except UnicodeDecodeError as error:
        raise ValidationError(f"{source} is not YAML: {error}") from error
    _, namespace = place(manifest, said().namespace, what=source)
    return build.cluster_from(manifest, namespace)


def _limit(timeout: float | None) -> float:
    if timeout is not None:
        return timeout
    return seconds("kubernetes.resource-timeout", dask.config.get("kubernetes.resource-timeout"))


async def _ready(api: Api, made: JSON, limit: float) -> JSON:
    name, namespace = made["metadata"]["name"], made["metadata"]["namespace"]
    try:
        async with Progress(name, quiet=False, console=console(stderr=True)) as progress:
            observed = await until_ready(api, made, Deadline(limit), progress.show)
    except (SchedulerStartupError, ValidationError) as error:
        hint = f"`dask kubernetes describe {name} -n {namespace}` shows more"
        end = f"`dask kubernetes delete {name} -n {namespace}` deletes it"
        raise click.ClickException(f"{error}\nThe cluster stays: {hint}, {end}.") from error
    return observed.cluster or made


@click.command()
@cluster_name
@click.option("--wait", is_flag=True, help="Wait until the cluster and all of its pods are gone.")
@click.option(
    "--timeout", type=duration, metavar="DURATION", help="How long --wait waits; for ever by default."
)
@where
def delete(*, name: str, wait: bool, timeout: float | None) -> None:
    """Delete a cluster, and everything that belongs to it."""

    async def work(api: Api, namespace: str) -> JSON:
        cluster = await find.cluster(api, namespace, name)
        if not wait:
            await request_deletion(api, cluster)
            return cluster
        try:
            async with asyncio.timeout(timeout):
                await delete_cluster(api, cluster, timeout=None)
                await until_empty(api, cluster)
        except TimeoutError:
            late = f"pods of the DaskCluster {name} in the namespace {namespace} are still there"
            raise TimeoutError(f"{late} after {timeout:g} s; they go on to end") from None
        return cluster

    click.echo(f"{full_name(run(work))} deleted")
