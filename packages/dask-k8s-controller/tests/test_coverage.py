"""Namespaces and kinds that cannot be watched do not stop the others, and their objects are left alone."""

import asyncio
from random import Random

import pytest

from dask_k8s_controller.app.operator import STUCK_SECONDS, Operator
from dask_k8s_controller.app.settings import Settings
from dask_k8s_controller.dask import plugin
from dask_k8s_controller.runtime.cache import Watched
from dask_k8s_controller.runtime.coverage import needed
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.plugin import Plugin, Reconciler
from dask_k8s_controller.runtime.signing_key import SigningKey
from dask_k8s_crds import names
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import (
    DASK_AUTOSCALERS,
    DASK_CLUSTERS,
    DASK_WORKER_GROUPS,
    JOBS,
    PODS,
    SECRETS,
    SERVICES,
    Resource,
)

from .builders import cluster
from .simulation.agents import Agents
from .simulation.faults import Faults, ModelApi
from .simulation.model import Model, VirtualClock

FORBIDDEN = ApiError(403, "Forbidden", "no access")
UNKNOWN = ApiError(404, "", "404 page not found")
BROKEN = ApiError(503, "ServiceUnavailable", "no endpoints")


class Api(ModelApi):
    """Refuses what is in ``refused``: paths and the errors for lists and watches of them."""

    def __init__(self, faults=None):
        super().__init__(Model(Random(1)), faults or Faults())
        self.refused = {}

    async def get(self, path, **parameters):
        if error := self.refused.get(path):
            raise error
        found = await super().get(path, **parameters)
        if "items" in found:
            found["items"] = [each for each in found["items"] if in_path(each, path)]
        return found

    async def watch(self, path, **parameters):
        if error := self.refused.get(path):
            raise error
        async for event in super().watch(path, **parameters):
            if in_path(event["object"], path):
                yield event


def in_path(body, path):
    return f"/namespaces/{body['metadata']['namespace']}/" in path


def make_cluster(api, namespace, replicas=1):
    body = cluster(replicas=replicas)
    body["metadata"]["namespace"] = namespace
    api.model.create(Key(DASK_CLUSTERS, namespace, "c"), body)


def pods(api, namespace):
    return sum(body["metadata"]["namespace"] == namespace for body in api.model.all(PODS))


def start(api, *namespaces, plugins=(plugin.PLUGIN,), **settings):
    operator = Operator(
        api,
        plugins,
        Settings(namespaces=namespaces, **settings),
        SigningKey(api, Key(SECRETS, "home", names.AGENT_KEY)),
        agents=Agents(Random(1)),
        clock=VirtualClock(),
        random=Random(1),
    )
    return operator, asyncio.create_task(operator.run())


@pytest.mark.looptime
@pytest.mark.parametrize("resource", [DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS, SERVICES])
@pytest.mark.parametrize("error", [FORBIDDEN, UNKNOWN, BROKEN], ids=["forbidden", "unknown", "broken"])
async def test_a_namespace_that_cannot_be_watched(resource, error):
    api = Api()
    api.refused = {resource.path("b"): error}
    for namespace in "ab":
        make_cluster(api, namespace)
    operator, task = start(api, "a", "b")
    async with asyncio.timeout(60):
        await operator.ready.wait()
    await asyncio.sleep(300)
    assert (pods(api, "a"), pods(api, "b")) == (2, 0)
    assert operator.unready() == operator.problems() == []
    [gap] = operator.limitations()
    assert gap.startswith(f"{resource} in b not listed yet: {error}; not reconciled there: DaskCluster, Dask")

    api.refused.clear()
    await asyncio.sleep(60)
    assert (pods(api, "a"), pods(api, "b")) == (2, 2)
    assert operator.limitations() == []
    task.cancel()


@pytest.mark.looptime
async def test_a_namespace_in_which_rights_are_lost_is_left_alone_until_they_are_back():
    """Without events of pods it would otherwise replace workers that it does not see, for example."""
    api = Api()
    for namespace in "ab":
        make_cluster(api, namespace)
    operator, task = start(api, "a", "b", watch_seconds=10)
    await asyncio.sleep(60)
    api.refused = {PODS.path("b"): FORBIDDEN}
    await asyncio.sleep(60)
    for namespace in "ab":
        spec = {"worker": {"replicas": 3}}
        api.model.patch(Key(DASK_WORKER_GROUPS, namespace, "c-default"), {"spec": spec})
    await asyncio.sleep(60)
    assert (pods(api, "a"), pods(api, "b")) == (4, 2)
    [gap] = operator.limitations()
    assert gap.startswith(f"pods in b not watched any more: {FORBIDDEN}")
    assert operator.unready() == operator.problems() == []
    api.refused.clear()
    await asyncio.sleep(60)
    assert (pods(api, "a"), pods(api, "b")) == (4, 4)
    task.cancel()


