"""How an answer is written: whole objects (made once), their metadata only, or rows of a Table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import orjson

from dask_k8s_local.api import errors, rows, tables
from dask_k8s_local.api.catalog import Served
from dask_k8s_local.store import Stored

JSON = "application/json"

_AS = re.compile(r"(?:^|;)\s*as=(\w+)")
_META = "meta.k8s.io/v1"


class View:
    """Whole objects."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.resource = served.resource

    def one(self, obj: Stored) -> bytes:
        """Write an object."""
        return obj.json

    def list(self, objects: Sequence[Stored], metadata: dict[str, object]) -> bytes:
        """Write a list. Items of built-in kinds do not repeat kind and version, as Go does not."""
        kind, version = self.resource.list_kind, self.resource.api_version
        head = orjson.dumps({"kind": kind, "apiVersion": version, "metadata": metadata})[:-1]
        cut = 0 if self.served.schema else len(self._head()) - 1
        items = b",".join(b"{" + obj.json[cut + 1 :] for obj in objects)
        return head + b',"items":[' + items + b"]}"

    def event(self, kind: str, obj: Stored) -> bytes:
        """Write a line of a watch."""
        return b'{"type":"%s","object":%s}\n' % (kind.encode(), self.one(obj))

    def bookmark(self, version: int, annotations: dict[str, str] | None = None) -> bytes:
        """Write the line that says how far a watch has come."""
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
        return orjson.dumps({"kind": self.resource.kind, "apiVersion": self.resource.api_version})[:-1] + b","


_ZERO: dict[str, dict[str, object]] = {
    "pods": {"spec": {"containers": None}, "status": {}},
    "services": {"spec": {}, "status": {"loadBalancer": {}}},
}


class Table(View):
    """Rows with the columns that `kubectl get` prints."""

    def __init__(self, served: Served, include: str, *, watching: bool) -> None:
        super().__init__(served)
        self._include = include
        self._columns = rows.columns(served)
        self._described = not watching
        self._now = tables.now()

    def one(self, obj: Stored) -> bytes:
        """Write a table of one row."""
        return self.list([obj], {"resourceVersion": obj["metadata"]["resourceVersion"]})

    def list(self, objects: Sequence[Stored], metadata: dict[str, object]) -> bytes:
        """Write a table."""
        return orjson.dumps(
            {
                "kind": "Table",
                "apiVersion": _META,
                "metadata": metadata,
                "columnDefinitions": tables.definitions(self._columns),
                "rows": list(self._rows(objects)),
            }
        )

    def event(self, kind: str, obj: Stored) -> bytes:
        """Write a line of a watch; only the first says what the columns are."""
        metadata = {"resourceVersion": obj["metadata"]["resourceVersion"]}
        self._now = tables.now()
        table: dict[str, object] = {
            "kind": "Table",
            "apiVersion": _META,
            "metadata": metadata,
            "columnDefinitions": None if self._described else tables.definitions(self._columns),
            "rows": list(self._rows([obj])),
        }
        self._described = True
        return b'{"type":"%s","object":%s}\n' % (kind.encode(), orjson.dumps(table))

    def _rows(self, objects: Iterable[Stored]) -> Iterable[dict[str, object]]:
        for obj in objects:
            row: dict[str, object] = {"cells": [column.cell(obj, self._now) for column in self._columns]}
            if self._include in {"Object", "None"}:
                row["object"] = obj if self._include == "Object" else None
            else:
                partial = {"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": obj["metadata"]}
                row["object"] = partial
            yield row


def choose(served: Served, accept: str, include: str, *, watching: bool) -> View:
    """Return the first of the accepted forms that there is."""
    if not accept or accept == JSON:
        return View(served)
    for media in accept.split(","):
        kind = media.partition(";")[0].strip()
        if kind not in {JSON, "*/*", "application/*", "application/yaml"}:
            continue
        match = _AS.search(media)
        make = _VIEWS.get(match[1] if match else "")
        if make is not None:
            return make(served, include, watching)
    # a client that prefers protobuf takes JSON (it reads the content type), whatever it says
    if "application/vnd.kubernetes.protobuf" in accept:
        return View(served)
    raise errors.not_acceptable()


_VIEWS: dict[str, Callable[[Served, str, bool], View]] = {
    "": lambda served, _, __: View(served),
    "Table": lambda served, include, watching: Table(served, include, watching=watching),
}
