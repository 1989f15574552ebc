"""What the status of an object shows that the controller cannot read, or fails for. Time is virtual."""

import asyncio
from random import Random

import pytest

from dask_k8s_controller.app.operator import Operator
from dask_k8s_controller.app.settings import Settings
from dask_k8s_controller.dask import plugin
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.plugin import Plugin, Reconciler
from dask_k8s_controller.runtime.signing_key import SigningKey
from dask_k8s_crds import labels
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.names import AGENT_KEY
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS, SECRETS

from .builders import cluster, group, pod
from .properties import nested
from .simulation.faults import Faults, ModelApi
from .simulation.model import Model

pytestmark = pytest.mark.looptime


class Stand:
    """A controller on an API server in virtual time."""

    def __init__(self, plugins=(plugin.PLUGIN,)):
        self.model = Model(Random(1))
        self.server = ModelApi(self.model, Faults(latency=0.0, lag=0.0))
        key = SigningKey(self.server, Key(SECRETS, "home", AGENT_KEY))
        self.operator = Operator(self.server, plugins, Settings(namespaces=("ns",)), key)

    def create(self, body, resource):
        key = Key(resource, "ns", body["metadata"]["name"])
        self.model.create(key, body)
        return key

    def degraded(self, key):
        found = self.model.get(key).get("status", {}).get("conditions", ())
        return next(((each["status"], each["reason"]) for each in found if each["type"] == "Degraded"), None)

    def pods(self):
        return sorted(body["metadata"]["name"] for body in self.model.all(PODS))


@pytest.fixture
async def stand():
    stand = Stand()
    task = asyncio.create_task(stand.operator.run())
    await stand.operator.ready.wait()
    yield stand
    assert not task.done(), task.exception()
    task.cancel()
    await asyncio.wait([task])


async def test_an_object_of_ours_shows_that_it_cannot_be_read(stand):
    body = group()
    body["spec"]["worker"]["spec"]["x"] = nested(300)
    key = stand.create(body, DASK_WORKER_GROUPS)
    await asyncio.sleep(60)
    assert stand.degraded(key) == ("True", "Unreadable")
    [condition] = stand.model.get(key)["status"]["conditions"]
    assert "nested more than 254 levels deep" in condition["message"]
    writes = stand.server.writes
    stand.model.patch(key, {"metadata": {"labels": {"a": "b"}}})
    await asyncio.sleep(600)
    assert stand.server.writes == writes, "the status is written once"

    stand.model.patch(key, {"spec": {"worker": {"spec": {"x": None}}}})
    await asyncio.sleep(60)
    assert stand.degraded(key) != ("True", "Unreadable")
    assert not stand.operator.cache.errors.unreadable


async def test_an_object_that_cannot_be_read_is_left_as_it_is(stand):
    own = stand.create(cluster(replicas=2), DASK_CLUSTERS)
    await asyncio.sleep(60)
    pods = stand.pods()
    assert len(pods) == 3
    default = Key(DASK_WORKER_GROUPS, "ns", "c-default")
    stand.model.patch(default, {"spec": {"worker": {"replicas": 1, "spec": {"x": nested(300)}}}})
    stand.model.patch(own, {"spec": {"suspend": True, "scheduler": {"spec": {"x": nested(300)}}}})
    await asyncio.sleep(60)
    assert stand.pods() == pods
    # The last state that can be read would have it replaced.
    stand.model.fail(Key(PODS, "ns", pods[0]))
    await asyncio.sleep(600)
    assert stand.pods() == pods
    assert stand.degraded(default) == stand.degraded(own) == ("True", "Unreadable")
    stand.model.delete(default)
    await asyncio.sleep(60)
    assert default not in stand.operator.cache.errors.unreadable


@pytest.mark.parametrize(
    "error, shown",
    [
        pytest.param(ValueError("no such thing"), ("True", "InternalError"), id="a defect"),
        pytest.param(asyncio.CancelledError(), None, id="something else was cancelled"),
        pytest.param(ApiError(403, "Forbidden", "no"), None, id="a refusal"),
    ],
)
async def test_a_reconcile_that_fails_is_tried_again_and_a_defect_is_shown(error, shown):
    async def fail(key, world):
        turns.append(key)
        raise error

    turns = []
    reconciler = Reconciler(DASK_WORKER_GROUPS, fail)
    stand = Stand(plugins=[Plugin(watches=plugin.PLUGIN.watches, reconcilers=(reconciler,))])
    task = asyncio.create_task(stand.operator.run())
    key = stand.create(group(), DASK_WORKER_GROUPS)
    await asyncio.sleep(60)
    assert not task.done()
    assert len(turns) > 3
    assert stand.degraded(key) == shown
    task.cancel()
    await asyncio.wait([task])


async def test_failures_of_4301_digits(stand):
    annotations = {labels.FAILURES: "9" * 4301}
    stand.create(pod("w", annotations=annotations), PODS)
    stand.create(cluster(replicas=1), DASK_CLUSTERS)
    await asyncio.sleep(60)
    assert len(stand.pods()) == 3
    assert stand.operator.cache.get(Key(PODS, "ns", "w")).value.failures == 0
