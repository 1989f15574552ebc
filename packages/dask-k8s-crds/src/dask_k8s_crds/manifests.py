"""CustomResourceDefinitions, made from the models. What a field means stands with the model."""

from typing import Any

from dask_k8s_crds.autoscaler import DaskAutoscaler
from dask_k8s_crds.cluster import DaskCluster
from dask_k8s_crds.job import DaskJob
from dask_k8s_crds.resource import Column, Resource, Scale
from dask_k8s_crds.workergroup import DaskWorkerGroup

_AGE = Column("Age", ".metadata.creationTimestamp", "date")

MODELS: tuple[type[Resource], ...] = (DaskCluster, DaskWorkerGroup, DaskAutoscaler, DaskJob)


def crds() -> list[dict[str, Any]]:
    """Return the manifests of all our kinds."""
    return [crd(model) for model in MODELS]


def crd(model: type[Resource]) -> dict[str, Any]:
    """Return the manifest of one kind; its parts are shared, so do not change it."""
    kind = model.kind
    scale = {"scale": _scale(model.scale)} if model.scale else {}
    # No empty list: an API server drops it, and then every `kubectl apply` finds a difference.
    short = {"shortNames": list(kind.short_names)} if kind.short_names else {}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.crd_name},
        "spec": {
            "group": kind.group,
            "scope": "Namespaced",
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.singular,
                **short,
            },
            "versions": [
                {
                    "name": kind.version,
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
