"""LIST, complete or in chunks, and parameters that lists and watches share."""

import base64
from collections import OrderedDict
from dataclasses import dataclass

import orjson

from dask_k8s_local.api import errors, selectors
from dask_k8s_local.api.negotiation import Encoder
from dask_k8s_local.api.request import Request
from dask_k8s_local.store import Store, Stored, namespace_of

_SNAPSHOTS_MAX = 64
"""How many unfinished lists are kept for `continue`."""
_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. "
    "You can start a new list without the continue parameter."
)


@dataclass(frozen=True)
class _Rest:
    """The objects of an unfinished list that were not returned yet."""

    objects: list[Stored]
    version: int


class Lists:
    """Lists of objects; all chunks of a list come from the same snapshot."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rests: OrderedDict[str, _Rest] = OrderedDict()

    def list(self, request: Request, encoder: Encoder) -> bytes:
        """Return a list, or a chunk of it."""
        limit = max(number(request, "limit"), 0)
        number(request, "timeoutSeconds")  # rejects a malformed one
        token = request.query.get("continue", "")
        if token:
            rest = self._rest(token)
        else:
            version(request)  # rejects a malformed one
            rest = _Rest(select(self._store, request), self._store.version)
        metadata: dict[str, object] = {"resourceVersion": str(rest.version)}
        if request.served.schema:
            metadata["continue"] = ""
        objects = rest.objects
        if limit and len(objects) > limit:
            objects, later = objects[:limit], objects[limit:]
            metadata["continue"] = self._keep(_Rest(later, rest.version), objects[-1])
            if not request.query.get("labelSelector") and not request.query.get("fieldSelector"):
                metadata["remainingItemCount"] = len(later)
        return encoder.list(objects, metadata)

    def _keep(self, rest: _Rest, last: Stored) -> str:
        key = "/".join(filter(None, (namespace_of(last), last["metadata"]["name"])))
        text = orjson.dumps({"v": "meta.k8s.io/v1", "rv": rest.version, "start": f"{key}\0"})
        token = base64.urlsafe_b64encode(text).decode().rstrip("=")
        self._rests[token] = rest
        if len(self._rests) > _SNAPSHOTS_MAX:
            self._rests.popitem(last=False)
        return token

    def _rest(self, token: str) -> _Rest:
        rest = self._rests.get(token)
        if rest is None:
            raise errors.expired(_TOO_OLD)
        return rest


def select(store: Store, request: Request) -> list[Stored]:
    """Return the objects that match the namespace and selectors of a request."""
    resource = request.served.resource
    labels, fields = request.query.get("labelSelector", ""), request.query.get("fieldSelector", "")
    matches = selectors.selector(request.served, labels, fields)
    name = request.name or selectors.exact(fields, "metadata.name")
    if name and (request.namespace is not None or not resource.namespaced):
        found = store.get(resource, request.namespace, name)
        objects = [] if found is None else [found]
    else:
        objects = store.list(resource, request.namespace)
    return objects if matches is None else [obj for obj in objects if matches(obj)]


def number(request: Request, name: str) -> int:
    """Return a number in the query, or 0."""
    text = request.query.get(name) or "0"
    try:
        return int(text)
    except ValueError:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def version(request: Request) -> int | None:
    """Return the resourceVersion in the query, or None."""
    text = request.query.get("resourceVersion", "")
    if not text:
        return None
    if not text.isdecimal():
        why = f'Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        raise errors.bad_request(f"invalid resource version: resourceVersion: {why}")
    return int(text)
