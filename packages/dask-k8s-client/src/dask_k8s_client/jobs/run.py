"""Jobs from Python: submitted, followed to their end. How they are run is decided elsewhere."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from dask_k8s_client.aliases import JSON
from dask_k8s_client.api.requests import Api, World
from dask_k8s_client.api.resources import JOBS, Among
from dask_k8s_client.api.watching import until
from dask_k8s_client.durations import Duration, seconds
from dask_k8s_client.jobs.logs import show
from dask_k8s_client.options import load_spec, place
from dask_k8s_client.refusals import admit, doing
from dask_k8s_client.waiting.diagnose import CONTROLLER_PATIENCE
from dask_k8s_crds import DaskJob, DaskJobStatus

T = TypeVar("T")

_LAST_WORDS = 10.0
"""So many seconds the last lines of a log may take after the end."""
_ENDS = {"Complete", "Failed"}


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
    """Pods of the client that have failed."""
    pod: str | None
    """The last pod of the client, which stays for its logs."""
    start_time: datetime | None
    end_time: datetime | None


def run_job(
    job: Mapping[str, Any] | str | os.PathLike[str],
    *,
    namespace: str | None = None,
    timeout: Duration | None = None,
    log: Callable[[str], object] = print,
) -> JobOutcome:
    """Submit a ``DaskJob``, follow what its client prints, and return how it ended.

    Interrupted or out of time, it leaves the job running; ``kubectl delete daskjob`` ends that.

    Args:
        job: A ``DaskJob`` as ``make_job_spec`` gives it, or the path of a YAML file with one.
        namespace: By default that of the job, of the kubeconfig's context, or of the pod we run in.
        timeout: How long to wait: a number of seconds or a text such as ``"1 hour"``; for ever by default.
        log: Is given each line that the client prints.

    Raises:
        ValidationError: a spec that Kubernetes refuses.
        ValueError: there is a job of this name.
        TimeoutError: it has not ended by then.
        PermissionError: we may not.
        RuntimeError: no Kubernetes is configured, nobody runs jobs there, or the job was deleted.
    """
    manifest = load_spec(job, what="job", kind="DaskJob")
    name, namespace = place(manifest, namespace, what="job")
    admit(DaskJob, manifest)
    limit = None if timeout is None else seconds("timeout", timeout)
    return _run(_connect_and_submit(manifest, name, namespace, limit, log))


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    # In a notebook, whose loop runs us and cannot wait for us.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


async def _connect_and_submit(
    manifest: JSON, name: str, namespace: str | None, limit: float | None, log: Callable[[str], object]
) -> JobOutcome:
    api = await Api.connect()
    where = namespace or api.access.namespace
    try:
        async with asyncio.timeout(limit):
            return await submit(api, where, manifest, log)
    except TimeoutError:
        late = f"the job {name} in the namespace {where} has not ended within {limit:.0f} s; it goes on"
        raise TimeoutError(late) from None
    finally:
        await api.close()


async def submit(api: Api, namespace: str, manifest: JSON, log: Callable[[str], object]) -> JobOutcome:
    """Create a job, give `log` each line that its client prints, and return how it ended."""
    name = manifest["metadata"]["name"]
    with doing(f"run the job {name} in the namespace {namespace}"):
        created = await api.create(JOBS, namespace, manifest)
        return await _follow(api, created, log)


async def _follow(api: Api, job: JSON, log: Callable[[str], object]) -> JobOutcome:
    metadata = job["metadata"]
    name, namespace = metadata["name"], metadata["namespace"]
    status = DaskJobStatus()

    def look(world: World) -> DaskJobStatus:
        nonlocal status
        found = world.get(name)
        if found is None or found["metadata"]["uid"] != metadata["uid"]:
            raise RuntimeError(f"the job {name} in the namespace {namespace} was deleted")
        status = DaskJobStatus.model_validate(found.get("status") or {})
        return status

    def ended(world: World) -> JobOutcome | None:
        return _outcome(name, namespace, look(world))

    among = Among.named(name)
    await _seen(until(api, JOBS, namespace, among, lambda world: look(world).job_status), name, namespace)
    showing = asyncio.create_task(show(api, job, lambda: status, log))
    try:
        outcome = await until(api, JOBS, namespace, among, ended)
        await asyncio.wait({showing}, timeout=_LAST_WORDS)
        return outcome
    finally:
        showing.cancel()
        with suppress(asyncio.CancelledError):
            await showing


async def _seen(first: Coroutine[Any, Any, str], name: str, namespace: str) -> None:
    try:
        async with asyncio.timeout(CONTROLLER_PATIENCE) as patience:
            await first
    except TimeoutError:
        if not patience.expired():
            raise
        raise RuntimeError(
            f"nobody has seen the job {name} in the namespace {namespace} for {CONTROLLER_PATIENCE:.0f} s:"
            " is there a controller (dask-k8s-controller run), and dask-k8s-job beside it?"
        ) from None


def _outcome(name: str, namespace: str, status: DaskJobStatus) -> JobOutcome | None:
    end = next((each for each in status.conditions if each.type in _ENDS and each.status == "True"), None)
    if end is None:
        return None
    return JobOutcome(
        name=name,
        namespace=namespace,
        succeeded=end.type == "Complete",
        reason=end.reason,
        message=end.message,
        failures=status.failures or 0,
        pod=status.job_runner_pod_name,
        start_time=status.start_time,
        end_time=status.end_time,
    )
