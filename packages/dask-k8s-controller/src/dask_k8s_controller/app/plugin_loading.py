"""Finds, loads and verifies the plugins that are installed in the entry-point group ``dask_operator_plugin``.

A plugin that cannot be loaded stops the start. Running plugins is not done here.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

from dask_k8s_controller.runtime.cache import Watched
from dask_k8s_controller.runtime.plugin import Plugin, Reconciler, Rule
from dask_k8s_crds.resources import Resource

ENTRY_POINT_GROUP = "dask_operator_plugin"


class PluginError(Exception):
    """A plugin cannot be used; ``distribution``, ``entry_point`` and ``reason`` say which one and why."""

    def __init__(self, distribution: str, entry_point: str, reason: str) -> None:
        super().__init__(
            f'plugin "{entry_point}" of distribution "{distribution}": {reason}; '
            f"fix or uninstall it, or start with --skip-plugin {entry_point}"
        )
        self.distribution = distribution
        self.entry_point = entry_point
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Installed:
    """A plugin that was loaded; ``value`` is None for a module, which registered its handlers with kopf."""

    name: str
    distribution: str
    version: str
    target: str
    value: Plugin | None

    @property
    def form(self) -> str:
        """The form of the plugin: ``handlers`` or ``plugin``."""
        return "handlers" if self.value is None else "plugin"

    def error(self, reason: str) -> PluginError:
        """Return an error that names this plugin."""
        return PluginError(self.distribution, self.name, reason)


def installed(*, skip: Collection[str] = ()) -> tuple[Installed, ...]:
    """Load all plugins except those whose entry point is named in ``skip``, in the order of their names.

    Raise `PluginError` if one cannot be used, and ``LookupError`` if a name in ``skip`` is that of none.
    """
    found = sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda each: (each.name, each.value))
    names = {each.name for each in found}
    for name in skip:
        if name not in names:
            raise LookupError(f'there is no plugin "{name}" to skip; there are: {", ".join(sorted(names))}')
    loaded = tuple(_load(each) for each in found if each.name not in skip)
    verify(loaded)
    return loaded


def _load(entry_point: EntryPoint) -> Installed:
    distribution = entry_point.dist.name if entry_point.dist else "?"
    try:
        target = entry_point.load()
    except (Exception, SystemExit) as error:
        # The person who built the image must see any error that a plugin raises on import.
        raise PluginError(distribution, entry_point.name, f"{type(error).__name__}: {error}") from error
    if not isinstance(target, ModuleType | Plugin):
        kind = type(target).__name__
        reason = f"{entry_point.value} is a {kind}, neither a module nor a dask_k8s_controller.Plugin"
        raise PluginError(distribution, entry_point.name, reason)
    return Installed(
        name=entry_point.name,
        distribution=distribution,
        version=entry_point.dist.version if entry_point.dist else "?",
        target=entry_point.value,
        value=target if isinstance(target, Plugin) else None,
    )


def values(plugins: Iterable[Installed]) -> list[Plugin]:
    """Return the plugins in the form of a value."""
    return [plugin.value for plugin in plugins if plugin.value is not None]


def verify(plugins: Sequence[Installed]) -> None:
    """Raise `PluginError` if plugins conflict, or if a resource that one needs is not watched."""
    names: set[str] = set()
    watches: dict[Resource, tuple[str, Watched]] = {}
    for plugin in plugins:
        _verify_types(plugin)
        if plugin.name in names:
            raise plugin.error("another plugin has the same name")
        names.add(plugin.name)
        for watched in plugin.value.watches if plugin.value else ():
            other, known = watches.setdefault(watched.resource, (plugin.name, watched))
            if known != watched:
                raise plugin.error(
                    f'{watched.resource} is watched by plugin "{other}" with another selector, trim or index'
                )
    _verify_reconcilers(plugins, watches)


def _verify_types(plugin: Installed) -> None:
    value = plugin.value
    fields = (("watches", Watched), ("reconcilers", Reconciler), ("rules", Rule), ("crds", Mapping))
    for field, kind in fields if value is not None else ():
        entries = getattr(value, field)
        if not isinstance(entries, Sequence) or not all(isinstance(entry, kind) for entry in entries):
            raise plugin.error(f"{field} is not a sequence of {kind.__name__}")


def _verify_reconcilers(plugins: Sequence[Installed], watches: Collection[Resource]) -> None:
    reconciled: dict[Resource, str] = {}
    for plugin in plugins:
        for reconciler in plugin.value.reconcilers if plugin.value else ():
            if other := reconciled.get(reconciler.resource):
                raise plugin.error(f'{reconciler.resource} has a reconciler in plugin "{other}"')
            reconciled[reconciler.resource] = plugin.name
            for resource in (reconciler.resource, *reconciler.triggers):
                if resource not in watches:
                    raise plugin.error(
                        f"{resource} is reconciled or triggers a reconciler, but no plugin watches it"
                    )
