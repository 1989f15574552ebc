"""`run`: a command as a job, followed to its end."""

from contextlib import ExitStack
from http import HTTPStatus
from typing import Any

import click

from dask_k8s_client.api.requests import Api
from dask_k8s_client.cli import build, running
from dask_k8s_client.cli.parameters import job_like
from dask_k8s_client.cli.printing import console
from dask_k8s_client.cli.where import where
from dask_k8s_client.exceptions import ApiError
from dask_k8s_client.jobs.run import JobOutcome, submit


@click.command()
@click.argument("name")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@job_like
@where
def run(*, name: str, command: tuple[str, ...], **words: Any) -> None:
    """Run a command as a job, on a cluster for the length of it: run my-job -- python work.py.

    Prints what the command prints, and exits with 0 if it succeeded and with 1 if it did not. Interrupted, it
    leaves the job running.
    """
    with running.plainly():
        manifest = build.job(name, command, words)
    with ExitStack() as until_it_speaks:
        until_it_speaks.enter_context(console(stderr=True).status(f"waiting for the job {name} …"))

        def log(line: str) -> None:
            until_it_speaks.close()
            click.echo(line)

        where_it_runs = None

        async def work(api: Api, namespace: str) -> JobOutcome:
            nonlocal where_it_runs
            where_it_runs = namespace
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
            until_it_speaks.close()
            if where_it_runs is None:
                raise
            end = f"`kubectl delete daskjob {name} -n {where_it_runs}` ends it"
            raise click.ClickException(f"interrupted; the job {name} goes on, {end}.") from None
    where_it_is = f"the job {name} in the namespace {outcome.namespace}"
    if not outcome.succeeded:
        logs = f"\n`kubectl logs {outcome.pod} -n {outcome.namespace}` has its log." if outcome.pod else ""
        raise click.ClickException(f"{where_it_is} failed: {outcome.reason}: {outcome.message}{logs}")
    click.echo(f"{where_it_is} succeeded", err=True)
