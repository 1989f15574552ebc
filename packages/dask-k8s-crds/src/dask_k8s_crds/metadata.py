"""`metadata` of objects, as much of it as anybody here reads. Our own fields live elsewhere."""

from datetime import datetime
from typing import Any

from pydantic import Field

from dask_k8s_crds.kinds import Kind
from dask_k8s_crds.model import Model, Strings


class OwnerReference(Model):
    """One owner of an object."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False
    block_owner_deletion: bool = False


class ObjectMeta(Model):
    """Who an object is. What only the API server fills in is empty before it did."""

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
        """The owner that answers for the object, if it has one."""
        return next((owner for owner in self.owner_references if owner.controller), None)


def owner_reference(kind: Kind, meta: ObjectMeta) -> dict[str, Any]:
    """For the metadata of a child: the object `meta` owns and controls it."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": meta.name,
        "uid": meta.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
