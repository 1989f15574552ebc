"""Memory limits with control groups, where this user may create them.

Reads and writes /sys/fs/cgroup only.
"""

import contextlib
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_MOUNT = Path("/sys/fs/cgroup")
_PROCS = "cgroup.procs"


@dataclass(frozen=True)
class Cgroups:
    """One group for each container with a limit; programs look for their group at `visible_at`."""

    base: Path
    visible_at: Path
    limits: tuple[str, ...]
    oom_events: str

    @classmethod
    def find(cls) -> Self | None:
        """Create the parent group, or return None if that is not permitted."""
        name = f"dask-k8s-local-{uuid.uuid4().hex[:8]}"
        with contextlib.suppress(OSError):
            if (own := _own_memory_group()) is not None:
                first = cls(own / name, _MOUNT / "memory", _V1_LIMITS, "memory.oom_control")
            else:
                first = cls(_MOUNT / name, _MOUNT, ("memory.max",), "memory.events")
                if "memory" not in (_MOUNT / "cgroup.subtree_control").read_text().split():
                    return None
            first.base.mkdir()
            with contextlib.suppress(OSError):  # needed in version 2; does not exist in version 1
                (first.base / "cgroup.subtree_control").write_text("+memory")
            return first
        return None

    def create(self, container: str, limit: int) -> Path:
        """Create a group; processes that join it share the limit."""
        group = self.base / container
        group.mkdir()
        for name in self.limits:
            with contextlib.suppress(OSError):  # the swap limit does not exist without swap
                (group / name).write_text(str(limit))
        with contextlib.suppress(OSError):
            (group / "memory.oom.group").write_text("1")
        return group

    def remove(self, container: str) -> bool:
        """Remove a group; return whether the kernel has killed one of its processes (out of memory)."""
        group = self.base / container
        try:
            events = dict(line.split() for line in (group / self.oom_events).read_text().splitlines())
        except OSError:
            return False
        with contextlib.suppress(OSError):
            group.rmdir()
        return int(events.get("oom_kill", 0)) > 0


_V1_LIMITS = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")


def join(group: str) -> None:
    """Move this process into a group."""
    if group:
        with open(f"{group}/{_PROCS}", "wb") as procs:  # noqa: PTH123  # runs in a forked child
            procs.write(b"0")


def remove_all(base: str) -> None:
    """Remove all remaining groups of a server."""
    if base:
        with contextlib.suppress(OSError):
            for group in Path(base).iterdir():
                if group.is_dir():
                    group.rmdir()
            Path(base).rmdir()


def _own_memory_group() -> Path | None:
    """Return the version 1 memory group of this process, or None."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return _MOUNT / "memory" / path.lstrip("/")
    return None
