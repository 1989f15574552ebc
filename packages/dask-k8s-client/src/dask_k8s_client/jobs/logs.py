"""What the client of a job prints, line by line, across its restarts and its pods."""

import asyncio
import logging
from collections.abc import Callable

from dask_k8s_client.aliases import JSON
from dask_k8s_client.api.log_stream import Life, copy, lives
from dask_k8s_client.api.requests import Api
from dask_k8s_client.api.resources import PODS
from dask_k8s_client.exceptions import ApiError
from dask_k8s_crds import DaskJobStatus

logger = logging.getLogger("dask_k8s_client")

_LOOK_SECONDS = 0.5


async def show(
    api: Api, job: JSON, status: Callable[[], DaskJobStatus], log: Callable[[str], object]
) -> None:
    """Give `log` each line that the job's containers print, until the job, by its `status`, has ended."""
    namespace = job["metadata"]["namespace"]
    container = job["spec"]["job"]["spec"]["containers"][0]["name"]
    shown: set[str] = set()
    while True:
        now = status()  # before looking: what was printed until the end is still shown
        try:
            found = await _lives(api, namespace, now.job_runner_pod_name, container)
            if new := [life for life in found if life.id not in shown]:
                shown.add(new[0].id)
                await copy(api, new[0], log)
                continue
        except ApiError as error:
            logger.warning("the logs of the job %s cannot be shown: %s", job["metadata"]["name"], error)
            return
        if now.end_time is not None:
            return
        await asyncio.sleep(_LOOK_SECONDS)


async def _lives(api: Api, namespace: str, pod: str | None, container: str) -> list[Life]:
    found = await api.get(PODS, namespace, pod) if pod else None
    return list(lives(found, lambda name: name == container)) if found else []
