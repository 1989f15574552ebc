"""Volumes of a pod as directories: emptyDir, hostPath, and projections of API objects. Mounts nothing."""

import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from dask_k8s_local.kubelet.environment import expand
from dask_k8s_local.kubelet.runtime.mounts import Mount
from dask_k8s_local.kubelet.sources import MissingReference, Sources
from dask_k8s_local.store import Object

_PROJECTED = ("configMap", "secret", "downwardAPI", "projected")
_DATA = "..data"
_MODE = 0o644
_KINDS = {"config_map": "config", "secret": "secret"}


class CannotMount(Exception):
    """A volume is not available (yet); the message is the kubelet's."""


@dataclass(frozen=True)
class File:
    """One file of a projected volume."""

    contents: bytes
    mode: int


class Volumes:
    """The volumes of one pod, in one directory."""

    def __init__(self, directory: Path, sources: Sources) -> None:
        self._directory = directory
        self._sources = sources
        self._volumes: dict[str, Object] = {
            one["name"]: one for one in sources.pod["spec"].get("volumes") or ()
        }
        self._paths: dict[str, Path] = {}

    def prepare(self) -> None:
        """Create all volumes; raises CannotMount."""
        for name, volume in self._volumes.items():
            self._paths[name] = self._create(name, volume)

    def refresh(self) -> None:
        """Update the volumes that are projected from API objects."""
        for name in self._paths:
            if any(kind in self._volumes[name] for kind in _PROJECTED):
                self._paths[name] = self._create(name, self._volumes[name])

    def mounts(self, container: Object, variables: Mapping[str, str]) -> list[Mount]:
        """Return the mounts of a container."""
        return [self._mount(one, variables) for one in container.get("volumeMounts") or ()]

    def _mount(self, mount: Mapping[str, Any], variables: Mapping[str, str]) -> Mount:
        volume = self._volumes[mount["name"]]
        source = self._paths[mount["name"]]
        inside = mount.get("subPath") or expand(mount.get("subPathExpr") or "", variables)
        if inside:
            if ".." in PurePosixPath(inside).parts:
                raise CannotMount(f"subPath {inside!r} must not contain '..'")
            source /= inside
            if not source.exists():
                source.mkdir(parents=True)
            source = source.resolve()
        read_only = bool(mount.get("readOnly")) or any(kind in volume for kind in _PROJECTED)
        return (str(source), mount["mountPath"], read_only)

    def _create(self, name: str, volume: Object) -> Path:
        try:
            return self._create_directory(name, volume)
        except MissingReference as missing:
            raise CannotMount(f'MountVolume.SetUp failed for volume "{name}" : {missing}') from None

    def _create_directory(self, name: str, volume: Object) -> Path:
        directory = self._directory / name
        if any(kind in volume for kind in _PROJECTED):
            _write(directory, dict(_files(volume, self._sources)))
            return directory
        if "hostPath" in volume:
            return _host_path(volume["hostPath"])
        if "emptyDir" in volume or volume.keys() == {"name"}:
            directory.mkdir(parents=True, exist_ok=True)
            return directory
        kind = next(key for key in volume if key != "name")
        raise MissingReference(f"dask-k8s-local does not support volumes of type {kind}")


def relocate(text: str, mounts: Iterable[Mount]) -> str:
    """Replace mount paths in a text by the volumes' directories, for machines that cannot mount."""
    for source, target, _ in sorted(mounts, key=lambda mount: -len(mount[1])):
        text = re.sub(rf"(?<![\w./-]){re.escape(target)}(?![\w.-])", source.replace("\\", r"\\"), text)
    return text


def _host_path(source: Mapping[str, Any]) -> Path:
    path, kind = Path(source["path"]), source.get("type") or ""
    if kind.endswith("OrCreate") and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if kind.startswith("Directory") else path.touch()
    if not path.exists():
        raise MissingReference(f"hostPath type check failed: {path} does not exist")
    return path


def _files(volume: Mapping[str, Any], sources: Sources) -> Iterable[tuple[str, File]]:
    """Yield path and contents of all files in a projected volume."""
    if projected := volume.get("projected"):
        for source in projected.get("sources") or ():
            mode = projected.get("defaultMode", _MODE)
            yield from _files({kind: {"defaultMode": mode, **one} for kind, one in source.items()}, sources)
    if source := volume.get("configMap"):
        yield from _keys(source, source.get("name", ""), sources.config_map)
    if source := volume.get("secret"):
        yield from _keys(source, source.get("secretName") or source.get("name", ""), sources.secret)
    if source := volume.get("downwardAPI"):
        for item in source.get("items") or ():
            reference = item.get("fieldRef")
            text = (
                sources.field(reference["fieldPath"])
                if reference
                else sources.resource(item["resourceFieldRef"])
            )
            yield item["path"], File(text.encode(), item.get("mode") or source.get("defaultMode") or _MODE)


def _keys(
    source: Mapping[str, Any], name: str, read: Callable[[str], dict[str, bytes]]
) -> Iterable[tuple[str, File]]:
    mode = source.get("defaultMode") or _MODE
    try:
        contents = read(name)
    except MissingReference:
        if source.get("optional"):
            return
        raise
    if not source.get("items"):
        for key, value in contents.items():
            yield key, File(value, mode)
        return
    for item in source["items"]:
        if item["key"] in contents:
            yield item["path"], File(contents[item["key"]], item.get("mode") or mode)
        elif not source.get("optional"):
            raise MissingReference(f"references non-existent {_KINDS[read.__name__]} key: {item['key']}")


def _write(directory: Path, files: Mapping[str, File]) -> None:
    """Replace all files atomically: write them to a new directory, then replace the link to it."""
    directory.mkdir(parents=True, exist_ok=True)
    old = (directory / _DATA).resolve()
    new = Path(tempfile.mkdtemp(prefix="..", dir=directory))
    new.chmod(0o755)
    for path, file in files.items():
        place = new / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.contents)
        place.chmod(file.mode)
        with suppress(FileExistsError):
            top = PurePosixPath(path).parts[0]
            (directory / top).symlink_to(Path(_DATA) / top)
    link = directory / f"{_DATA}_tmp"
    link.symlink_to(new.name)
    link.replace(directory / _DATA)
    for entry in directory.iterdir():
        if not entry.name.startswith("..") and not entry.exists():
            entry.unlink()  # its key was removed
    if old.name != _DATA:
        shutil.rmtree(old)
