"""A queue whose groups take turns, so that one with many items does not delay the others. No I/O."""

from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class FairQueue(Generic[T]):
    """Items in groups, which may have groups themselves; `put` and `pop` take the same time for any length.

    The groups of one group take turns, one item each; the items of the innermost group come in their order.
    """

    _items: deque[T] = field(default_factory=deque)
    _groups: "OrderedDict[Hashable, FairQueue[T]]" = field(default_factory=OrderedDict)

    def __bool__(self) -> bool:
        return bool(self._items or self._groups)

    def __contains__(self, group: Hashable) -> bool:
        """Return whether the group has an item."""
        return group in self._groups

    def put(self, item: T, *path: Hashable) -> None:
        """Add an item to the group at this path, from the outermost group to the innermost."""
        if not path:
            self._items.append(item)
            return
        group, *rest = path
        if group not in self._groups:
            self._groups[group] = FairQueue()
        self._groups[group].put(item, *rest)

    def pop(self) -> T:
        """Remove and return the item whose turn it is."""
        if self._items:
            return self._items.popleft()
        return self.pop_from(next(iter(self._groups)))

    def pop_from(self, group: Hashable) -> T:
        """Remove and return the item of this group whose turn it is; the group's next turn is the last."""
        queue = self._groups[group]
        item = queue.pop()
        if queue:
            self._groups.move_to_end(group)
        else:
            del self._groups[group]
        return item
