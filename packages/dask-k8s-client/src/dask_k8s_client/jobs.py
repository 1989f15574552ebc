"""Jobs from Python: submit a ``DaskJob`` and follow it to its end. The controller runs it."""

import asyncio
import logging
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
from dask_k8s_client.diagnosis import CONTROLLER_PATIENCE, with_hints
from dask_k8s_client.exceptions import admit, explaining
from dask_k8s_client.logs import Log, follow_job
from dask_k8s_client.options import identity, load_spec
from dask_k8s_crds import DaskJob, DaskJobStatus
from dask_k8s_crds.conditions import find
from dask_k8s_crds.resources import DASK_JOBS

logger = logging.getLogger("dask_k8s_client")

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

    If it is interrupted or times out, the job goes on; ``kubectl delete daskjob`` ends it. While something
    keeps the job from running, such as a quota, the logger ``dask_k8s_client`` warns of it.

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
            about = f"the job {name} in the namespace {where}"
            trouble = ""

            def warn(message: str) -> None:
                nonlocal trouble
                trouble = message
                if message:
                    logger.warning("%s waits: %s", about, message)

            try:
                async with asyncio.timeout(limit) as running:
                    return await submit(api, where, manifest, log, warn)
            except TimeoutError as error:
                if not running.expired():
                    raise
                late = f"{about} has not ended within {limit or 0:.0f} s; it goes on"
                raise TimeoutError(f"{late}; it waits: {trouble}" if trouble else late) from error

    return _run(connect_and_submit())


def _run(work: Coroutine[Any, Any, JobOutcome]) -> JobOutcome:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    # A notebook: its loop runs this code and cannot run `work` at the same time.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


async def submit(api: Api, namespace: str, manifest: JSON, log: Log, report: Log) -> JobOutcome:
    """Create a job, pass each line that its client prints to `log`, and return how it ended.

    `report` is called with what keeps the job from running, each time that this changes; empty: nothing.
    """
    name = manifest["metadata"]["name"]
    with explaining(f"run the job {name} in the namespace {namespace}"):
        created = await api.create(DASK_JOBS, namespace, manifest)
        return await _follow(api, created, log, report)


async def _follow(api: Api, job: JSON, log: Log, report: Log) -> JobOutcome:
    metadata = job["metadata"]
    name, namespace = metadata["name"], metadata["namespace"]
    status, trouble = DaskJobStatus(), ""

    def parse(objects: Objects) -> DaskJobStatus:
        nonlocal status, trouble
        present = objects.get(name)
        if present is None or present["metadata"]["uid"] != metadata["uid"]:
            raise RuntimeError(f"the job {name} in the namespace {namespace} was deleted")
        status = DaskJobStatus.of(present)
        before, trouble = trouble, _trouble(status)
        if trouble != before:
            report(trouble)
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


async def until_ended(api: Api, job: JSON) -> None:
    """Wait until a job has ended or is deleted."""
    name, namespace = job["metadata"]["name"], job["metadata"]["namespace"]

    def ended(objects: Objects) -> bool | None:
        present = objects.get(name)
        over = present is None or DaskJobStatus.of(present).end_time is not None
        return True if over else None

    await until(api, DASK_JOBS, namespace, Selector.named(name), ended)


def _trouble(status: DaskJobStatus) -> str:
    """Return what keeps a job from running, as its status says; empty if nothing does."""
    degraded = find(status.conditions, "Degraded")
    if degraded is None or degraded.status != "True":
        return ""
    return f"{degraded.reason}: {with_hints(degraded.message)}"


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
