"""Cluster DNS as files: `<namespace>/<name>` contains one address per line.

`pod/sitecustomize` reads them.
"""

from collections.abc import Collection
from pathlib import Path


class Dns:
    """The names in the cluster with their addresses."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._records: dict[tuple[str, str], tuple[str, ...]] = {}

    def set(self, namespace: str, name: str, addresses: Collection[str]) -> None:
        """Set the addresses of a name; without addresses, remove the name."""
        key, desired = (namespace, name), tuple(addresses)
        if self._records.get(key, ()) == desired:
            return
        file = self.directory / namespace / name
        if not desired:
            del self._records[key]
            file.unlink(missing_ok=True)
            return
        self._records[key] = desired
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f".{name}")
        new.write_text("\n".join(desired), encoding="ascii")
        new.replace(file)  # readers see either the old or the new addresses
