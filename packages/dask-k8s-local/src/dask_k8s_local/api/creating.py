"""What a controller creates, by the way that requests go. No HTTP."""

from __future__ import annotations

from dask_k8s_local.api import errors
from dask_k8s_local.api.errors import ApiError
from dask_k8s_local.api.registry import Registry
from dask_k8s_local.api.request import Request
from dask_k8s_local.controllers.doors import Forbidden, Refused
from dask_k8s_local.resources import Resource
from dask_k8s_local.store import Object, StoreError


def create(registry: Registry, resource: Resource, namespace: str, body: Object) -> Object:
    """Create an object, or raise Refused."""
    served = registry.catalog.find(resource.group, resource.version, resource.plural)
    if served is None:
        raise Refused(errors.no_such_resource().message)
    query = {"fieldManager": "kube-controller-manager"}
    request = Request("POST", served, namespace, "", "", query)
    try:
        return registry.create(request, body)
    except (ApiError, Forbidden, StoreError) as error:
        raise Refused(str(error)) from None
