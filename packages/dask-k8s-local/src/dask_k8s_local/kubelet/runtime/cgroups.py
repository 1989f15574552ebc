"""Memory limits, where this user may make control groups (mostly root). Files below /sys/fs/cgroup only."""

import contextlib
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_MOUNT = Path("/sys/fs/cgroup")
_PROCS = "cgroup.procs"


@dataclass(frozen=True)
class Cgroups:
    """One group for each container that has a limit; `seen_at` is where programs look for theirs."""

    base: Path
    seen_at: Path
    limits: tuple[str, ...]
    oom_events: str

    @classmethod
    def find(cls) -> Self | None:
        """Make the group that holds all others, or None where that is not permitted."""
        name = f"dask-k8s-local-{uuid.uuid4().hex[:8]}"
        with contextlib.suppress(OSError):
            if (own := _own_memory_group()) is not None:
                first = cls(own / name, _MOUNT / "memory", _V1_LIMITS, "memory.oom_control")
            else:
                first = cls(_MOUNT / name, _MOUNT, ("memory.max",), "memory.events")
                if "memory" not in (_MOUNT / "cgroup.subtree_control").read_text().split():
                    return None
            first.base.mkdir()
            with contextlib.suppress(OSError):  # version 2 wants it, version 1 does not have it
                (first.base / "cgroup.subtree_control").write_text("+memory")
            return first
        return None

    def create(self, container: str, limit: int) -> Path:
        """Make a group; processes that join it share the limit."""
        group = self.base / container
        group.mkdir()
        for name in self.limits:
            with contextlib.suppress(OSError):  # without swap there is no limit for it
                (group / name).write_text(str(limit))
        with contextlib.suppress(OSError):
            (group / "memory.oom.group").write_text("1")
        return group

    def remove(self, container: str) -> bool:
        """Remove a group, and tell whether the kernel has killed in it for want of memory."""
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
    """Put this process into a group."""
    if group:
        with open(f"{group}/{_PROCS}", "wb") as procs:  # noqa: PTH123  # a forked child
            procs.write(b"0")


def remove_all(base: str) -> None:
    """Remove what is left of a server's groups."""
    if base:
        with contextlib.suppress(OSError):
            for group in Path(base).iterdir():
                if group.is_dir():
                    group.rmdir()
            Path(base).rmdir()


def _own_memory_group() -> Path | None:
    """Return the group of this process in the hierarchy of version 1, if there is one."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return _MOUNT / "memory" / path.lstrip("/")
    return None
