"""Mounts volumes at their paths, in a mount namespace of the process (Linux). Runs in a forked child.

The machine's file system is not changed: if a mount point does not exist, the directories above it are copied
to a tmpfs, everything else is bind-mounted into the copy, and the process changes its root to it.
"""

# ruff: noqa: PTH103, PTH106, PTH110, PTH112, PTH115, PTH120, PTH123, PTH211  # low-level code

import ctypes
import os
import sys
import tempfile
from collections.abc import Sequence

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_MS_RDONLY = 1
_MS_REMOUNT = 1 << 5
_MS_BIND = 1 << 12
_MS_REC = 1 << 14
_MS_UNBINDABLE = 1 << 17
_MS_PRIVATE = 1 << 18
_MS_RELATIME = 1 << 21
_MS_OF_STATVFS = {
    2: 2,
    4: 4,
    8: 8,
    1024: 1024,
    2048: 2048,
    4096: _MS_RELATIME,
}
"""Mount flags by the flags of `statvfs`: nosuid, nodev, noexec and access times."""

Mount = tuple[str, str, bool]
"""Source, target, read-only."""


def can_mount(directory: str) -> bool:
    """Return whether this user can mount, by trying it in a child process."""
    if sys.platform != "linux":
        return False
    root = tempfile.mkdtemp(dir=directory)
    pid = os.fork()
    if not pid:
        try:
            enter([("/dev/null", "/k8s-local-probe", True)], root)
        except BaseException:  # noqa: BLE001  # any error means that mounting is not possible
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    os.rmdir(root)
    return status == 0


def enter(mounts: Sequence[Mount], root: str) -> None:
    """Move this process to a new mount namespace with these mounts; `root` is an empty directory."""
    requested = sorted((os.path.realpath(target), source, read_only) for source, target, read_only in mounts)
    _unshare()
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    missing = [target for target, _, _ in requested if not os.path.exists(target)]
    if missing:
        _mount("tmpfs", root, "tmpfs", 0)
        _mount(None, root, None, _MS_UNBINDABLE)  # prevents recursive bind mounts
        _copy("/", root, {parent for target in missing for parent in _parents(target)})
    for target, source, read_only in requested:
        place = root + target if missing else target
        if not os.path.exists(place):
            _make_mount_point(place, directory=os.path.isdir(source))
        _bind(source, place)
        if read_only:
            flags = os.statvfs(place).f_flag
            kept = sum(ms for st, ms in _MS_OF_STATVFS.items() if flags & st)
            _mount(None, place, None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | kept)
    if missing:
        os.chroot(root)


def _unshare() -> None:
    uid, gid = os.getuid(), os.getgid()
    if not uid:
        _check(_libc().unshare(_CLONE_NEWNS), "unshare")
        return
    _check(_libc().unshare(_CLONE_NEWUSER | _CLONE_NEWNS), "unshare")
    maps = {"setgroups": b"deny", "uid_map": b"%d %d 1" % (uid, uid), "gid_map": b"%d %d 1" % (gid, gid)}
    for name, text in maps.items():
        with open(f"/proc/self/{name}", "wb") as file:
            file.write(text)


def _copy(source: str, target: str, above: set[str]) -> None:
    """Copy the directories above mount points and bind-mount everything else."""
    with os.scandir(source) as entries:
        for entry in entries:
            place = f"{target}/{entry.name}"
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), place)
                continue
            _make_mount_point(place, directory=entry.is_dir())
            if entry.path in above:
                _copy(entry.path, place, above)
            else:
                _bind(entry.path, place)


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(2, len(parts))]


def _make_mount_point(path: str, *, directory: bool) -> None:
    if directory:
        os.makedirs(path)
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))


def _bind(source: str, target: str) -> None:
    _mount(source, target, None, _MS_BIND | _MS_REC)


def _mount(source: str | None, target: str, kind: str | None, flags: int) -> None:
    names = [None if name is None else os.fsencode(name) for name in (source, target, kind)]
    _check(_libc().mount(*names, ctypes.c_ulong(flags), None), f"mount {source or ''} at {target}")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number).lower()}")
