"""The strategy of CustomResourceDefinitions: default names; validation of names, versions and schemas."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dask_k8s_local.schema import problems
from dask_k8s_local.schema.problems import Problem
from dask_k8s_local.strategy import names
from dask_k8s_local.strategy.base import Object, Strategy, count_generation

_SCOPES = ("Cluster", "Namespaced")


class CustomResourceDefinitions(Strategy):
    """The strategy of CustomResourceDefinitions."""

    unconditional_update = False

    def decode(self, obj: Object) -> tuple[Object, list[str]]:
        """Decode the definition and set default names."""
        decoded, unknown = super().decode({**obj, "spec": {} if obj.get("spec") is None else obj["spec"]})
        spec = decoded["spec"]
        if (kind := (spec.get("names") or {}).get("kind")) is not None:
            spec["names"].setdefault("singular", kind.lower())
            spec["names"].setdefault("listKind", f"{kind}List")
            spec.setdefault("conversion", {"strategy": "None"})
        return decoded, unknown

    def prepare_create(self, obj: Object) -> None:
        """Set the first generation and the initial status."""
        obj["metadata"]["generation"] = 1
        stored = [item.get("name", "") for item in obj["spec"].get("versions") or () if item.get("storage")]
        nothing = {"plural": "", "kind": ""}
        obj["status"] = {"conditions": None, "acceptedNames": nothing, "storedVersions": stored}

    def prepare_update(self, obj: Object, old: Object) -> None:
        """Increase the generation if the spec has changed."""
        super().prepare_update(obj, old)
        count_generation(obj, old)

    def validate(self, obj: Object) -> Iterator[Problem]:
        """Validate names and versions."""
        spec = obj.get("spec") or {}
        named = spec.get("names") or {}
        full = f"{named.get('plural', '')}.{spec.get('group', '')}"
        if obj["metadata"]["name"] != full:
            message = 'must be spec.names.plural+"."+spec.group'
            yield problems.invalid("metadata.name", obj["metadata"]["name"], message)
        if not spec.get("group"):
            yield problems.required("spec.group")
        elif "." not in spec["group"]:
            yield problems.invalid("spec.group", spec["group"], "should be a domain with at least one dot")
        if spec.get("scope") not in _SCOPES:
            yield problems.not_supported("spec.scope", spec.get("scope", ""), _SCOPES)
        for key in ("plural", "singular", "kind", "listKind"):
            text = named.get(key, "")
            checked = names.label_1035(text.lower()) if text else []
            yield from (problems.invalid(f"spec.names.{key}", text, message) for message in checked)
            if not text:
                yield problems.required(f"spec.names.{key}")
        yield from _versions(spec.get("versions") or [])

    def validate_update(self, obj: Object, old: Object) -> Iterable[Problem]:
        """Validate a changed definition; group, scope, kind and plural are immutable."""
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
        message = "must have exactly one version marked as storage version"
        yield problems.invalid("spec.versions", versions, message)
    seen: set[str] = set()
    schemas = [(version.get("schema") or {}).get("openAPIV3Schema") for version in versions]
    shared = schemas[0] if schemas and all(schema == schemas[0] for schema in schemas) else None
    for index, version in enumerate(versions):
        path = f"spec.versions[{index}]"
        name = version.get("name", "")
        yield from (problems.invalid(f"{path}.name", name, message) for message in names.label_1035(name))
        if name in seen:
            yield problems.invalid("spec.versions", versions, "must contain unique version names")
        seen.add(name)
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is None:
            yield problems.required(f"{path}.schema.openAPIV3Schema")
        elif shared is None:
            yield from _schema(schema, f"{path}.schema.openAPIV3Schema")
    if shared is not None:
        yield from _schema(shared, "spec.validation.openAPIV3Schema")


_RULE = ("rule", "message", "messageExpression", "reason", "fieldPath", "optionalOldSelf")
_TEXTS = frozenset({"rule", "message", "messageExpression", "fieldPath"})


def _schema(schema: Mapping[str, Any], path: str, where: str = "at the root") -> Iterator[Problem]:
    """Validate a structural schema and its rules."""
    kind = schema.get("type")
    free = schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields")
    if not kind and not free:
        yield problems.required(f"{path}.type", f"must not be empty {where}")
    if kind == "array" and not schema.get("items"):
        yield problems.required(f"{path}.items", "must be specified")
    if schema.get("properties") and isinstance(schema.get("additionalProperties"), Mapping):
        message = "additionalProperties and properties are mutual exclusive"
        yield problems.forbidden(f"{path}.additionalProperties", message)
    yield from _rules(schema, path)
    for key, child in (schema.get("properties") or {}).items():
        yield from _schema(child, f"{path}.properties[{key}]", "for specified object fields")
    if isinstance(items := schema.get("items"), Mapping):
        yield from _schema(items, f"{path}.items", "for specified array items")
    if isinstance(additional := schema.get("additionalProperties"), Mapping):
        yield from _schema(additional, f"{path}.additionalProperties", "for specified object fields")


def _rules(schema: Mapping[str, Any], path: str) -> Iterator[Problem]:
    for index, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
        from dask_k8s_local.crd import cel  # noqa: PLC0415  # slow to import, and only needed for rules

        wrong = cel.compile_rule(rule.get("rule", "").strip())
        if wrong:
            shown = {key[0].upper() + key[1:]: rule.get(key, "" if key in _TEXTS else None) for key in _RULE}
            at = f"{path}.x-kubernetes-validations[{index}].rule"
            yield problems.invalid(at, shown, f"compilation failed: {wrong}")
