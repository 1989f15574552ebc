"""`run`: a command as a job, followed to its end."""

from contextlib import ExitStack
from http import HTTPStatus
from typing import Any

import click

from dask_k8s_client.api.requests import Api
from dask_k8s_client.cli import running
from dask_k8s_client.cli.gen import build_job
from dask_k8s_client.cli.output import console
from dask_k8s_client.cli.parameters import job_options, target_options
from dask_k8s_client.jobs import JobOutcome, submit
from dask_k8s_crds.api_errors import ApiError


@click.command()
@click.argument("name")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@job_options
@target_options
def run(*, name: str, command: tuple[str, ...], **parameters: Any) -> None:
    """Run a command as a job, on a cluster for the length of it: run my-job -- python work.py.

    Prints what the command prints, and exits with 0 if it succeeded and with 1 if it did not. Interrupted, it
    leaves the job running.
    """
    with running.reporting_errors():
        manifest = build_job(name, command, parameters)
    with ExitStack() as spinner:
        spinner.enter_context(console(stderr=True).status(f"waiting for the job {name} …"))

        def log(line: str) -> None:
            spinner.close()
            click.echo(line)

        job_namespace = None

        async def work(api: Api, namespace: str) -> JobOutcome:
            nonlocal job_namespace
            job_namespace = namespace
            try:
                return await submit(api, namespace, manifest, log)
            except ValueError as error:
                if isinstance(error.__cause__, ApiError) and error.__cause__.status == HTTPStatus.CONFLICT:
                    end = f"`kubectl delete daskjob {name} -n {namespace}`"
                    raise click.ClickException(f"{error}\n{end} deletes the old one.") from error
                raise

        try:
            outcome = running.run(work)
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
