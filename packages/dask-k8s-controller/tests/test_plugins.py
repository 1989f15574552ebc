"""Loading of plugins: which are accepted, and which stop the start with which message.

Each plugin is a small distribution on the path, with an entry point as an installed wheel has it.
"""

import sys

import kopf
import pytest

from dask_k8s_controller.app import plugin_loading
from dask_k8s_controller.app.plugin_loading import PluginError

VALUE = """
from dask_k8s_controller import Plugin, Reconciler, Rule, Watched
from dask_k8s_crds.resources import Resource

THINGS = Resource("example.org", "v1", "Thing", "things")
PARTS = Resource("example.org", "v1", "Part", "parts")

async def reconcile(key, world):
    ...

def trigger(part, world):
    return []

"""
WHOLE = """PLUGIN = Plugin(
    watches=(Watched(THINGS), Watched(PARTS)),
    reconcilers=(Reconciler(THINGS, reconcile, triggers={PARTS: trigger}),),
    rules=(Rule("example.org", ("parts",), ("create",)),),
)
"""
HANDLERS = """
import kopf

@kopf.on.create("example.org", "v1", "things", id="{id}")
def created(**_):
    ...
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Make a distribution with one module and one entry point."""
    monkeypatch.syspath_prepend(tmp_path)
    modules = []

    def install(name, source, target=":PLUGIN", distribution=None):
        distribution = distribution or f"dist-of-{name}"
        module = f"{distribution}_{name}".replace("-", "_")
        modules.append(module)
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[dask_operator_plugin]\n{name} = {module}{target}\n")
        return module

    yield install
    for module in modules:
        sys.modules.pop(module, None)


@pytest.fixture
def installed(monkeypatch):
    """Load what is installed apart from our own plugin and whatever else this environment has."""
    others = {plugin.name for plugin in plugin_loading.installed()}

    def installed(*skip):
        return [plugin for plugin in plugin_loading.installed(skip=skip) if plugin.name not in others]

    return installed


def test_our_own_plugin_is_loaded_like_the_others():
    [ours] = [plugin for plugin in plugin_loading.installed() if plugin.name == "dask-k8s-controller"]
    assert (ours.distribution, ours.form) == ("dask-k8s-controller", "plugin")
    assert [str(reconciler.resource) for reconciler in ours.value.reconcilers] == [
        "daskclusters.kubernetes.dask.org",
        "daskworkergroups.kubernetes.dask.org",
    ]


def test_a_value(install, installed):
    module = install("things", VALUE + WHOLE)
    [plugin] = installed()
    assert (plugin.name, plugin.distribution, plugin.version, plugin.form, plugin.target) == (
        "things",
        "dist-of-things",
        "1.2",
        "plugin",
        f"{module}:PLUGIN",
    )
    assert plugin_loading.values([plugin]) == [sys.modules[module].PLUGIN]


def test_a_module_of_handlers(install, installed):
    install("handlers", HANDLERS.format(id="test-a-module-of-handlers"), target="")
    [plugin] = installed()
    assert (plugin.form, plugin.value) == ("handlers", None)
    assert plugin_loading.values([plugin]) == []
    handlers = kopf.get_default_registry()._changing.get_all_handlers()  # noqa: SLF001 - there is no public way
    assert "test-a-module-of-handlers" in {handler.id for handler in handlers}


def test_plugins_come_in_the_order_of_their_names(install, installed):
    for name in ("b", "a"):
        install(name, HANDLERS.format(id=f"order-{name}"), target="")
    assert [plugin.name for plugin in installed()] == ["a", "b"]


