"""`gen`: resources as YAML, for `kubectl apply -f -`. No requests."""

from typing import Any

import click

from dask_k8s_client.aliases import JSON
from dask_k8s_client.cli import build
from dask_k8s_client.cli.parameters import bounded, check_bounds, cluster_like, job_like, output
from dask_k8s_client.cli.printing import print_objects
from dask_k8s_client.cli.running import plainly
from dask_k8s_client.cli.where import namespace, said


@click.group()
def gen() -> None:
    """Print a resource as YAML, for kubectl apply."""


def _print(manifest: JSON, form: str | None) -> None:
    if place := said().namespace:
        manifest = manifest | {"metadata": manifest["metadata"] | {"namespace": place}}
    print_objects([manifest], form or "yaml")


@gen.command()
@click.argument("name", required=False)
@click.option("--name", "old_name", hidden=True)
@cluster_like
@output("yaml", "json")
@namespace
def cluster(*, name: str | None, old_name: str | None, output: str | None, **words: Any) -> None:
    """Print a DaskCluster."""
    chosen = name or old_name
    if chosen is None:
        raise click.UsageError("Missing argument 'NAME'.")
    with plainly():
        manifest = build.cluster(chosen, None, words).manifest
    _print(manifest, output)


@gen.command()
@click.argument("name")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@job_like
@output("yaml", "json")
@namespace
def job(*, name: str, command: tuple[str, ...], output: str | None, **words: Any) -> None:
    """Print a DaskJob: gen job my-job -- python work.py."""
    with plainly():
        manifest = build.job(name, command, words)
    _print(manifest, output)


@gen.command()
@click.argument("cluster", metavar="NAME")
@bounded
@output("yaml", "json")
@namespace
def autoscaler(*, cluster: str, minimum: int, maximum: int | None, output: str | None) -> None:
    """Print a DaskAutoscaler for the cluster NAME."""
    check_bounds(minimum, maximum)
    with plainly():
        manifest = build.autoscaler(cluster, minimum, maximum)
    _print(manifest, output)
