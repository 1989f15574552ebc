"""Base classes and field types of all models. The fields are in the module of each kind."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator
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
    """A part of a spec, in which unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Status(Model):
    """The status of an object."""

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        """Read the status of an object; every field has its default where the object has no status yet."""
        return cls.model_validate(body.get("status") or {})
