"""What all models have in common: frozen, and an explicit null means absent. No fields."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, model_validator
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """A value with camelCase names in JSON; unknown fields are dropped."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _null_means_absent(cls, value: Any) -> Any:
        return without_nulls(value)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: camelCase, and no nulls."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def without_nulls(value: Any) -> Any:
    """Return an object without its fields that are null."""
    if isinstance(value, Mapping):
        return {key: item for key, item in value.items() if item is not None}
    return value


def _to_seconds(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


Time = Annotated[datetime, PlainSerializer(_to_seconds)]
"""In UTC; written to the second."""

Strings = Annotated[Mapping[str, str], BeforeValidator(without_nulls)]


class Closed(Model):
    """A part of a spec: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")
