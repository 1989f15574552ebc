"""What a reconcile sees: the cache, corrected by what was written; and when it reports. Time is virtual."""

import asyncio
from random import Random

import pytest

from dask_k8s_controller.app.operator import Operator
from dask_k8s_controller.app.settings import Settings
from dask_k8s_controller.dask import plugin
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.plan import Create, Delete, Plan
from dask_k8s_controller.runtime.results import After
from dask_k8s_controller.runtime.signing_key import SigningKey
from dask_k8s_crds import names
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS, SECRETS

from .builders import cluster, group, owned_by, pod
from .simulation.faults import Faults, ModelApi
from .simulation.model import Model

pytestmark = pytest.mark.looptime(start=1000)

GROUP = Key(DASK_WORKER_GROUPS, "ns", "c-default")
POD = Key(PODS, "ns", "w")


class Stand:
    """A world that nobody reconciles."""

    def __init__(self):
        self.server = ModelApi(Model(Random(1)), Faults(latency=0.0, lag=0.0))
        key = SigningKey(self.server, Key(SECRETS, "home", names.AGENT_KEY))
        self.operator = Operator(self.server, [plugin.PLUGIN], Settings(namespaces=("ns",)), key)
        self.world = self.operator.loop.world
        self.model = self.server.model
        self.uid = self.model.create(GROUP, group())["metadata"]["uid"]
        self.owner = owned_by("DaskWorkerGroup", "c-default", self.uid)
        self.group = self.see(GROUP)

    def see(self, key):
        """Let the cache know the newest state."""
        record = self.operator.cache.record(key.resource, self.model.get(key))
        self.operator.cache.set(record)
        return record

    async def report(self, status):
        """Report on the group as the cache shows it."""
        return await self.world.report(self.world.get(GROUP), status)

    def conditions(self):
        return {each["type"]: each["status"] for each in self.status()["conditions"]}

    def owned(self):
        return [(record.key.name, record.deleting) for record in self.world.owned(self.group, PODS)]

    def status(self):
        return self.model.get(GROUP).get("status")


@pytest.fixture
async def stand():
    stand = Stand()
    await stand.operator.signing_key.load()
    return stand


async def test_what_was_created_is_expected_until_it_is_seen(stand):
    plan = Plan(create=(Create(PODS, pod("w", owner=stand.owner)),))
    await stand.world.apply(GROUP, stand.uid, plan)
    assert stand.owned() == []
    assert stand.world.expected(stand.group, PODS) == {"w"}
    assert stand.world.expected(stand.group, DASK_WORKER_GROUPS) == set()
    stand.see(POD)
    assert stand.owned() == [("w", False)]
    assert stand.world.expected(stand.group, PODS) == set()


@pytest.mark.parametrize(
    "namespace, change",
    [
        pytest.param("elsewhere", {}, id="in another namespace"),
        pytest.param("ns", {"kind": "DaskWorkerGroup"}, id="of another kind"),
        pytest.param("ns", {"name": "other"}, id="of another name"),
    ],
)
async def test_a_pod_that_only_claims_the_cluster_is_not_its_scheduler(stand, namespace, change):
    key = Key(DASK_CLUSTERS, "ns", "c")
    uid = stand.model.create(key, cluster())["metadata"]["uid"]
    owner = owned_by("DaskCluster", "c", uid)
    running = {"status": {"phase": "Running", "podIP": "192.0.2.1", "containerStatuses": []}}
    claims = Key(PODS, namespace, "older")
    stand.model.create(claims, pod("older", namespace=namespace, owner=owner | change))
    stand.model.patch(claims, running, status=True)
    stand.see(claims)
    assert stand.world.agent(stand.see(key)) is None
    own = Key(PODS, "ns", "c-scheduler")
    stand.model.create(own, pod("c-scheduler", owner=owner))
    stand.model.patch(own, running, status=True)
    stand.see(own)
    assert stand.world.agent(stand.see(key)).endpoint.pod.name == "c-scheduler"


async def test_what_was_deleted_counts_as_going(stand):
    stand.model.create(POD, pod("w", owner=stand.owner))
    record = stand.see(POD)
    assert stand.owned() == [("w", False)]
    await stand.world.apply(GROUP, stand.uid, Plan(delete=(Delete(POD, record.uid),)))
    assert stand.owned() == [("w", True)]


@pytest.mark.parametrize(
    "lost, seconds",
    [pytest.param(0.0, 30.0, id="never seen"), pytest.param(1.0, 1.5, id="never answered")],
)
async def test_a_write_is_looked_after_whatever_turns_come_before(stand, lost, seconds):
    stand.server.faults = Faults(latency=0.0, lost=lost)
    await stand.world.apply(GROUP, stand.uid, Plan(create=(Create(PODS, pod("w", owner=stand.owner)),)))
    queue = stand.operator.queue
    queue.put_after(GROUP, 0.5)
    async with asyncio.timeout(seconds + 1):
        while asyncio.get_running_loop().time() < 1000 + seconds:
            queue.done(await queue.get())
    assert stand.world.expected(stand.group, PODS) == set()


async def test_a_report_is_written_if_it_differs(stand):
    assert await stand.report({"replicas": 3, "retiring": 0}) is None
    assert stand.status() == {"replicas": 3, "retiring": 0}
    writes = stand.server.writes
    await asyncio.sleep(5)
    # The answer is in the cache: nothing has to be seen first.
    assert await stand.report({"replicas": 3, "retiring": 0}) is None
    assert stand.server.writes == writes


