"""Numbers as specs have them: whole ones in 32 bits, and amounts. What is counted stands with the fields."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

# The scale subresource counts in 32 bits.
_MOST = 2**31 - 1


def _whole(value: Any) -> Any:
    """3.0 is an integer in JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Count = Annotated[int, Field(strict=True, ge=0, le=_MOST), BeforeValidator(_whole)]
Positive = Annotated[int, Field(strict=True, ge=1, le=_MOST), BeforeValidator(_whole)]
Percent = Annotated[int, Field(strict=True, ge=1, le=100), BeforeValidator(_whole)]
Priority = Annotated[int, Field(strict=True, ge=-_MOST, le=_MOST), BeforeValidator(_whole)]
Amount = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
