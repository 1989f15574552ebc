"""Schemas of custom resources judged: every part says its type, and its rules can be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dask_k8s_local.schema import problems
from dask_k8s_local.schema.problems import Problem

_RULE = ("rule", "message", "messageExpression", "reason", "fieldPath", "optionalOldSelf")
_TEXTS = frozenset({"rule", "message", "messageExpression", "fieldPath"})


def judge(schema: Mapping[str, Any], path: str, where: str = "at the root") -> Iterator[Problem]:
    """Yield what is wrong with a schema."""
    kind = schema.get("type")
    free = schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields")
    if not kind and not free:
        yield problems.required(f"{path}.type", f"must not be empty {where}")
    if kind == "array" and not schema.get("items"):
        yield problems.required(f"{path}.items", "must be specified")
    if schema.get("properties") and isinstance(schema.get("additionalProperties"), Mapping):
        words = "additionalProperties and properties are mutual exclusive"
        yield problems.forbidden(f"{path}.additionalProperties", words)
    yield from _rules(schema, path)
    for key, child in (schema.get("properties") or {}).items():
        yield from judge(child, f"{path}.properties[{key}]", "for specified object fields")
    if isinstance(items := schema.get("items"), Mapping):
        yield from judge(items, f"{path}.items", "for specified array items")
    if isinstance(additional := schema.get("additionalProperties"), Mapping):
        yield from judge(additional, f"{path}.additionalProperties", "for specified object fields")


def _rules(schema: Mapping[str, Any], path: str) -> Iterator[Problem]:
    for index, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
        from dask_k8s_local.crd import cel  # noqa: PLC0415  # 0.2 s, for those who have rules

        wrong = cel.compile_rule(rule.get("rule", "").strip())
        if wrong:
            shown = {key[0].upper() + key[1:]: rule.get(key, "" if key in _TEXTS else None) for key in _RULE}
            at = f"{path}.x-kubernetes-validations[{index}].rule"
            yield problems.invalid(at, shown, f"compilation failed: {wrong}")
