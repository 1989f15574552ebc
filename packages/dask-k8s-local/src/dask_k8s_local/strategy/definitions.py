"""CustomResourceDefinitions: defaults of names, and the rules that people run into."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from dask_k8s_local.schema import problems
from dask_k8s_local.schema.problems import Problem
from dask_k8s_local.strategy import names, structural
from dask_k8s_local.strategy.base import Object, Strategy, count_generation

_SCOPES = ("Cluster", "Namespaced")


class Definitions(Strategy):
    """CustomResourceDefinitions."""

    unconditional_update = False

    def decode(self, obj: Object) -> tuple[Object, list[str]]:
        """Fill in names."""
        decoded, unknown = super().decode({**obj, "spec": {} if obj.get("spec") is None else obj["spec"]})
        spec = decoded["spec"]
        if (kind := (spec.get("names") or {}).get("kind")) is not None:
            spec["names"].setdefault("singular", kind.lower())
            spec["names"].setdefault("listKind", f"{kind}List")
            spec.setdefault("conversion", {"strategy": "None"})
        return decoded, unknown

    def prepare_create(self, obj: Object) -> None:
        """Begin at the first generation."""
        obj["metadata"]["generation"] = 1
        stored = [item.get("name", "") for item in obj["spec"].get("versions") or () if item.get("storage")]
        nothing = {"plural": "", "kind": ""}
        obj["status"] = {"conditions": None, "acceptedNames": nothing, "storedVersions": stored}

    def prepare_update(self, obj: Object, old: Object) -> None:
        """Count changes."""
        super().prepare_update(obj, old)
        count_generation(obj, old)

    def validate(self, obj: Object) -> Iterator[Problem]:
        """Judge names and versions."""
        spec = obj.get("spec") or {}
        named = spec.get("names") or {}
        full = f"{named.get('plural', '')}.{spec.get('group', '')}"
        if obj["metadata"]["name"] != full:
            words = 'must be spec.names.plural+"."+spec.group'
            yield problems.invalid("metadata.name", obj["metadata"]["name"], words)
        if not spec.get("group"):
            yield problems.required("spec.group")
        elif "." not in spec["group"]:
            yield problems.invalid("spec.group", spec["group"], "should be a domain with at least one dot")
        if spec.get("scope") not in _SCOPES:
            yield problems.not_supported("spec.scope", spec.get("scope", ""), _SCOPES)
        for key in ("plural", "singular", "kind", "listKind"):
            text = named.get(key, "")
            checked = names.label_1035(text.lower()) if text else []
            yield from (problems.invalid(f"spec.names.{key}", text, words) for words in checked)
            if not text:
                yield problems.required(f"spec.names.{key}")
        yield from _versions(spec.get("versions") or [])

    def validate_update(self, obj: Object, old: Object) -> Iterable[Problem]:
        """Keep what objects in the store depend on."""
        for key in ("group", "scope"):
            if obj["spec"].get(key) != old["spec"].get(key):
                yield problems.invalid(f"spec.{key}", obj["spec"].get(key), "field is immutable")
        for key in ("kind", "plural"):
            named = (obj["spec"].get("names") or {}).get(key)
            if named != old["spec"]["names"].get(key):
                yield problems.invalid(f"spec.names.{key}", named, "field is immutable")
        yield from self.validate(obj)


def _versions(versions: list[Any]) -> Iterator[Problem]:
    stored = sum(bool(version.get("storage")) for version in versions)
    if stored != 1:
        words = "must have exactly one version marked as storage version"
        yield problems.invalid("spec.versions", versions, words)
    seen: set[str] = set()
    schemas = [(version.get("schema") or {}).get("openAPIV3Schema") for version in versions]
    shared = schemas[0] if schemas and all(schema == schemas[0] for schema in schemas) else None
    for index, version in enumerate(versions):
        path = f"spec.versions[{index}]"
        name = version.get("name", "")
        yield from (problems.invalid(f"{path}.name", name, words) for words in names.label_1035(name))
        if name in seen:
            yield problems.invalid("spec.versions", versions, "must contain unique version names")
        seen.add(name)
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is None:
            yield problems.required(f"{path}.schema.openAPIV3Schema")
        elif shared is None:
            yield from structural.judge(schema, f"{path}.schema.openAPIV3Schema")
    if shared is not None:
        yield from structural.judge(shared, "spec.validation.openAPIV3Schema")