@pytest.mark.parametrize(
    "source, target, reason",
    [
        pytest.param("1 / 0", "", "ZeroDivisionError: division by zero", id="raises"),
        pytest.param(
            "import a_module_that_is_not_there", "", "ModuleNotFoundError: No module named", id="imports"
        ),
        pytest.param("def f(:", "", "SyntaxError: ", id="is no Python"),
        pytest.param("raise SystemExit(0)", "", "SystemExit: 0", id="exits"),
        pytest.param("", ":PLUGIN", "AttributeError: ", id="lacks what the entry point names"),
        pytest.param(
            "PLUGIN = {}",
            ":PLUGIN",
            "is a dict, neither a module nor a dask_k8s_controller.Plugin",
            id="dict",
        ),
        pytest.param(
            VALUE + "PLUGIN = Plugin",
            ":PLUGIN",
            "is a type, neither a module nor",
            id="the class and no value",
        ),
        pytest.param(
            VALUE + "PLUGIN = Plugin(reconcilers=(Reconciler(THINGS, reconcile),))",
            ":PLUGIN",
            "things.example.org is reconciled or triggers a reconciler, but no plugin watches it",
            id="nobody watches",
        ),
        pytest.param(
            VALUE + "PLUGIN = Plugin((Watched(THINGS),), (Reconciler(THINGS, reconcile, {PARTS: trigger}),))",
            ":PLUGIN",
            "parts.example.org is reconciled or triggers a reconciler, but no plugin watches it",
            id="nobody watches the trigger",
        ),
        pytest.param(
            VALUE + "PLUGIN = Plugin((Watched(THINGS),), (Reconciler(THINGS, reconcile),) * 2)",
            ":PLUGIN",
            'things.example.org has a reconciler in plugin "things"',
            id="two reconcilers of one resource",
        ),
        pytest.param(
            VALUE + "PLUGIN = Plugin((Watched(THINGS),), (reconcile,))",
            ":PLUGIN",
            "reconcilers is not a sequence of Reconciler",
            id="a function is no reconciler",
        ),
        pytest.param(
            VALUE + "PLUGIN = Plugin(Watched(THINGS))",
            ":PLUGIN",
            "watches is not a sequence of Watched",
            id="one watch and no sequence",
        ),
    ],
)
def test_a_bad_plugin_stops_the_start(install, installed, source, target, reason):
    install("things", source, target)
    with pytest.raises(PluginError) as caught:
        installed()
    error = caught.value
    assert (error.distribution, error.entry_point) == ("dist-of-things", "things")
    assert reason in error.reason
    assert str(error).startswith('plugin "things" of distribution "dist-of-things": ')
    assert str(error).endswith("start with --skip-plugin things")
    assert installed("things") == []


@pytest.mark.parametrize(
    "other, reason",
    [
        pytest.param(
            VALUE + "PLUGIN = Plugin((Watched(THINGS),), (Reconciler(THINGS, reconcile),))",
            'things.example.org has a reconciler in plugin "things"',
            id="its resource has a reconciler",
        ),
        pytest.param(
            VALUE + 'PLUGIN = Plugin((Watched(THINGS, selector="a=b"),))',
            'things.example.org is watched by plugin "things" with another selector, trim or index',
            id="its resource is watched otherwise",
        ),
    ],
)
def test_plugins_that_contradict_each_other_stop_the_start(install, installed, other, reason):
    install("things", VALUE + WHOLE)
    install("zombies", other)
    with pytest.raises(PluginError) as caught:
        installed()
    assert (caught.value.entry_point, caught.value.reason) == ("zombies", reason)


def test_two_plugins_of_one_name_stop_the_start(install, installed):
    install("things", HANDLERS.format(id="one"), "", distribution="one")
    install("things", HANDLERS.format(id="two"), "", distribution="two")
    with pytest.raises(PluginError, match='of distribution "two": another plugin has the same name'):
        installed()


def test_plugins_may_watch_the_same_in_the_same_way(install, installed):
    install("things", VALUE + WHOLE)
    install("zombies", VALUE + "PLUGIN = Plugin((Watched(THINGS),))")
    assert [plugin.name for plugin in installed()] == ["things", "zombies"]


def test_to_skip_what_is_not_there_is_an_error(install, installed):
    install("things", VALUE + WHOLE)
    with pytest.raises(LookupError, match=r'there is no plugin "thing" to skip; there are: .*things'):
        installed("thing")
