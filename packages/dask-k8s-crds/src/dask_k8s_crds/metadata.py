"""The metadata of objects: the fields that our packages read, owner references, metadata of children."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from dask_k8s_crds import labels
from dask_k8s_crds.model import Model, Strings
from dask_k8s_crds.resources import Resource
from dask_k8s_crds.templates import TemplateMetadata


class OwnerReference(Model):
    """A reference to an owner of an object."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False
    block_owner_deletion: bool = False


class ObjectMeta(Model):
    """The metadata of an object. Fields that the API server sets are empty in a new object."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    labels: Strings = Field(default={})
    annotations: Strings = Field(default={})
    generation: int | None = None
    resource_version: str = ""
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    owner_references: tuple[OwnerReference, ...] = ()

    @property
    def controller(self) -> OwnerReference | None:
        """The controlling owner, None if there is none."""
        return next((owner for owner in self.owner_references if owner.controller), None)


def owner_reference(resource: Resource, meta: ObjectMeta) -> dict[str, Any]:
    """Return an owner reference to the object `meta` of `resource` as the controller of a child."""
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": meta.name,
        "uid": meta.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def child_metadata(
    owner: tuple[Resource, ObjectMeta],
    name: str,
    template: TemplateMetadata,
    *,
    reserved: Mapping[str, str],
    defaults: Mapping[str, str] = labels.ISTIO_DEFAULT,
) -> dict[str, Any]:
    """Return the metadata of a child: labels and annotations of the owner, of the template, and ours.

    Those of the ``template`` in the spec override those of the owner. Labels of the owner for Kueue do not
    pass. Users can override the labels in ``defaults``, and not those in ``reserved``.
    """
    resource, meta = owner
    annotations = {**labels.inherited(meta.annotations), **template.annotations}
    return {
        "name": name,
        "namespace": meta.namespace,
        "labels": {**defaults, **labels.without_queue(meta.labels), **template.labels, **reserved},
        "annotations": {key: value for key, value in annotations.items() if key not in labels.BOOKKEEPING},
        "ownerReferences": [owner_reference(resource, meta)],
    }
