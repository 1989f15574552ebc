"""Base classes and field types of all models. The fields are in the module of each kind."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """A frozen value with camelCase names in JSON.

    Unknown fields are dropped, and an explicit null means that the field is absent.
    """

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )

    @model_validator(mode="before")
    @classmethod
    def _null_means_absent(cls, value: Any) -> Any:
        return without_nulls(value)

    def to_dict(self) -> dict[str, Any]:
        """Return the model as JSON: camelCase names, no nulls."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def without_nulls(value: Any) -> Any:
    """Return an object without its fields that are null."""
    if isinstance(value, Mapping):
        return {key: item for key, item in value.items() if item is not None}
    return value


Time = Annotated[datetime, PlainSerializer(lambda time: time.strftime("%Y-%m-%dT%H:%M:%SZ"))]
"""A time in UTC, written to the second."""

Strings = Annotated[Mapping[str, str], BeforeValidator(without_nulls)]
"""Labels or annotations."""

INT32_MAX = 2**31 - 1
"""Kubernetes counts in 32 bits, for example in the scale subresource."""


def _whole(value: Any) -> Any:
    """Turn 3.0 into 3, which is the same integer in JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Count = Annotated[int, Field(strict=True, ge=0, le=INT32_MAX), BeforeValidator(_whole)]
Positive = Annotated[int, Field(strict=True, ge=1, le=INT32_MAX), BeforeValidator(_whole)]
Percent = Annotated[int, Field(strict=True, ge=1, le=100), BeforeValidator(_whole)]
Priority = Annotated[int, Field(strict=True, ge=-INT32_MAX, le=INT32_MAX), BeforeValidator(_whole)]
Amount = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
"""A quantity of a Dask resource, or a duration in seconds."""


class Closed(Model):
    """A part of a spec, in which the API server refuses fields that the CustomResourceDefinition lacks.

    A field that only a later version has is kept: it reaches the objects that are made from this one, and
    `unknown_fields` names it.
    """

    model_config = ConfigDict(extra="allow")


def unknown_fields(model: BaseModel, path: str) -> Iterator[str]:
    """Yield the paths of the fields, in a model and those inside of it, that this version does not know."""
    yield from (f"{path}.{name}" for name in model.model_extra or ())
    for field, info in type(model).model_fields.items():
        value, inner = getattr(model, field), f"{path}.{info.alias or field}"
        if isinstance(value, BaseModel):
            yield from unknown_fields(value, inner)
        elif isinstance(value, tuple):
            for index, item in enumerate(value):
                if isinstance(item, BaseModel):
                    yield from unknown_fields(item, f"{inner}[{index}]")


class Status(Model):
    """The status of an object."""

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        """Read the status of an object; a field that is absent or cannot be read has its default.

        A later version of the controller, or somebody else, may have written what this one cannot read.
        """
        status = body.get("status")
        if not isinstance(status, Mapping):
            return cls()
        try:
            return cls.model_validate(status, by_alias=True, by_name=False)
        except ValidationError as error:
            unreadable = {each["loc"][0] for each in error.errors(include_url=False, include_input=False)}
            readable = {name: value for name, value in status.items() if name not in unreadable}
            return cls.model_validate(readable, by_alias=True, by_name=False)