@pytest.mark.looptime
async def test_nothing_can_be_watched():
    api = Api()
    api.refused = {PODS.path(namespace): UNKNOWN for namespace in "ab"}
    make_cluster(api, "a")  # it waits, which is no reason for a restart
    operator, task = start(api, "a", "b")
    await asyncio.sleep(300)
    assert not operator.ready.is_set()
    assert len(operator.unready()) == 2
    assert operator.problems() == []
    api.refused.clear()
    async with asyncio.timeout(60):
        await operator.ready.wait()
    task.cancel()


OTHER = Resource("example.org", "v1", "Other", "others")


async def _nothing(_key, _world):
    return None


@pytest.mark.looptime
async def test_a_plugin_whose_kind_is_missing_does_not_stop_the_others():
    api, reconciled = Api(), []

    async def reconcile(key, _world):
        reconciled.append(key)

    other = Plugin(
        watches=(Watched(OTHER),),
        reconcilers=(
            Reconciler(OTHER, reconcile, triggers={DASK_CLUSTERS: lambda *_: [Key(OTHER, "a", "x")]}),
        ),
    )
    api.refused = {OTHER.path("a"): UNKNOWN}
    make_cluster(api, "a")
    operator, task = start(api, "a", plugins=(plugin.PLUGIN, other))
    await asyncio.sleep(100)
    assert pods(api, "a") == 2
    assert reconciled == []
    [gap] = operator.limitations()
    assert gap.endswith("; not reconciled there: Other")
    task.cancel()


BUILT_IN = frozenset(watched.resource for watched in plugin.PLUGIN.watches)


def with_watches(*resources, triggers=()):
    reconciler = Reconciler(resources[0], _nothing, triggers=dict.fromkeys(triggers, lambda *_: []))
    return Plugin(watches=tuple(map(Watched, resources)), reconcilers=(reconciler,))


@pytest.mark.parametrize(
    "plugin_, needs",
    [
        pytest.param(plugin.PLUGIN, BUILT_IN, id="the built-in one needs no other"),
        pytest.param(with_watches(OTHER), {OTHER}, id="one on its own"),
        pytest.param(with_watches(OTHER, JOBS), {OTHER, JOBS}, id="all that it watches"),
        pytest.param(
            with_watches(DASK_AUTOSCALERS, triggers=[DASK_CLUSTERS]),
            {DASK_AUTOSCALERS} | BUILT_IN,
            id="one that reacts to clusters needs what is known of clusters",
        ),
        pytest.param(with_watches(OTHER, PODS, triggers=[PODS]), {OTHER, PODS}, id="its own watch suffices"),
    ],
)
def test_what_a_reconciler_needs(plugin_, needs):
    plugins = [plugin.PLUGIN, plugin_]
    for reconciler in plugin_.reconcilers:
        assert needed(reconciler, plugin_, plugins) == needs


@pytest.mark.looptime
async def test_liveness_is_green_while_pods_are_created_slowly():
    """450 pods at two writes per second take 225 s in one reconcile."""
    api = Api()
    make_cluster(api, "a", replicas=450)
    operator, task = start(api, "a", api_rate=2.0)
    longest, until = 0.0, asyncio.get_running_loop().time() + 400
    while asyncio.get_running_loop().time() < until:
        await asyncio.sleep(1)
        longest = max(longest, operator.queue.longest_wait())
        assert operator.problems() == []
    assert longest > STUCK_SECONDS
    assert pods(api, "a") == 451
    task.cancel()


@pytest.mark.looptime
async def test_liveness_is_red_if_there_is_work_and_nothing_ends():
    class Hanging(Api):
        async def create(self, path, body, **options):
            if path in {PODS.path("a"), SERVICES.path("a"), DASK_WORKER_GROUPS.path("a")}:
                await asyncio.Event().wait()
            return await super().create(path, body, **options)

    api = Hanging()
    make_cluster(api, "a")
    operator, task = start(api, "a")
    await asyncio.sleep(STUCK_SECONDS - 1)
    assert operator.problems() == []
    await asyncio.sleep(60)
    [problem] = operator.problems()
    assert problem.startswith("the work queue has been stuck for")
    task.cancel()


@pytest.mark.looptime
async def test_liveness_is_red_only_if_no_watch_has_data():
    class Silent(Api):
        silent = ()

        async def watch(self, path, **parameters):
            if path in self.silent:
                await asyncio.sleep(1e6)
            async for event in super().watch(path, **parameters):
                yield event

    api = Silent()
    operator, task = start(api, "a", watch_seconds=10)
    await asyncio.sleep(60)
    api.silent = {PODS.path("a")}
    await asyncio.sleep(60)
    assert operator.problems() == []
    [limitation] = operator.limitations()
    assert limitation.startswith("nothing received from the API server for pods in a for")
    api.silent = {informer.watched.resource.path("a") for informer in operator.informers}
    await asyncio.sleep(60)
    assert len(operator.problems()) == len(operator.informers)
    task.cancel()
