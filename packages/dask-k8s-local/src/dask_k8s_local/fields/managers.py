"""Field managers: reads and writes `metadata.managedFields`, and implements server-side apply."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from dask_k8s_local.fields import sets
from dask_k8s_local.fields.sets import Fields
from dask_k8s_local.schema.node import MISSING, Node
from dask_k8s_local.store import timestamp

Object = Mapping[str, Any]

_ANYTHING = Node()

_SERVERS_METADATA = frozenset({
    "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation",
    "managedFields", "name", "namespace", "resourceVersion", "selfLink", "uid",
})  # fmt: skip
"""Fields that the server sets, which have no owner."""
_NOT_STATUS = frozenset({"apiVersion", "kind", "metadata", "spec"})
_NOT_SPEC = frozenset({"apiVersion", "kind", "metadata", "status"})


class ApplyConflict(Exception):
    """Other managers own fields of the applied configuration, with other values."""

    def __init__(self, conflicts: list[tuple["Manager", str]]) -> None:
        self.conflicts = conflicts
        super().__init__(self._message())

    def _message(self) -> str:
        if len(self.conflicts) == 1:
            ((manager, path),) = self.conflicts
            return f"Apply failed with 1 conflict: conflict with {manager}: {path}"
        lines = []
        for name in sorted({str(manager) for manager, _ in self.conflicts}):
            lines.append(f"conflicts with {name}:")
            lines += [f"- {path}" for manager, path in self.conflicts if str(manager) == name]
        return f"Apply failed with {len(self.conflicts)} conflicts: " + "\n".join(lines)


@dataclass(frozen=True)
class Manager:
    """A field manager: a client, its operation and the subresource."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""
    time: str = ""

    def __str__(self) -> str:
        text = f'"{self.name}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        if self.operation == "Update":
            text += f" using {self.api_version}"
        return text

    def is_same(self, other: Self) -> bool:
        """Return whether both have the same entry in `managedFields`."""
        return (self.name, self.operation, self.subresource) == (
            other.name,
            other.operation,
            other.subresource,
        )


Owners = list[tuple[Manager, Fields]]


def read(obj: Object) -> Owners:
    """Return the managers of an object and their fields."""
    return [
        (
            Manager(
                entry.get("manager", ""),
                entry.get("operation", "Update"),
                entry.get("apiVersion", ""),
                entry.get("subresource", ""),
                entry.get("time", ""),
            ),
            entry.get("fieldsV1") or {},
        )
        for entry in obj["metadata"].get("managedFields") or ()
        if entry
    ]


def write(owners: Owners) -> list[dict[str, Any]]:
    """Return `managedFields`."""
    entries = []
    for manager, fields in sorted(owners, key=_order):
        if not fields:
            continue
        entry = {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": manager.api_version,
            "time": manager.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": fields,
        }
        entries.append(entry | ({"subresource": manager.subresource} if manager.subresource else {}))
    return entries


def _order(owner: tuple[Manager, Fields]) -> tuple[str, ...]:
    manager = owner[0]
    return manager.operation, manager.time, manager.name, manager.api_version, manager.subresource


def after_create(node: Node, obj: Object, manager: Manager) -> Owners:
    """Return the owners of a new object: its creator owns everything but the status."""
    mine: Fields = {}
    for key, value in _ownable(obj, manager).items():
        child = node.properties.get(key, _ANYTHING)
        fields = sets.added(child, value)
        if key == "metadata" or (child.name and child.properties):
            _disown_zero(child, fields)
            if not fields:
                continue
        mine[f"f:{key}"] = fields
    return [(_now(manager), mine)]


def _disown_zero(node: Node, fields: Fields) -> None:
    """Remove fields that Go writes for an empty struct, such as `spec` and `spec.containers` themselves."""
    fields.pop(".", None)
    for key in node.required:
        fields.get(f"f:{key}", {}).pop(".", None)


def after_update(node: Node, old: Object, new: Object, owners: Owners, manager: Manager) -> Owners:
    """Return the owners after an update: the manager becomes the only owner of the fields that it changes."""
    more, less = sets.changed(node, _ownable(old, manager), _ownable(new, manager))
    if not more and not less:
        return owners
    lost = sets.union(more, less)
    own = _of(manager, owners)
    others = [
        (other, sets.difference(fields, lost)) for other, fields in owners if not manager.is_same(other)
    ]
    return [*others, (_now(manager), sets.union(sets.difference(own, less), more))]


