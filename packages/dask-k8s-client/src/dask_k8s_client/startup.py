"""The start of a cluster: create or find the resource, and wait for its scheduler."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from http import HTTPStatus

from dask_k8s_client import exceptions
from dask_k8s_client.api.requests import Api, Selector
from dask_k8s_client.api.watching import Watches
from dask_k8s_client.arguments import JSON, CreateMode
from dask_k8s_client.diagnosis import CONTROLLER_PATIENCE, Diagnosis, diagnose
from dask_k8s_client.logs import container_log
from dask_k8s_client.observed import Observed, is_owned, located, scheduler_pods_of
from dask_k8s_client.options import Options
from dask_k8s_client.progress import Deadline
from dask_k8s_crds import names
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.hints import hint
from dask_k8s_crds.resources import DASK_CLUSTERS, EVENTS, PODS

_LOG_LINES = 20
_LOG_SECONDS = 5
_EXCEPTIONS: dict[str, type[Exception]] = {
    "CrashLoopBackOff": exceptions.CrashLoopBackOffError,
    "InvalidSpec": exceptions.ValidationError,
    "NoController": exceptions.SchedulerStartupTimeout,
}
"""The exception for the reason of a diagnosis."""


async def create_or_connect(api: Api, namespace: str, options: Options) -> tuple[JSON, bool]:
    """Return the DaskCluster, and whether this call has created it."""
    mode, name = options.create_mode, options.name
    action = "create"
    try:
        if mode is not CreateMode.CONNECT_ONLY:
            metadata = options.manifest["metadata"] | {"namespace": namespace}
            created = await _create(api, namespace, options.manifest | {"metadata": metadata})
            if created is not None:
                return created, True
            if mode is CreateMode.CREATE_ONLY:
                raise exceptions.NameTaken(
                    f"there is a DaskCluster {name} in the namespace {namespace} already"
                )
        action = "read"
        cluster = await api.get(DASK_CLUSTERS, namespace, name)
    except ApiError as error:
        raise exceptions.explained(
            error, f"{action} the DaskCluster {name} in the namespace {namespace}"
        ) from error
    if cluster is None:
        raise ValueError(f"there is no DaskCluster {name} in the namespace {namespace}")
    return cluster, False


async def _create(api: Api, namespace: str, manifest: JSON) -> JSON | None:
    """Create a DaskCluster; return None if one of this name exists."""
    try:
        return await api.create(DASK_CLUSTERS, namespace, manifest)
    except ApiError as error:
        if error.status == HTTPStatus.CONFLICT and error.reason == "AlreadyExists":
            return None
        raise


async def until_ready(
    api: Api, cluster: JSON, deadline: Deadline, show: Callable[[Observed, Diagnosis | None], None]
) -> Observed:
    """Wait until the scheduler of a cluster is ready, and call `show` after each change.

    Raises:
        SchedulerStartupError, ValidationError: It cannot start, or not in time; the message says why.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    name, namespace = cluster["metadata"]["name"], cluster["metadata"]["namespace"]
    selectors = {
        DASK_CLUSTERS: Selector.named(name),
        PODS: scheduler_pods_of(cluster),
        EVENTS: Selector(fields=f"involvedObject.name={names.scheduler(name)}"),
    }
    async with aclosing(Watches(api, namespace, selectors)) as watches:
        while True:
            observed = _observe(cluster, watches)
            diagnosis = diagnose(observed, loop.time() - began)
            show(observed, diagnosis)
            if diagnosis is None:
                return observed
            if diagnosis.final:
                raise await _failure(api, cluster, diagnosis)
            if loop.time() >= deadline.at:
                raise await _failure(api, cluster, diagnosis, late=deadline)
            next_look = deadline.at
            if diagnosis.reason == "NoController":
                next_look = min(deadline.at, began + CONTROLLER_PATIENCE)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(next_look):
                    await watches.changed.wait()
            watches.changed.clear()


def _observe(cluster: JSON, watches: Watches) -> Observed:
    name, namespace, uid = (cluster["metadata"][key] for key in ("name", "namespace", "uid"))
    for resource, error in watches.refused.items():
        if error.status != HTTPStatus.FORBIDDEN or resource is DASK_CLUSTERS:
            raise exceptions.explained(
                error, f"watch {resource.plural} in the namespace {namespace}"
            ) from error
    present = watches.objects.get(DASK_CLUSTERS, {name: cluster}).get(name)
    if present is not None and present["metadata"]["uid"] != uid:
        present = None
    pods = watches.objects.get(PODS, {}).values()
    own_pods = tuple(each for each in pods if is_owned(each, uid))
    events = watches.objects.get(EVENTS, {}).values()
    in_order = sorted(events, key=lambda each: each.get("lastTimestamp") or each.get("eventTime") or "")
    # A user with no more permissions than for Dask's resources has only the cluster's status.
    return Observed(present, None if PODS in watches.refused else own_pods, tuple(in_order))


async def _failure(api: Api, cluster: JSON, diagnosis: Diagnosis, late: Deadline | None = None) -> Exception:
    within = f" within {late.seconds:.0f} s" if late else ""
    # The message begins as that of dask-kubernetes.
    message = f"Scheduler failed to start{within} in the cluster {located(cluster)}: {diagnosis.message}"
    reason = diagnosis.reason
    if diagnosis.message and reason not in diagnosis.message and reason != "NoController":
        message += f" ({reason})"
    if diagnosis.container is not None:
        log = await _last_log_lines(api, cluster, diagnosis.container)
        advice = hint({}, None, log)
        message += advice if advice not in message else ""
        message += f"\n\nThe last lines of its log:\n\n{log}" if log else ""
    default = exceptions.SchedulerStartupTimeout if late else exceptions.SchedulerStartupError
    return _EXCEPTIONS.get(reason, default)(message)


async def _last_log_lines(api: Api, cluster: JSON, container: str) -> str:
    """Return the last log lines of the scheduler, or nothing if they cannot be read quickly."""
    with suppress(ApiError, OSError):
        async with asyncio.timeout(_LOG_SECONDS):
            namespace = cluster["metadata"]["namespace"]
            for pod in await api.list_items(PODS, namespace, scheduler_pods_of(cluster)):
                name = pod["metadata"]["name"]
                if log := await container_log(api, namespace, name, container, _LOG_LINES):
                    return log
    return ""
