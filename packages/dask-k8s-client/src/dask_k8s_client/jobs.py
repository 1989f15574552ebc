"""Jobs from Python: submit a ``DaskJob`` and follow it to its end. The controller runs it."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from dask_k8s_client.api.requests import Api, Objects, Selector
from dask_k8s_client.api.watching import until
from dask_k8s_client.arguments import JSON, Duration, Spec, seconds
from dask_k8s_client.diagnosis import CONTROLLER_PATIENCE
from dask_k8s_client.exceptions import admit, explaining
from dask_k8s_client.logs import Log, follow_job
from dask_k8s_client.options import identity, load_spec
from dask_k8s_client.waiting import time_limit
from dask_k8s_crds import DaskJob, DaskJobStatus
from dask_k8s_crds.resources import DASK_JOBS

_LAST_LINES_SECONDS = 10.0
"""How long the last lines of a log may take after the end of the job."""
_FINAL_CONDITIONS = {"Complete", "Failed"}


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """How a job ended."""

    name: str
    namespace: str
    succeeded: bool
    reason: str
    """Such as ``BackoffLimitExceeded``, ``DeadlineExceeded`` or ``ClusterFailed``."""
    message: str
    failures: int
    """How many pods of the client have failed."""
    pod: str | None
    """The last pod of the client, which remains for its logs."""
    start_time: datetime | None
    end_time: datetime | None


def run_job(
    job: Spec,
    *,
    namespace: str | None = None,
    timeout: Duration | None = None,
    log: Callable[[str], object] = print,
) -> JobOutcome:
    """Submit a ``DaskJob``, follow what its client prints, and return how it ended.

    If it is interrupted or times out, the job goes on; ``kubectl delete daskjob`` ends it.

    Args:
        job: A ``DaskJob`` as ``make_job_spec`` returns it, or the path of a YAML file with one.
        namespace: By default that of the job, of the kubeconfig's context, or of the pod we run in.
        timeout: How long to wait: a number of seconds or a text such as ``"1 hour"``; forever by default.
        log: Called with each line that the client prints.

    Raises:
        ValidationError: Kubernetes refuses the spec.
        ValueError: A job of this name exists.
        TimeoutError: The job has not ended in time.
        PermissionError: A permission is missing.
        RuntimeError: No Kubernetes is configured, no controller runs jobs there, or the job was deleted.
    """
    manifest = load_spec(job, argument="job", kind="DaskJob")
    name, namespace = identity(manifest, namespace, argument="job")
    admit(DaskJob, manifest)
    limit = None if timeout is None else seconds("timeout", timeout)

    async def connect_and_submit() -> JobOutcome:
        async with Api.connected() as api:
            where = namespace or api.access.namespace
            late = (
                f"the job {name} in the namespace {where} has not ended within {limit or 0:.0f} s; it goes on"
            )
            async with time_limit(limit, late):
                return await submit(api, where, manifest, log)

    return _run(connect_and_submit())


def _run(work: Coroutine[Any, Any, JobOutcome]) -> JobOutcome:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    # A notebook: its loop runs this code and cannot run `work` at the same time.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


async def submit(api: Api, namespace: str, manifest: JSON, log: Log) -> JobOutcome:
    """Create a job, pass each line that its client prints to `log`, and return how it ended."""
    name = manifest["metadata"]["name"]
    with explaining(f"run the job {name} in the namespace {namespace}"):
        created = await api.create(DASK_JOBS, namespace, manifest)
        return await _follow(api, created, log)


async def _follow(api: Api, job: JSON, log: Log) -> JobOutcome:
    metadata = job["metadata"]
    name, namespace = metadata["name"], metadata["namespace"]
    status = DaskJobStatus()

    def parse(objects: Objects) -> DaskJobStatus:
        nonlocal status
        present = objects.get(name)
        if present is None or present["metadata"]["uid"] != metadata["uid"]:
            raise RuntimeError(f"the job {name} in the namespace {namespace} was deleted")
        status = DaskJobStatus.of(present)
        return status

    selector = Selector.named(name)
    try:
        async with asyncio.timeout(CONTROLLER_PATIENCE) as patience:
            await until(api, DASK_JOBS, namespace, selector, lambda objects: parse(objects).job_status)
    except TimeoutError:
        if not patience.expired():
            raise
        raise RuntimeError(
            f"nobody has seen the job {name} in the namespace {namespace} for {CONTROLLER_PATIENCE:.0f} s:"
            " is there a controller (dask-k8s-controller run), and dask-k8s-job beside it?"
        ) from None
    following = asyncio.create_task(follow_job(api, job, lambda: status, log))
    try:
        outcome = partial(_outcome, name, namespace)
        ended = await until(api, DASK_JOBS, namespace, selector, lambda objects: outcome(parse(objects)))
        await asyncio.wait({following}, timeout=_LAST_LINES_SECONDS)
        return ended
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


def _outcome(name: str, namespace: str, status: DaskJobStatus) -> JobOutcome | None:
    final = (each for each in status.conditions if each.type in _FINAL_CONDITIONS and each.status == "True")
    condition = next(final, None)
    if condition is None:
        return None
    return JobOutcome(
        name=name,
        namespace=namespace,
        succeeded=condition.type == "Complete",
        reason=condition.reason,
        message=condition.message,
        failures=status.failures or 0,
        pod=status.job_runner_pod_name,
        start_time=status.start_time,
        end_time=status.end_time,
    )