def _ownable(obj: Object, manager: Manager) -> dict[str, Any]:
    """Return the parts of an object that a manager can own."""
    hidden = _NOT_STATUS if manager.subresource == "status" else _NOT_SPEC
    ownable = {key: value for key, value in obj.items() if key not in hidden}
    if manager.subresource != "status":
        metadata = obj.get("metadata") or {}
        ownable["metadata"] = {key: value for key, value in metadata.items() if key not in _SERVERS_METADATA}
    return ownable


def apply(
    node: Node, live: Object, applied: Object, manager: Manager, *, force: bool
) -> tuple[dict[str, Any], Owners]:
    """Merge a configuration into an object; fields that the manager no longer applies are removed.

    Fields that other managers own with another value are a conflict; with `force`, they change their owner.
    """
    owners = read(live)
    mine = sets.of(node, _ownable(applied, manager))
    if not mine.get("f:metadata", True):
        del mine["f:metadata"]  # the configuration contains only a name
    others = [(other, fields) for other, fields in owners if not manager.is_same(other)]
    conflicts_found = _conflicting(node, live, applied, mine, others)
    if conflicts_found and not force:
        raise ApplyConflict([(others[index][0], sets.render(path)) for index, path in conflicts_found])
    for index, path in conflicts_found:
        other, fields = others[index]
        others[index] = (other, sets.difference(fields, _as_fields(path)))
    before = _of(manager, owners)
    removed = sets.difference(before, mine)
    for _, fields in others:
        removed = _without(removed, fields)
    kept = sets.remove(node, live, removed) if removed else dict(live)
    merged = merge(node, {} if kept is MISSING else kept, applied)
    known = next((other for other, _ in owners if manager.is_same(other)), None)
    return merged, [*others, (known if known and mine == before else _now(manager), mine)]


def _of(manager: Manager, owners: Owners) -> Fields:
    return next((fields for other, fields in owners if manager.is_same(other)), {})


def _conflicting(
    node: Node, live: Object, applied: Object, mine: Fields, others: Owners
) -> list[tuple[int, tuple[str, ...]]]:
    found = []
    for index, (_, fields) in enumerate(others):
        for path in sets.leaves(sets.intersection(mine, fields)):
            child, applied_items = sets.find(node, applied, path)
            _, present = sets.find(node, live, path)
            whole = sets.children(child, applied_items) is None or sets.children(child, present) is None
            if whole and present is not MISSING and applied_items != present:
                found.append((index, path))
    return found


def _as_fields(path: tuple[str, ...]) -> Fields:
    fields: Fields = {}
    for element in reversed(path):
        fields = {element: fields}
    return fields


def _without(removed: Fields, owned: Fields) -> Fields:
    """Return the removed fields without those that another manager owns, or that contain such fields."""
    result: Fields = {}
    for key, inner in removed.items():
        if key not in owned:
            result[key] = inner
            continue
        rest = _without({k: v for k, v in inner.items() if k != "."}, owned[key])
        if rest:
            result[key] = rest
    return result


def merge(node: Node, live: Any, applied: Any) -> Any:
    """Merge applied values into live ones."""
    if isinstance(live, dict) and isinstance(applied, dict) and not node.atomic:
        fields = {key: node.properties.get(key) or node.additional or Node() for key in applied}
        return {**live, **{key: merge(fields[key], live.get(key), item) for key, item in applied.items()}}
    if isinstance(live, list) and isinstance(applied, list) and node.list_type in {"map", "set"}:
        return _merge_items(node, live, applied)
    return applied


def _merge_items(node: Node, live: list[Any], applied: list[Any]) -> list[Any]:
    """Merge lists: common items follow the order of the configuration, and new ones are appended."""
    applied_items = {sets.element_key(node, item): item for item in applied}
    present = {sets.element_key(node, item): item for item in live}
    shared = (key for key in applied_items if key in present)
    items = node.items or Node()
    order = [next(shared) if key in applied_items else key for key in present]
    order += [key for key in applied_items if key not in present]
    return [
        merge(items, present.get(key), applied_items[key]) if key in applied_items else present[key]
        for key in order
    ]


def _now(manager: Manager) -> Manager:
    return Manager(manager.name, manager.operation, manager.api_version, manager.subresource, timestamp())
