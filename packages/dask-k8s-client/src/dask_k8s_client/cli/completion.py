"""Names of clusters for the shell's Tab key."""

import asyncio

import click

from dask_k8s_client.api.access import Login
from dask_k8s_client.api.requests import Api
from dask_k8s_client.api.resources import CLUSTERS
from dask_k8s_client.cli.where import said

_PATIENCE = 1.0


async def names(ctx: click.Context) -> list[str]:
    """Those of the clusters in the namespace that the words before say."""
    here = said(ctx)
    async with asyncio.timeout(_PATIENCE):
        api = await Api.connect(Login(here.kubeconfig, here.context))
        try:
            found = await api.every(CLUSTERS, here.namespace or api.access.namespace)
        finally:
            await api.close()
    return sorted(each["metadata"]["name"] for each in found)
