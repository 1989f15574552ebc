"""`create`, `scale`, `adapt`, `restart`, `delete`, `run`: the commands that change a cluster or run a job."""

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any

import click

from dask_k8s_client import scaling
from dask_k8s_client.api.requests import Api
from dask_k8s_client.arguments import JSON
from dask_k8s_client.cli import parameters
from dask_k8s_client.cli.gen import build_cluster, build_job, flags, is_explicit
from dask_k8s_client.cli.output import console, full_name, print_objects
from dask_k8s_client.cli.running import chosen_namespace, reporting_errors, run, run_on_cluster, start_timeout
from dask_k8s_client.deletion import delete_cluster, request_deletion, until_pods_deleted
from dask_k8s_client.exceptions import NameTaken, SchedulerStartupError, ValidationError
from dask_k8s_client.jobs import JobOutcome, submit
from dask_k8s_client.observed import located
from dask_k8s_client.options import Options, identity, parse_spec
from dask_k8s_client.progress import Deadline, Progress
from dask_k8s_client.sizing import Size
from dask_k8s_client.startup import create_or_connect, until_ready
from dask_k8s_client.waiting import time_limit
from dask_k8s_crds.api_errors import ApiError

_SCALING_TIMEOUT = 60.0
"""How long the group of a new cluster may take to appear, or an old autoscaler to disappear."""


@click.command()
@click.argument("name", required=False)
@click.option(
    "-f", "--filename", "file", type=click.File(encoding="utf-8"), help="YAML with a DaskCluster; - is stdin."
)
@parameters.cluster_options
@click.option("--wait", is_flag=True, help="Wait until the scheduler is ready, or say why it does not come.")
@parameters.duration_option("--timeout", help="How long --wait waits; 60 s by default.")
@parameters.output_option("json", "yaml", "name")
@parameters.target_options
def create(
    *,
    name: str | None,
    file: IO[str] | None,
    wait: bool,
    timeout: float | None,
    output: str | None,
    **values: Any,
) -> None:
    """Create a cluster, from a name and options or from a file."""
    with reporting_errors():
        options = _options(name, file, values)
    limit = None
    if wait:
        limit = start_timeout() if timeout is None else timeout

    async def work(api: Api, namespace: str) -> JSON:
        try:
            created, _ = await create_or_connect(api, namespace, options)
        except NameTaken as error:
            it = f"{options.name} -n {namespace}"
            hint = f"`dask kubernetes describe {it}` shows it, `dask kubernetes delete {it}` deletes it."
            raise click.ClickException(f"{error}\n{hint}") from error
        if not output:
            click.echo(f"{full_name(created)} created")
        return created if limit is None else await _until_ready(api, created, limit)

    cluster = run(work, options.namespace)
    if output:
        print_objects([cluster], output)
    elif wait:
        click.echo(f"{full_name(cluster)} is ready")


def _options(name: str | None, file: IO[str] | None, values: dict[str, Any]) -> Options:
    if (name is None) == (file is None):
        raise click.UsageError("either NAME or --filename is needed, and not both")
    if file is None:
        return build_cluster(name or "", chosen_namespace(), values)
    if others := [each for each in values if is_explicit(each)]:
        raise click.UsageError(f"--filename says it all; {flags(others)} would say it again")
    source = "stdin" if file.name in {"-", "<stdin>"} else Path(file.name).name
    try:
        manifest = parse_spec(file.read(), source)
    except UnicodeDecodeError as error:
        raise ValidationError(f"{source} is not YAML: {error}") from error
    _, namespace = identity(manifest, parameters.target().namespace, argument=source)
    return Options.from_arguments(
        {"custom_cluster_spec": manifest, "namespace": namespace, "create_mode": "CREATE_ONLY"}
    )


async def _until_ready(api: Api, cluster: JSON, limit: float) -> JSON:
    name, namespace = cluster["metadata"]["name"], cluster["metadata"]["namespace"]
    try:
        async with Progress(name, quiet=False, console=console(stderr=True)) as progress:
            observed = await until_ready(api, cluster, Deadline(limit), progress.show)
    except (SchedulerStartupError, ValidationError) as error:
        hint = f"`dask kubernetes describe {name} -n {namespace}` shows more"
        end = f"`dask kubernetes delete {name} -n {namespace}` deletes it"
        raise click.ClickException(f"{error}\nThe cluster stays: {hint}, {end}.") from error
    return observed.cluster or cluster


