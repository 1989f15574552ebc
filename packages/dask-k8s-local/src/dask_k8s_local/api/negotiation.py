"""Content negotiation: responses as complete objects or as a Table. Contains no columns of any kind."""

import re
from collections.abc import Callable, Iterable, Sequence

from dask_k8s_local import json_text
from dask_k8s_local.api import errors, printer_columns, printers
from dask_k8s_local.api.catalog import Served
from dask_k8s_local.store import Stored

JSON = "application/json"

_AS = re.compile(r"(?:^|;)\s*as=(\w+)")
_META = "meta.k8s.io/v1"


class Encoder:
    """Encodes complete objects."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.resource = served.resource

    def single(self, obj: Stored) -> bytes:
        """Return an object as JSON."""
        return obj.json

    def list(self, objects: Sequence[Stored], metadata: dict[str, object]) -> bytes:
        """Return a list as JSON; like Kubernetes, items of built-in kinds have no `kind` and `apiVersion`."""
        kind, version = self.resource.list_kind, self.resource.api_version
        head = json_text.dumps({"kind": kind, "apiVersion": version, "metadata": metadata})[:-1]
        cut = 0 if self.served.schema else len(self._head()) - 1
        items = b",".join(b"{" + obj.json[cut + 1 :] for obj in objects)
        return head + b',"items":[' + items + b"]}"

    def event(self, kind: str, obj: Stored) -> bytes:
        """Return a watch event as a line of JSON."""
        return b'{"type":"%s","object":%s}\n' % (kind.encode(), self.single(obj))

    def bookmark(self, version: int, annotations: dict[str, str] | None = None) -> bytes:
        """Return a bookmark event."""
        metadata: dict[str, object] = {"resourceVersion": str(version)}
        if annotations:
            metadata["annotations"] = annotations
        body: dict[str, object] = {"metadata": metadata}
        if not self.served.schema:
            body |= _ZERO.get(self.resource.key, {})
        return self.event(
            "BOOKMARK", Stored({"kind": self.resource.kind, "apiVersion": self.resource.api_version, **body})
        )

    def _head(self) -> bytes:
        return (
            json_text.dumps({"kind": self.resource.kind, "apiVersion": self.resource.api_version})[:-1] + b","
        )


_ZERO: dict[str, dict[str, object]] = {
    "pods": {"spec": {"containers": None}, "status": {}},
    "services": {"spec": {}, "status": {"loadBalancer": {}}},
}
"""Fields that Go writes in an empty object, which clients expect in bookmarks."""


class TableEncoder(Encoder):
    """Encodes the rows and columns that `kubectl get` prints."""

    def __init__(self, served: Served, include: str, *, watching: bool) -> None:
        super().__init__(served)
        self._include = include
        self._columns = printers.columns(served)
        self._has_definitions = not watching
        self._now = printer_columns.now()

    def single(self, obj: Stored) -> bytes:
        """Return a Table with one row."""
        return self.list([obj], {"resourceVersion": obj["metadata"]["resourceVersion"]})

    def list(self, objects: Sequence[Stored], metadata: dict[str, object]) -> bytes:
        """Return a Table."""
        return json_text.dumps(
            {
                "kind": "Table",
                "apiVersion": _META,
                "metadata": metadata,
                "columnDefinitions": printer_columns.definitions(self._columns),
                "rows": list(self._rows(objects)),
            }
        )

    def event(self, kind: str, obj: Stored) -> bytes:
        """Return a watch event; only the first one has `columnDefinitions`."""
        metadata = {"resourceVersion": obj["metadata"]["resourceVersion"]}
        self._now = printer_columns.now()
        table: dict[str, object] = {
            "kind": "Table",
            "apiVersion": _META,
            "metadata": metadata,
            "columnDefinitions": None
            if self._has_definitions
            else printer_columns.definitions(self._columns),
            "rows": list(self._rows([obj])),
        }
        self._has_definitions = True
        return b'{"type":"%s","object":%s}\n' % (kind.encode(), json_text.dumps(table))

    def _rows(self, objects: Iterable[Stored]) -> Iterable[dict[str, object]]:
        for obj in objects:
            row: dict[str, object] = {"cells": [column.cell(obj, self._now) for column in self._columns]}
            if self._include in {"Object", "None"}:
                row["object"] = obj if self._include == "Object" else None
            else:
                partial = {"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": obj["metadata"]}
                row["object"] = partial
            yield row


def negotiate(served: Served, accept: str, include: str, *, watching: bool) -> Encoder:
    """Return the encoder for the first media type in `Accept` that is supported."""
    if not accept or accept == JSON:
        return Encoder(served)
    for media in accept.split(","):
        kind = media.partition(";")[0].strip()
        if kind not in {JSON, "*/*", "application/*", "application/yaml"}:
            continue
        match = _AS.search(media)
        make = _ENCODERS.get(match[1] if match else "")
        if make is not None:
            return make(served, include, watching)
    # clients that ask for protobuf only also read JSON, because they look at the content type
    if "application/vnd.kubernetes.protobuf" in accept:
        return Encoder(served)
    raise errors.not_acceptable()


_ENCODERS: dict[str, Callable[[Served, str, bool], Encoder]] = {
    "": lambda served, _, __: Encoder(served),
    "Table": lambda served, include, watching: TableEncoder(served, include, watching=watching),
}
