"""Cluster DNS as files: `<namespace>/<name>` holds addresses, one a line. `pod/sitecustomize` reads them."""

from collections.abc import Collection
from pathlib import Path


class Dns:
    """What every name resolves to."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._known: dict[tuple[str, str], tuple[str, ...]] = {}

    def set(self, namespace: str, name: str, addresses: Collection[str]) -> None:
        """Let a name resolve to these; to none: it exists no longer."""
        key, desired = (namespace, name), tuple(addresses)
        if self._known.get(key, ()) == desired:
            return
        file = self.directory / namespace / name
        if not desired:
            del self._known[key]
            file.unlink(missing_ok=True)
            return
        self._known[key] = desired
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f".{name}")
        new.write_text("\n".join(desired), encoding="ascii")
        new.replace(file)  # a reader sees the old addresses or the new
