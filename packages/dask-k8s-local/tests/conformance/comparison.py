"""Runs a sequence of requests on an API server, and makes its answers comparable."""

import json
import re
import time
from dataclasses import dataclass, field
from typing import Any

from .conftest import Api
from .random_requests import Step

_TIMES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_PLACEHOLDER = re.compile(r"\$(namespace|group|n|version|first|uid)(?![a-z])")
_ADDRESS = re.compile(r"^(10|127)\.\d+\.\d+\.\d+$")
_GROUPS = {"leases": "/apis/coordination.k8s.io/v1", "jobs": "/apis/batch/v1"}
_BY_COLLECTOR = {"foregroundDeletion", "orphan"}
"""Finalizers that the garbage collector removes some time later."""
_NODE_PORTS = range(30000, 32768)


@dataclass(frozen=True)
class Outcome:
    """What is compared."""

    code: int
    reason: str
    causes: tuple[tuple[str, str], ...]
    object: Any
    warnings: tuple[str, ...] = ()
    message: str = field(default="", compare=False)
    """For people who read a difference; `test_errors` compares messages."""


class Session:
    """One sequence on one server; `number` makes names unique."""

    def __init__(self, api: Api, namespace: str, number: str, group: str) -> None:
        self.api = api
        self._namespace = namespace
        self._number = number
        self._group = group
        self._known: dict[str, dict[str, str]] = {}
        """Versions and uid of objects, by their path."""
        self._symbols: dict[str, str] = {}

    def run(self, step: Step) -> Outcome:
        """Send a request and return what is to be compared."""
        path = self._path(step)
        known = self._known.get(_object_path(path), {})
        body = None if step.body is None else json.loads(self._fill(json.dumps(step.body), known))
        query = {key: self._fill(value, known) for key, value in step.query.items()}
        answer = self.api(step.method, path, body, content_type=step.content_type, **query)
        self._learn(path, answer.body)
        if step.method == "DELETE":
            self._wait_for_collector(path, answer.body)
        found = answer.body if isinstance(answer.body, dict) else {}
        is_status = found.get("kind") == "Status"
        details = found.get("details") or {} if is_status else {}
        causes = sorted((one.get("reason", ""), one.get("field", "")) for one in details.get("causes") or ())
        warnings = tuple(sorted(answer.headers.get_all("Warning") or ()))
        return Outcome(
            answer.status,
            found.get("reason", "") if is_status else "",
            tuple(causes),
            None if is_status else self._normal(found),
            warnings,
            found.get("message", "") if is_status else "",
        )

    def stored(self, step: Step) -> Any:
        """Return the object that a step is about, or None; of a collection, the object `a`."""
        path = _object_path(self._path(step))
        if path.count("/") % 2:  # an object has one part more than its collection
            path = f"{path}/a-{self._number}"
        answer = self.api.get(path)
        return self._normal(answer.body) if answer.status == 200 else None

    def _path(self, step: Step) -> str:
        path = step.path.replace("$n", self._number)
        if path.startswith("/"):
            return path
        group = {**_GROUPS, "things": f"/apis/{self._group}/v1"}.get(path.partition("/")[0], "/api/v1")
        return f"{group}/namespaces/{self._namespace}/{path}"

    def _fill(self, text: str, known: dict[str, str]) -> str:
        values = {"namespace": self._namespace, "group": self._group, "n": self._number}
        for key in ("version", "first", "uid"):
            values[key] = known.get(key, "1")
        return _PLACEHOLDER.sub(lambda match: values[match[1]], text)

    def _learn(self, path: str, body: Any) -> None:
        metadata = body.get("metadata") if isinstance(body, dict) else None
        if not metadata or "uid" not in metadata:
            return
        path = _object_path(path)
        if path.rpartition("/")[2] != metadata["name"]:
            path = f"{path}/{metadata['name']}"
        known = self._known.setdefault(path, {})
        known["uid"] = metadata["uid"]
        if version := metadata.get("resourceVersion"):  # none in the answer to a dry run
            known["version"] = version
            known.setdefault("first", version)

    def _wait_for_collector(self, path: str, body: Any) -> None:
        """Wait until the garbage collector has removed its finalizers, as it does some time later."""
        items = body.get("items") if isinstance(body, dict) else None
        for obj in items if items is not None else [body]:
            metadata = obj.get("metadata") or {} if isinstance(obj, dict) else {}
            if _BY_COLLECTOR.intersection(metadata.get("finalizers") or ()):
                where = path if items is None else f"{path}/{metadata['name']}"
                deadline = time.monotonic() + 30
                while _BY_COLLECTOR.intersection(_finalizers(self.api.get(where).body)):
                    assert time.monotonic() < deadline, f"{where} keeps its finalizers"
                    time.sleep(0.01)  # there is no event to wait for

    # ---- what differs between any two servers

    def _symbol(self, kind: str, value: str) -> str:
        """Return a name for a value: equal values have equal names."""
        count = sum(name.startswith(kind) for name in self._symbols.values())
        return self._symbols.setdefault(f"{kind}:{value}", f"{kind}{count}")

    def _normal(self, value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: self._normal(item, name) for name, item in self._without(value).items()}
        if isinstance(value, list):
            if key == "managedFields":
                value = sorted(value, key=lambda entry: json.dumps({**entry, "time": ""}, sort_keys=True))
            return [self._normal(item, key) for item in value]
        if isinstance(value, str):
            return self._text(value, key)
        if key == "nodePort" and value in _NODE_PORTS:
            return "(port)"
        return value

    def _text(self, value: str, key: str) -> str:
        if key in {"resourceVersion", "uid", "controller-uid", "batch.kubernetes.io/controller-uid"}:
            return self._symbol("uid" if "uid" in key else "version", value)
        if key in {"clusterIP", "clusterIPs"} and _ADDRESS.match(value):
            return self._symbol("address", value)
        if key in {"creationTimestamp", "deletionTimestamp", "time", "lastTransitionTime"}:
            return _TIMES.sub("(time)", value)
        generated = re.match(r"(g-.*-)\w{5}$|(G)\w{5}$", value)
        return (generated[1] or generated[2]) + "(name)" if generated and key == "name" else value

    @staticmethod
    def _without(value: dict[str, Any]) -> dict[str, Any]:
        if value.get("kind") == "Job" and "spec" in value:  # its controller reports in the status at any time
            value = {key: item for key, item in value.items() if key != "status"}
            metadata = {key: item for key, item in value["metadata"].items() if key != "resourceVersion"}
            if "managedFields" in metadata:
                metadata["managedFields"] = [
                    entry for entry in metadata["managedFields"] if entry.get("subresource") != "status"
                ]
            value["metadata"] = metadata
        if str(value.get("kind", "")).endswith("List") and "items" in value:
            metadata = {**value["metadata"], "resourceVersion": ""}
            if metadata.get("continue"):
                metadata["continue"] = "(more)"
            return {**value, "metadata": metadata}
        return value


def _object_path(path: str) -> str:
    for suffix in ("/status", "/scale"):
        path = path.removesuffix(suffix)
    return path


def _finalizers(body: Any) -> list[str]:
    return (body.get("metadata") or {}).get("finalizers") or []
