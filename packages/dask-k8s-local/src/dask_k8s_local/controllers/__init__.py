"""The controllers of the control plane.

They watch and write the store, and know neither HTTP nor processes.
"""

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
    """Run all controllers until cancelled; `quotas` is also used by the API server."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(GarbageCollector(store, resources, api.delete).run())
        tasks.create_task(NamespaceController(store, resources, api.delete).run())
        tasks.create_task(serviceaccounts.run(store, certificate))
        tasks.create_task(quotas.run())
        tasks.create_task(endpointslices.run(store))
        tasks.create_task(JobController(store, api).run())
