"""`gen`: resources as YAML for ``kubectl apply -f -``, and their builders for other commands. No requests."""

from collections.abc import Mapping, Sequence
from typing import Any

import click
from click.core import ParameterSource

from dask_k8s_client.arguments import JSON, whole_seconds
from dask_k8s_client.cli import parameters
from dask_k8s_client.cli.output import print_objects
from dask_k8s_client.cli.running import reporting_errors
from dask_k8s_client.exceptions import admit
from dask_k8s_client.options import Options
from dask_k8s_client.scaling import autoscaler_spec
from dask_k8s_client.specs.manifests import make_job_spec, make_unowned_autoscaler
from dask_k8s_crds import DaskJob

_OF_CLUSTER = ("n_workers", "resources", "worker_command", "scheduler_resources")
"""Options of `run` for a cluster that the job makes."""


def build_cluster(name: str, namespace: str | None, values: Mapping[str, Any]) -> Options:
    """Return what KubeCluster would create from the options of a command."""
    arguments = _arguments(values) | {"name": name, "namespace": namespace, "create_mode": "CREATE_ONLY"}
    return Options.from_arguments(arguments)


def build_job(name: str, command: Sequence[str], values: Mapping[str, Any]) -> JSON:
    """Return a DaskJob from the options of a command; it runs once, and again for each retry."""
    arguments = _arguments(values)
    retries, ttl = arguments.pop("retries"), arguments.pop("ttl", None)
    cluster = arguments.pop("cluster", None)
    if cluster is not None:
        arguments.pop("n_workers")
        if conflicts := [each for each in _OF_CLUSTER if is_explicit(each)]:
            problem = f"{flags(conflicts)} is for one of its own"
            raise click.UsageError(f"--cluster runs the job on a cluster that is there; {problem}")
    if ttl is not None:
        arguments["ttlSecondsAfterFinished"] = whole_seconds("ttl", ttl)
    manifest = make_job_spec(name, command, cluster_name=cluster, backoffLimit=retries, **arguments)
    # One pod for each attempt, so that the log of a failed attempt remains.
    manifest["spec"]["job"]["spec"]["restartPolicy"] = "Never"
    admit(DaskJob, manifest)
    return manifest


def is_explicit(parameter: str) -> bool:
    """Return whether a parameter is on the command line and not a default."""
    source = click.get_current_context().get_parameter_source(parameter)
    return source not in (ParameterSource.DEFAULT, None)


def flags(names: Sequence[str]) -> str:
    """Return the names of parameters as they are written on the command line."""
    return ", ".join(f"--{each.replace('_', '-')}" for each in names)


def _arguments(values: Mapping[str, Any]) -> dict[str, Any]:
    arguments = {key: value for key, value in values.items() if value is not None and value is not False}
    for name in ("env", "labels", "annotations"):
        arguments[name] = dict(arguments.get(name, ()))
    repeatable = ("env", "labels", "annotations", "image_pull_secrets")
    return {key: value for key, value in arguments.items() if value or key not in repeatable}


@click.group()
def gen() -> None:
    """Print a resource as YAML, for kubectl apply."""


def _print(manifest: JSON, form: str | None) -> None:
    if namespace := parameters.target().namespace:
        manifest = manifest | {"metadata": manifest["metadata"] | {"namespace": namespace}}
    print_objects([manifest], form or "yaml")


@gen.command("cluster")
@click.argument("name", required=False)
@click.option("--name", "old_name", hidden=True)
@parameters.cluster_options
@parameters.output_option("yaml", "json")
@parameters.namespace_option
def gen_cluster(*, name: str | None, old_name: str | None, output: str | None, **values: Any) -> None:
    """Print a DaskCluster."""
    if (chosen := name or old_name) is None:
        raise click.UsageError("Missing argument 'NAME'.")
    with reporting_errors():
        manifest = build_cluster(chosen, None, values).manifest
    _print(manifest, output)


@gen.command("job")
@click.argument("name")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@parameters.job_options
@parameters.output_option("yaml", "json")
@parameters.namespace_option
def gen_job(*, name: str, command: tuple[str, ...], output: str | None, **values: Any) -> None:
    """Print a DaskJob: gen job my-job -- python work.py."""
    with reporting_errors():
        manifest = build_job(name, command, values)
    _print(manifest, output)


@gen.command("autoscaler")
@click.argument("cluster", metavar="NAME")
@parameters.bounds_options
@parameters.output_option("yaml", "json")
@parameters.namespace_option
def gen_autoscaler(*, cluster: str, minimum: int, maximum: int | None, output: str | None) -> None:
    """Print a DaskAutoscaler for the cluster NAME."""
    parameters.check_bounds(minimum, maximum)
    with reporting_errors():
        spec = autoscaler_spec(cluster, minimum=minimum, maximum=maximum)
    _print(make_unowned_autoscaler(cluster, spec), output)
