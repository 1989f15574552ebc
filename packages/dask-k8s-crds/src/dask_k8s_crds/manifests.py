"""CustomResourceDefinitions, made from the models."""

from typing import Any

from dask_k8s_crds.autoscaler import DaskAutoscaler
from dask_k8s_crds.cluster import DaskCluster
from dask_k8s_crds.custom_resource import Column, CustomResource, Scale
from dask_k8s_crds.job import DaskJob
from dask_k8s_crds.workergroup import DaskWorkerGroup

_AGE = Column("Age", ".metadata.creationTimestamp", "date")

MODELS: tuple[type[CustomResource], ...] = (DaskCluster, DaskWorkerGroup, DaskAutoscaler, DaskJob)


def crds() -> list[dict[str, Any]]:
    """Return the CustomResourceDefinitions of all our kinds."""
    return [crd(model) for model in MODELS]


def crd(model: type[CustomResource]) -> dict[str, Any]:
    """Return the CustomResourceDefinition of one kind. It shares parts with others, so do not mutate it."""
    resource = model.resource
    scale = {"scale": _scale(model.scale)} if model.scale else {}
    # An API server drops an empty list, after which every `kubectl apply` would find a difference.
    short = {"shortNames": list(resource.short_names)} if resource.short_names else {}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": resource.full_name},
        "spec": {
            "group": resource.group,
            "scope": "Namespaced",
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": resource.singular,
                "categories": ["dask"],
                **short,
            },
            "versions": [
                {
                    "name": resource.version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": model.structural_schema()},
                    "subresources": {"status": {}, **scale},
                    "additionalPrinterColumns": [_column(column) for column in (*model.columns, _AGE)],
                }
            ],
        },
    }


def _column(column: Column) -> dict[str, Any]:
    priority = {"priority": column.priority} if column.priority else {}
    return {"name": column.name, "type": column.type, "jsonPath": column.path, **priority}


def _scale(scale: Scale) -> dict[str, str]:
    return {
        "specReplicasPath": scale.desired,
        "statusReplicasPath": scale.actual,
        "labelSelectorPath": scale.selector,
    }
