"""The base class of all kinds: parse and validate objects. The fields are in the module of each kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Self, cast

from pydantic import BaseModel, ValidationError

from dask_k8s_crds import names, validation, validation_rules
from dask_k8s_crds.metadata import ObjectMeta
from dask_k8s_crds.model import Model, unknown_fields
from dask_k8s_crds.resources import Resource
from dask_k8s_crds.structural_schema import Schema, for_model
from dask_k8s_crds.validation import InvalidObject, Problem
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
    """Paths of the scale subresource: desired replicas, actual replicas, label selector of the pods."""

    desired: str
    actual: str
    selector: str


class CustomResource(Model):
    """An object of a custom resource; subclasses add the field `spec`, and say what else its CRD contains.

    Attributes:
        resource: The group, version, kind and names of the resource.
        status_type: The model of `status`.
        rules: Rules for the whole object.
        columns: The columns of `kubectl get`.
        scale: The scale subresource, None if the resource has none.
    """

    resource: ClassVar[Resource]
    status_type: ClassVar[type[BaseModel]]
    rules: ClassVar[tuple[ValidationRule, ...]] = ()
    columns: ClassVar[tuple[Column, ...]] = ()
    scale: ClassVar[Scale | None] = None

    metadata: ObjectMeta

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> Self:
        """Read an object from an API server, which has validated every PodSpec and ServiceSpec in it.

        Raises:
            InvalidObject: The object cannot be read, or breaks a rule that the CustomResourceDefinition did
                not yet have when the object was admitted.
        """
        try:
            parsed = cls.model_validate(body, by_alias=True, by_name=False)
        except ValidationError as error:
            unreadable = [Problem(_path(each["loc"]), each["msg"]) for each in error.errors()]
            raise cls._invalid(body, cls.problems(body) or unreadable) from None
        if broken := validation.broken(cls.rules, _new(body)):
            raise cls._invalid(body, broken)
        return parsed

    def unknown_fields(self) -> tuple[str, ...]:
        """Return the paths of the fields of the spec that this version does not know, for example `spec.x`.

        A later version of the CustomResourceDefinition has admitted them.
        """
        return tuple(path.removeprefix(".") for path in unknown_fields(self, ""))

    @classmethod
    def admit(cls, body: Mapping[str, Any]) -> Self:
        """Read a new object, with every check that the API server makes.

        Raises:
            InvalidObject: The API server would refuse the object.
        """
        if problems := cls.problems(body):
            raise cls._invalid(body, problems)
        return cls.parse(body)

    @classmethod
    def problems(cls, body: Mapping[str, Any]) -> list[Problem]:
        """Return the problems for which the API server would refuse a new object, if any."""
        name = _name(body)
        if not name:
            return [Problem("metadata.name", "Required value: name or generateName is required")]
        problems = [
            Problem(field, f'Unsupported value: "{body.get(field)}": supported values: "{value}"')
            for field, value in (("apiVersion", cls.resource.api_version), ("kind", cls.resource.kind))
            if body.get(field) != value
        ] + validation.check(cls.structural_schema(), _new(body))
        if not names.is_object_name(name) and all(each.path != "metadata.name" for each in problems):
            problems.append(Problem("metadata.name", f'Invalid value: "{name}": {names.OBJECT_NAME_RULE}'))
        return problems

    @classmethod
    def _invalid(cls, body: Mapping[str, Any], problems: Sequence[Problem]) -> InvalidObject:
        return InvalidObject(cls.resource.kind, _name(body), tuple(problems))

    @classmethod
    @cache
    def structural_schema(cls) -> Schema:
        """Return the schema of an object, as in the CustomResourceDefinition."""
        return {
            "description": cls.__doc__,
            "type": "object",
            "required": ["spec"],
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
                "spec": for_model(cast("type[BaseModel]", cls.model_fields["spec"].annotation)),
                "status": for_model(cls.status_type),
            },
            **validation_rules.schema(*cls.rules),
        }


def _new(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a new object as the API server validates it: of the metadata only the name, and no status."""
    return {**body, "metadata": {"name": _name(body)}, "status": None}


def _name(body: Mapping[str, Any]) -> str:
    """Return the name of an object, or one that the API server might generate for it."""
    metadata = body.get("metadata")
    if not isinstance(metadata, Mapping):
        return ""
    if generated := metadata.get("generateName"):
        generated = f"{generated}xxxxx"
    return str(metadata.get("name") or generated or "")


def _path(loc: tuple[str | int, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc).removeprefix(".")
