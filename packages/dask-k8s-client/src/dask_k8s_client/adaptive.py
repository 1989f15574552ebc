"""What ``adapt`` returns: the bounds of an autoscaler, in the form of Dask's own ``Adaptive``. No I/O."""

import math
from collections.abc import Awaitable, Generator
from typing import Self


class Adaptive:
    """The bounds between which the controller scales a cluster.

    Awaiting it waits until the ``DaskAutoscaler`` is created or changed, or raises why it is not. Without
    ``asynchronous=True`` that has happened already, and awaiting it returns at once.
    """

    def __init__(self, minimum: int, maximum: int | None, change: Awaitable[None] | None = None) -> None:
        self.minimum = minimum
        self.maximum: float = math.inf if maximum is None else maximum
        """The most workers; infinite if there is no upper bound."""
        self._change = change

    def __await__(self) -> Generator[object, None, Self]:
        if self._change is not None:
            yield from self._change.__await__()
        return self

    def __repr__(self) -> str:
        return f"Adaptive(minimum={self.minimum}, maximum={self.maximum})"