async def test_what_is_not_reported_any_more_is_removed(stand):
    await stand.report({"replicas": 3, "retiring": 1})
    await asyncio.sleep(5)
    await stand.report({"replicas": 3})
    assert stand.status() == {"replicas": 3}


async def test_an_object_is_reported_on_once_a_second(stand):
    await stand.report({"replicas": 1})
    await asyncio.sleep(0.25)
    assert await stand.report({"replicas": 2}) == After(pytest.approx(0.75))
    assert stand.status() == {"replicas": 1}
    await asyncio.sleep(0.75)
    assert await stand.report({"replicas": 2}) is None
    assert stand.status() == {"replicas": 2}


async def test_a_successor_does_not_wait_for_the_one_before(stand):
    await stand.report({"replicas": 1})
    stand.model.vanish(GROUP)
    stand.operator.cache.remove(stand.operator.cache.get(GROUP))
    stand.model.create(GROUP, group())
    stand.see(GROUP)
    assert await stand.report({"replicas": 2}) is None
    assert stand.status() == {"replicas": 2}


@pytest.mark.parametrize("seen", [pytest.param(True, id="seen"), pytest.param(False, id="not seen")])
async def test_a_report_never_reaches_a_successor_of_the_same_name(stand, seen):
    record = stand.world.get(GROUP)
    stand.model.vanish(GROUP)
    stand.model.create(GROUP, group())
    if seen:
        stand.see(GROUP)
    await stand.world.report(record, {"replicas": 3})
    assert stand.status() is None


async def test_a_report_on_an_object_that_is_gone_writes_nothing(stand):
    record = stand.world.get(GROUP)
    stand.operator.cache.remove(record)
    stand.model.vanish(GROUP)
    writes = stand.server.writes
    assert await stand.world.report(record, {"replicas": 1}) is None
    assert stand.server.writes == writes


def ready(status="True"):
    return {"type": "Ready", "status": status}


FOREIGN = {"type": "CostsTooMuch", "status": "False"}


async def test_conditions_of_others_stay(stand):
    stand.model.patch(GROUP, {"status": {"conditions": [FOREIGN, ready("False")]}}, status=True)
    stand.see(GROUP)
    assert await stand.report({"conditions": [ready()]}) is None
    assert stand.status()["conditions"] == [FOREIGN, ready()]


async def test_a_condition_that_another_client_writes_during_a_turn_stays(stand):
    record = stand.world.get(GROUP)
    stand.model.patch(GROUP, {"status": {"conditions": [FOREIGN]}}, status=True)
    # The cache does not show it yet: the API server refuses the report, which is tried again.
    assert await stand.world.report(record, {"conditions": [ready()]}) == After(1.0)
    assert stand.conditions() == {"CostsTooMuch": "False"}
    # Now it does, while the turn still has the record from before.
    stand.see(GROUP)
    await asyncio.sleep(1)
    assert await stand.world.report(record, {"conditions": [ready()]}) is None
    assert stand.conditions() == {"CostsTooMuch": "False", "Ready": "True"}


async def test_what_another_client_removes_or_changes_during_a_turn_is_not_written_back(stand):
    other = FOREIGN | {"type": "Other"}
    stand.model.patch(GROUP, {"status": {"conditions": [FOREIGN, other]}}, status=True)
    record = stand.see(GROUP)
    changed = FOREIGN | {"status": "True"}
    stand.model.patch(GROUP, {"status": {"conditions": [changed]}}, status=True)
    stand.see(GROUP)
    await stand.world.report(record, {"conditions": [ready()]})
    assert stand.conditions() == {"CostsTooMuch": "True", "Ready": "True"}


async def test_a_refused_report_is_an_error_and_is_tried_again_a_second_later(stand):
    stand.server.faults = Faults(refused=1.0)
    with pytest.raises(ApiError):
        await stand.report({"replicas": 1})
    stand.server.faults = Faults()
    assert isinstance(await stand.report({"replicas": 1}), After)
    await asyncio.sleep(1)
    assert await stand.report({"replicas": 1}) is None


async def test_a_kind_without_the_status_subresource_is_an_error_that_says_what_to_do(stand):
    async def patch(path, body, **_):
        raise ApiError(404, "NotFound", "the server could not find the requested resource")

    stand.server.patch = patch
    with pytest.raises(ApiError, match="has no status subresource; apply the CRDs") as raised:
        await stand.report({"replicas": 1})
    assert raised.value.status == 404


async def test_a_token_is_that_of_one_cluster(stand):
    """And of one key: the same in all controllers of an installation, another one after it was replaced."""
    cluster_of = stand.group._replace
    records = [
        cluster_of(key=Key(DASK_CLUSTERS, namespace, name), uid=uid)
        for namespace in ("ns", "other")
        for name in ("c", "d")
        for uid in ("1", "2")
    ]
    tokens = {(each.key.namespace, each.uid): stand.world.agent_token(each) for each in records}
    assert len(set(tokens.values())) == 4
    again = Stand()
    await again.operator.signing_key.load()
    assert not set(tokens.values()) & {again.world.agent_token(each) for each in records}
