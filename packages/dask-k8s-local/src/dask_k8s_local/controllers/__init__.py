"""The control loops of a bare cluster: each watches the store and writes to it. No HTTP, no processes."""

import asyncio

from dask_k8s_local.controllers import endpointslices, serviceaccounts
from dask_k8s_local.controllers.client import ApiClient, ServedResources
from dask_k8s_local.controllers.garbage import GarbageCollector
from dask_k8s_local.controllers.jobs import JobController
from dask_k8s_local.controllers.namespaces import NamespaceController
from dask_k8s_local.controllers.quota import Quotas
from dask_k8s_local.store import Store


async def run_all(
    store: Store, resources: ServedResources, api: ApiClient, quotas: Quotas, certificate: str | None = None
) -> None:
    """Run every controller until cancelled. `quotas` are those that the API server asks."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(GarbageCollector(store, resources, api.delete).run())
        tasks.create_task(NamespaceController(store, resources, api.delete).run())
        tasks.create_task(serviceaccounts.run(store, certificate))
        tasks.create_task(quotas.run())
        tasks.create_task(endpointslices.run(store))
        tasks.create_task(JobController(store, api).run())
