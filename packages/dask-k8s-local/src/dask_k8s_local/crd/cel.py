"""Evaluates CEL rules (`x-kubernetes-validations`) with cel-python. Converts values to what rules can see.

cel-python counts characters instead of bytes, distinguishes integers and doubles and uses RE2, like
Kubernetes, and supports Python objects as values. common-expression-language counts bytes and takes half a
second to import.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import celpy
from celpy import celtypes
from celpy.celparser import CELParseError
from celpy.evaluation import CELEvalError

from dask_k8s_local.crd.cel_functions import FUNCTIONS
from dask_k8s_local.schema import problems
from dask_k8s_local.schema.node import MISSING, Node
from dask_k8s_local.schema.problems import Problem
from dask_k8s_local.schema.validate import correlated, item_key

_RESERVED = frozenset({
    "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let",
    "loop", "namespace", "null", "package", "return", "true", "var", "void", "while",
})  # fmt: skip
_ESCAPES = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_OLD_SELF = re.compile(r"\boldSelf\b")
_ROOT_META = ("name", "generateName")


def check(node: Node, value: Any, old: Any = MISSING, path: str = "") -> Iterator[Problem]:
    """Yield the rules that a value violates; `old` is the previous value, if it is known."""
    if value is None or not has_rules(node):
        return
    if node.rules:
        yield from _check_rules(node, value, old, path)
    for child, item, before, at in _parts(node, value, old, path):
        yield from check(child, item, before, at)


def has_rules(node: Node) -> bool:
    """Return whether a schema contains rules."""
    return bool(node.rules) or any(has_rules(child) for child in _children(node))


def compile_rule(text: str) -> str | None:
    """Return the syntax error of a rule, or None."""
    try:
        _program(text)
    except CELParseError as error:
        return str(error).splitlines()[0]
    return None


def _children(node: Node) -> list[Node]:
    more = [child for child in (node.additional, node.items) if child is not None]
    return [*node.properties.values(), *more]


def _parts(node: Node, value: Any, old: Any, path: str) -> Iterator[tuple[Node, Any, Any, str]]:
    if isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        for key, item in value.items():
            child = node.properties.get(key) or node.additional
            if child is not None:
                yield child, item, before.get(key, MISSING), f"{path}.{key}" if path else key
    elif isinstance(value, list) and node.items is not None:
        known = correlated(node, old)
        for index, item in enumerate(value):
            yield node.items, item, known.get(item_key(node, item), MISSING), f"{path}[{index}]"


def _check_rules(node: Node, value: Any, old: Any, path: str) -> Iterator[Problem]:
    activation = {"self": to_cel(node, value)}
    if old is not MISSING and old is not None:
        activation["oldSelf"] = to_cel(node, old)
    for rule in node.rules:
        text = rule["rule"].strip()
        transition = bool(_OLD_SELF.search(text))
        if transition and "oldSelf" not in activation:
            continue
        if not transition and old is not MISSING and old == value:
            continue  # unchanged values stay valid
        message = (rule.get("message") or "").strip()
        try:
            holds = _program(text).evaluate(activation)
        except CELEvalError as error:
            message = f"{_evaluation_error(error)} evaluating rule: {message or text}"
            yield problems.invalid(path or "<nil>", node.type, message)
            continue
        if not holds:
            at = f"{path}{rule.get('fieldPath', '')}".removeprefix(".") or "<nil>"
            yield _broken(
                rule, at, node.type, _message(rule, activation) or message or f"failed rule: {text}"
            )


def _message(rule: Mapping[str, Any], activation: Mapping[str, Any]) -> str:
    expression = rule.get("messageExpression")
    if not expression:
        return ""
    try:
        return str(_program(expression.strip()).evaluate(dict(activation)))
    except CELEvalError:
        return ""


def _broken(rule: Mapping[str, Any], path: str, value: str, message: str) -> Problem:
    match rule.get("reason"):
        case "FieldValueForbidden":
            return problems.forbidden(path, message)
        case "FieldValueRequired":
            return problems.required(path, message)
        case "FieldValueDuplicate":
            return problems.duplicate(path, value)
        case _:
            return problems.invalid(path, value, message)


def _evaluation_error(error: CELEvalError) -> str:
    text = str(error.args[0] if error.args else error)
    if match := re.match(r"no such member in mapping: '(.*)'", text):
        return f"no such key: {match[1]}"
    return text


@cache
def _environment() -> celpy.Environment:
    return celpy.Environment()


@cache
def _program(text: str) -> celpy.Runner:
    environment = _environment()
    return environment.program(environment.compile(text), functions=FUNCTIONS)


# ---- conversion of values


def to_cel(node: Node, value: Any) -> Any:
    """Convert a value to CEL; fields that are not in the schema are left out."""
    if value is None:
        return None
    if isinstance(value, dict):
        return _Object(node, value)
    if isinstance(value, list):
        items = node.items or Node()
        return celtypes.ListType([to_cel(items, item) for item in value])
    return _scalar(node, value)


class _Object(celtypes.MapType):
    """An object; rules do not see fields that are not in the schema, but equality compares them."""

    def __init__(self, node: Node, value: Mapping[str, Any]) -> None:
        super().__init__({celtypes.StringType(key): item for key, item in _members(node, value)})
        known = node.properties if node.additional is None else value
        self._others = {key: item for key, item in value.items() if key not in known}

    def __eq__(self, other: object) -> bool:
        if isinstance(other, _Object) and self._others != other._others:
            return False
        return bool(super().__eq__(other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]


def _members(node: Node, value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        child = node.properties.get(key)
        if child is not None:
            yield _escaped(key), to_cel(child, item)
        elif node.additional is not None:
            yield key, to_cel(node.additional, item)


def _scalar(node: Node, value: Any) -> Any:
    if isinstance(value, bool):
        return celtypes.BoolType(value)
    if isinstance(value, int | float):
        return celtypes.DoubleType(value) if node.type == "number" else celtypes.IntType(int(value))
    if node.format == "date-time":
        return celtypes.TimestampType(value)
    if node.format == "duration":
        return celtypes.DurationType(value)
    return celtypes.StringType(value)


@cache
def _escaped(name: str) -> str:
    if name in _RESERVED:
        return f"__{name}__"
    return re.sub(r"__|[./-]", lambda match: _ESCAPES[match[0]], name)


def root(node: Node) -> Node:
    """Return the schema for rules at the root, which see only the name in the metadata."""
    text = Node(type="string")
    meta = Node(type="object", properties=dict.fromkeys(_ROOT_META, text))
    properties = {**node.properties, "apiVersion": text, "kind": text, "metadata": meta}
    return Node(type="object", properties=properties, rules=node.rules)