@click.command()
@parameters.cluster_name
@click.argument("n", type=click.IntRange(min=0))
@click.option(
    "--group",
    default=scaling.DEFAULT_GROUP,
    show_default=True,
    help="Worker group, by its name within the cluster.",
)
@parameters.target_options
def scale(*, name: str, n: int, group: str) -> None:
    """Set the number of workers of a group.

    That ends `adapt`: an autoscaler that scales this group is deleted first.
    """
    in_group = "" if group == scaling.DEFAULT_GROUP else f" in its group {group}"
    work = partial(scaling.scale, group=group, size=Size(n), timeout=_SCALING_TIMEOUT)
    _change(name, work, f"scaled to {n}{in_group}")


@click.command()
@parameters.cluster_name
@parameters.bounds_options
@parameters.target_options
def adapt(*, name: str, minimum: int, maximum: int | None) -> None:
    """Let a cluster have as many workers as its work needs, until it is scaled again."""
    parameters.check_bounds(minimum, maximum)
    with reporting_errors():
        spec = scaling.autoscaler_spec(name, minimum=minimum, maximum=maximum)
    work = partial(scaling.adapt, spec=spec, timeout=_SCALING_TIMEOUT)
    _change(name, work, f"adapts: {scaling.bounds(minimum, maximum)}")


@click.command()
@parameters.cluster_name
@click.option("--group", help="Worker group, by its name within the cluster; all of them by default.")
@parameters.target_options
def restart(*, name: str, group: str | None) -> None:
    """Replace the workers of a cluster by new pods, a few at a time.

    They hand over their data first, as with an edit of their template. The scheduler stays.
    """
    in_group = "" if group is None else f" in its group {group}"
    _change(name, partial(scaling.restart, group=group), f"restarts its workers{in_group}")


@click.command()
@parameters.cluster_name
@click.option("--wait", is_flag=True, help="Wait until the cluster and all of its pods are gone.")
@parameters.duration_option("--timeout", help="How long --wait waits; for ever by default.")
@parameters.target_options
def delete(*, name: str, wait: bool, timeout: float | None) -> None:
    """Delete a cluster, and everything that belongs to it."""

    async def work(api: Api, cluster: JSON) -> None:
        if not wait:
            await request_deletion(api, cluster)
            return
        late = f"pods of the DaskCluster {located(cluster)} are still there after {timeout or 0:g} s"
        async with time_limit(timeout, f"{late}; they go on to end"):
            await delete_cluster(api, cluster, timeout=None)
            await until_pods_deleted(api, cluster)

    _change(name, work, "deleted")


def _change(name: str, work: Callable[[Api, JSON], Awaitable[object]], done: str) -> None:
    """Run `work` with the API server and a cluster, and print what was done."""

    async def change(api: Api, cluster: JSON) -> str:
        await work(api, cluster)
        return full_name(cluster)

    click.echo(f"{run_on_cluster(name, change)} {done}")


@click.command("run")
@click.argument("name")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@parameters.job_options
@parameters.target_options
def run_job(*, name: str, command: tuple[str, ...], **values: Any) -> None:
    """Run a command as a job, on a cluster for the length of it: run my-job -- python work.py.

    Prints what the command prints, and exits with 0 if it succeeded and with 1 if it did not. Interrupted, it
    leaves the job running.
    """
    with reporting_errors():
        manifest = build_job(name, command, values)
    with ExitStack() as spinner:
        spinner.enter_context(console(stderr=True).status(f"waiting for the job {name} …"))

        def log(line: str) -> None:
            spinner.close()
            click.echo(line)

        def report(trouble: str) -> None:
            if trouble:
                click.echo(f"the job {name} waits: {trouble}", err=True)

        job_namespace = None

        async def work(api: Api, namespace: str) -> JobOutcome:
            nonlocal job_namespace
            job_namespace = namespace
            try:
                return await submit(api, namespace, manifest, log, report)
            except ValueError as error:
                if isinstance(error.__cause__, ApiError) and error.__cause__.status == HTTPStatus.CONFLICT:
                    end = f"`kubectl delete daskjob {name} -n {namespace}`"
                    raise click.ClickException(f"{error}\n{end} deletes the old one.") from error
                raise

        try:
            outcome = run(work)
        except KeyboardInterrupt:
            spinner.close()
            if job_namespace is None:
                raise
            end = f"`kubectl delete daskjob {name} -n {job_namespace}` ends it"
            raise click.ClickException(f"interrupted; the job {name} goes on, {end}.") from None
    subject = f"the job {name} in the namespace {outcome.namespace}"
    if not outcome.succeeded:
        logs = f"\n`kubectl logs {outcome.pod} -n {outcome.namespace}` has its log." if outcome.pod else ""
        raise click.ClickException(f"{subject} failed: {outcome.reason}: {outcome.message}{logs}")
    click.echo(f"{subject} succeeded", err=True)
