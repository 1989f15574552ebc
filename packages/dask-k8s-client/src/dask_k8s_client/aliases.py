"""Names of types that many rooms speak of."""

from collections.abc import Mapping, Sequence
from typing import Any

JSON = dict[str, Any]
Env = Mapping[str, str | float] | Sequence[Mapping[str, Any]]
Tolerations = Sequence[Mapping[str, Any]]
