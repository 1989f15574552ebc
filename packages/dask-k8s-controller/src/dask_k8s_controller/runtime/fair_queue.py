"""A queue whose groups take turns, so that a group with many items does not delay another one's first. No I/O."""

from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, Self, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class FairQueue(Generic[T]):
    """Items in groups, which may have groups themselves; `put` and `pop` take the same time for any length.

    The groups of one group take turns, one item each; the items of the innermost group come in their order.
    """

    _items: deque[T] = field(default_factory=deque)
    _groups: "OrderedDict[Hashable, Self]" = field(default_factory=OrderedDict)

    def __bool__(self) -> bool:
        return bool(self._items or self._groups)

    def put(self, item: T, *path: Hashable) -> None:
        """Add an item to the group at this path, from the outermost group to the innermost."""
        queue = self
        for group in path:
            inner = queue._groups.get(group)
            if inner is None:
                inner = queue._groups[group] = type(self)()
            queue = inner
        queue._items.append(item)

    def pop(self) -> T:
        """Remove and return the item whose turn it is."""
        if self._items:
            return self._items.popleft()
        group, queue = next(iter(self._groups.items()))
        item = queue.pop()
        if queue:
            self._groups.move_to_end(group)
        else:
            del self._groups[group]
        return item
