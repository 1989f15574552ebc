"""Objects of a kind: how a body becomes a model, and what is wrong with it. Fields stand with each kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Self, cast

from pydantic import BaseModel, ValidationError

from dask_k8s_crds import names, schema, structural, validation_rules
from dask_k8s_crds.metadata import ObjectMeta
from dask_k8s_crds.model import Model
from dask_k8s_crds.problems import InvalidObject, Problem
from dask_k8s_crds.resources import Resource
from dask_k8s_crds.structural import Schema
from dask_k8s_crds.validation_rules import ValidationRule


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`; priority 1 shows it only with `-o wide`."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Scale:
    """Where `kubectl scale` and the like find how many there should be, how many there are, and which."""

    desired: str
    actual: str
    selector: str


class CustomResource(Model):
    """An object with `metadata` and, in the classes below this one, a `spec`.

    The class variables say the rest of what a CustomResourceDefinition has.
    """

    resource: ClassVar[Resource]
    status_type: ClassVar[type[BaseModel]]
    rules: ClassVar[tuple[ValidationRule, ...]] = ()
    columns: ClassVar[tuple[Column, ...]] = ()
    scale: ClassVar[Scale | None] = None

    metadata: ObjectMeta

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> Self:
        """Read an object that an API server admitted, without a look into a PodSpec or ServiceSpec.

        Raises InvalidObject where it cannot be read or, let in by an older CustomResourceDefinition, breaks
        a rule.
        """
        try:
            parsed = cls.model_validate(body, by_alias=True, by_name=False)
        except ValidationError as error:
            unreadable = [Problem(_path(each["loc"]), each["msg"]) for each in error.errors()]
            raise cls._invalid(body, cls.problems(body) or unreadable) from None
        if broken := schema.broken(cls.rules, _new(body)):
            raise cls._invalid(body, broken)
        return parsed

    @classmethod
    def admit(cls, body: Mapping[str, Any]) -> Self:
        """Read a new object as the API server would admit it: with every check that it makes.

        Raises InvalidObject where it would refuse.
        """
        if problems := cls.problems(body):
            raise cls._invalid(body, problems)
        return cls.parse(body)

    @classmethod
    def problems(cls, body: Mapping[str, Any]) -> list[Problem]:
        """Return what the API server would have against a new object; nothing, if it would admit it."""
        name = _name(body)
        if not name:
            return [Problem("metadata.name", "Required value: name or generateName is required")]
        problems = [
            Problem(field, f'Unsupported value: "{body.get(field)}": supported values: "{value}"')
            for field, value in (("apiVersion", cls.resource.api_version), ("kind", cls.resource.kind))
            if body.get(field) != value
        ] + schema.check(cls.structural_schema(), _new(body))
        if not names.is_object_name(name) and all(each.path != "metadata.name" for each in problems):
            problems.append(Problem("metadata.name", f'Invalid value: "{name}": {names.OBJECT_NAME_RULE}'))
        return problems

    @classmethod
    def _invalid(cls, body: Mapping[str, Any], problems: Sequence[Problem]) -> InvalidObject:
        return InvalidObject(cls.resource.kind, _name(body), tuple(problems))

    @classmethod
    def structural_schema(cls) -> Schema:
        """Return what an object has to look like, as the CustomResourceDefinition says it."""
        return _structural_schema(cls)


@cache
def _structural_schema(model: type[CustomResource]) -> Schema:
    return {
        "description": model.__doc__,
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
            "spec": structural.of_model(cast("type[BaseModel]", model.model_fields["spec"].annotation)),
            "status": structural.of_model(model.status_type),
        },
        **validation_rules.schema(*model.rules),
    }


def _new(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return as much of a new object as schema and rules see: its name, and no status."""
    return {**body, "metadata": {"name": _name(body)}, "status": None}


def _name(body: Mapping[str, Any]) -> str:
    """Return the name of an object, or one that the API server might make up for it."""
    metadata = body.get("metadata")
    if not isinstance(metadata, Mapping):
        return ""
    if generated := metadata.get("generateName"):
        generated = f"{generated}xxxxx"
    return str(metadata.get("name") or generated or "")


def _path(loc: tuple[str | int, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc).removeprefix(".")
