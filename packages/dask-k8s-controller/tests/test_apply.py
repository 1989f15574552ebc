"""Plans applied to an API server that refuses, is slow or does not answer. Time is virtual."""

import asyncio
from random import Random

import pytest

from dask_k8s_controller.runtime.apply import Applier
from dask_k8s_controller.runtime.cache import Cache
from dask_k8s_controller.runtime.clock import Clock
from dask_k8s_controller.runtime.expectations import Expectations
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.plan import Create, Delete, Event, Patch, Plan
from dask_k8s_controller.runtime.throttle import Throttle
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_WORKER_GROUPS, EVENTS, PODS

from .builders import WATCHES, cluster, group, owned_by, pod
from .simulation.faults import Faults, ModelApi
from .simulation.model import Model

pytestmark = pytest.mark.looptime

GROUP = Key(DASK_WORKER_GROUPS, "ns", "c-default")
OWNER = owned_by("DaskWorkerGroup", "c-default", "owner")
QUOTA = ApiError(403, "Forbidden", "exceeded quota: q")
SILENCE = ApiError(0, "Unreachable", "no answer")


class Server(ModelApi):
    """A model that takes a second for each write, and raises the errors that a test sets."""

    def __init__(self):
        super().__init__(Model(Random(1)), Faults(latency=0.0, lag=0.0))
        self.errors = {}
        self.at_a_time = []
        self.running = 0

    async def _write(self, verb, key, *args, **more):
        self.running += 1
        self.at_a_time.append(self.running)
        await asyncio.sleep(1)
        self.running -= 1
        if error := self.errors.get(key.name):
            raise error
        return await super()._write(verb, key, *args, **more)


class Stand:
    """An applier and all its parts."""

    def __init__(self):
        self.server = Server()
        # Otherwise the garbage collector deletes its dependents.
        self.server.model.objects[Key(DASK_WORKER_GROUPS, "ns", "owner")] = group("owner", uid="owner")
        self.clock = Clock()
        self.now = self.clock.monotonic
        self.expectations = Expectations()
        self.cache = Cache(WATCHES, lambda change: self.changed.append(change.record.key.name))
        self.changed = []
        self.throttle = Throttle(slots=8, rate=1e6)
        self.applier = Applier(self.server, self.cache, self.throttle, self.expectations, self.clock)

    async def apply(self, **plan):
        """Carry out a plan; return the errors as text."""
        outcome = await self.applier.apply(GROUP, "owner", Plan(**plan))
        return [str(error) for error in outcome.errors]

    def names(self, resource=PODS):
        return sorted(body["metadata"]["name"] for body in self.server.model.all(resource))

    def expected(self):
        return sorted(key.name for key in self.expectations.creations("owner", now=self.now()))


@pytest.fixture
async def stand():
    return Stand()


def creations(*names, owner=OWNER):
    """Creations of equal pods."""
    manifest = pod("", owner=owner)
    return tuple(Create(PODS, manifest, name) for name in names)


def numbered(number):
    return creations(*(f"w{at:03}" for at in range(number)))


async def test_creations_start_slowly_up_to_the_limit(stand):
    assert await stand.apply(create=numbered(100)) == []
    assert len(stand.names()) == 100
    assert stand.server.at_a_time[:4] == [1, 2, 3, 1]
    assert max(stand.server.at_a_time) == 8
    # 3, 6 and then 8 at a time.
    assert stand.now() == pytest.approx(2 + 12, abs=0.1)
    assert stand.expected() == stand.names()


async def test_a_quota_costs_a_few_refused_requests(stand):
    stand.server.errors = dict.fromkeys((create.key.name for create in numbered(100)), QUOTA)
    errors = await stand.apply(create=numbered(100))
    assert errors == [f"create Pod ns/w00{at}: Forbidden: exceeded quota: q" for at in range(3)]
    assert len(stand.server.at_a_time) == 3
    assert stand.expected() == []


async def test_different_objects_are_created_at_once_whatever_becomes_of_each(stand):
    stand.server.errors = {"b": QUOTA}
    different = tuple(Create(PODS, pod(name, owner=OWNER)) for name in "abcdef")
    assert await stand.apply(create=different) == ["create Pod ns/b: Forbidden: exceeded quota: q"]
    assert stand.names() == list("acdef")
    assert stand.now() == pytest.approx(1, abs=0.1)


async def test_after_a_refusal_nothing_more_is_tried_and_what_is_under_way_counts(stand):
    stand.server.errors = {"w010": QUOTA}
    assert await stand.apply(create=numbered(100)) == ["create Pod ns/w010: Forbidden: exceeded quota: q"]
    assert "w010" not in stand.names()
    assert 7 < len(stand.names()) < 20
    assert stand.expected() == stand.names()


async def test_the_rest_of_the_plan_goes_on_after_a_failure(stand):
    stand.server.errors = {"w000": QUOTA}
    stand.server.model.create(GROUP, group())
    service = Create(next(key for key in WATCHES if key.plural == "services"), pod("s"))
    errors = await stand.apply(
        create=(*numbered(3), service), events=(Event(group(), "LegacyCommand", "started it otherwise"),)
    )
    assert errors == ["create Pod ns/w000: Forbidden: exceeded quota: q"]
    assert stand.names(service.resource) == ["s"]
    assert len(stand.names(EVENTS)) == 1


async def test_errors_come_in_the_order_of_the_plan(stand):
    uid = stand.server.model.create(Key(PODS, "ns", "old"), pod("old"))["metadata"]["uid"]
    stand.server.errors = {"w000": QUOTA, "old": QUOTA}
    errors = await stand.apply(create=numbered(1), delete=(Delete(Key(PODS, "ns", "old"), uid),))
    assert [error.split(":")[0] for error in errors] == ["create Pod ns/w000", "delete Pod ns/old"]


async def test_what_exists_and_is_ours_is_as_good_as_created(stand):
    stand.server.model.create(Key(PODS, "ns", "w000"), pod("w000", owner=OWNER))
    assert await stand.apply(create=numbered(2)) == []
    assert stand.names() == stand.expected() == ["w000", "w001"]


@pytest.mark.parametrize(
    "owner, whose",
    [
        pytest.param(owned_by("DaskWorkerGroup", "other", "other"), "DaskWorkerGroup other", id="another's"),
        pytest.param(OWNER | {"kind": "DaskCluster"}, "DaskCluster c-default", id="another kind's"),
        pytest.param(None, "nobody", id="nobody's"),
    ],
)
async def test_what_exists_and_is_not_ours_is_left_alone(stand, owner, whose):
    stand.server.model.create(Key(PODS, "ns", "w000"), pod("w000", owner=owner))
    [error] = await stand.apply(create=numbered(1))
    assert f"Pod ns/w000 exists and is controlled by {whose}: delete or rename one of the two" in error
    assert stand.expected() == []


async def test_what_is_named_by_its_content_is_not_read(stand, monkeypatch):
    """One that exists is as good, whoever created it: the controller may have no right to read it."""
    monkeypatch.setattr(stand.server, "get", None)
    stand.server.model.create(Key(PODS, "ns", "w000"), pod("w000"))
    create = Create(PODS, pod("w000", owner=OWNER), named_by_content=True)
    assert await stand.apply(create=(create,)) == []
    assert stand.expected() == ["w000"]
    await asyncio.sleep(stand.expectations.timeout)
    # From then on it may be created again.
    assert stand.expected() == []


async def test_what_nobody_answered_is_expected_for_a_short_while(stand):
    stand.server.errors = {"w000": SILENCE}
    assert len(await stand.apply(create=numbered(1))) == 1
    assert stand.expected() == ["w000"]
    await asyncio.sleep(stand.expectations.unanswered_timeout)
    assert stand.expected() == []


async def test_a_429_holds_up_all_that_comes_after(stand):
    stand.server.errors = {"w000": ApiError(429, "TooManyRequests", "later", retry_after=20.0)}
    await stand.apply(create=numbered(1))
    stand.server.errors = {}
    await stand.apply(create=creations("next"))
    assert stand.now() == pytest.approx(1 + 20 + 1, abs=0.1)


def known(stand, key, body):
    """An object that the cache knows."""
    made = stand.server.model.create(key, body)
    record = stand.cache.record(key.resource, made)
    stand.cache.set(record)
    stand.changed.clear()
    return record


async def test_the_answer_to_a_patch_reaches_the_cache_at_once(stand):
    known(stand, GROUP, group(replicas=3))
    assert await stand.apply(patch=(Patch(GROUP, {"spec": {"worker": {"replicas": 5}}}),)) == []
    assert stand.cache.get(GROUP).value["spec"]["worker"]["replicas"] == 5
    assert stand.changed == ["c-default"]


async def test_a_patch_that_others_were_faster_than_is_left_to_the_next_turn(stand):
    record = known(stand, GROUP, group(replicas=3))
    stand.server.model.patch(GROUP, {"spec": {"worker": {"replicas": 8}}})
    patch = {"metadata": {"resourceVersion": str(record.version)}, "spec": {"worker": {"replicas": 5}}}
    assert await stand.apply(patch=(Patch(GROUP, patch),)) == []
    assert stand.server.model.get(GROUP)["spec"]["worker"]["replicas"] == 8


async def test_a_patch_of_what_is_gone_is_done(stand):
    assert await stand.apply(patch=(Patch(GROUP, {"spec": {}}),)) == []


@pytest.mark.parametrize(
    "owner, adopted",
    [
        pytest.param("the one that adopts", True, id="it is there"),
        pytest.param("another of its name", False, id="another of its name is there"),
        pytest.param(None, False, id="it is gone"),
    ],
)
async def test_only_who_still_exists_adopts(stand, owner, adopted):
    known(stand, GROUP, group())
    key = Key(DASK_CLUSTERS, "ns", "c")
    uid = "uid-of-the-one-that-adopts"
    if owner is not None:
        made = stand.server.model.create(key, cluster())["metadata"]["uid"]
        uid = made if adopted else uid
    patch = Patch(
        GROUP, {"metadata": {"ownerReferences": [owned_by("DaskCluster", "c", uid)]}}, needs_owner=True
    )
    outcome = await stand.applier.apply(key, uid, Plan(patch=(patch,)))
    assert not outcome.errors
    assert ("ownerReferences" in stand.server.model.get(GROUP)["metadata"]) is adopted


async def test_what_is_deleted_goes_and_counts_as_going(stand):
    record = known(stand, Key(PODS, "ns", "w"), pod("w", owner=OWNER))
    assert await stand.apply(delete=(Delete(record.key, record.uid),)) == []
    assert "deletionTimestamp" in stand.server.model.get(record.key)["metadata"]
    assert stand.expectations.expects_deletion(record.uid, now=stand.now())


async def test_another_object_of_the_name_is_not_deleted(stand):
    record = known(stand, Key(PODS, "ns", "w"), pod("w", owner=OWNER))
    assert await stand.apply(delete=(Delete(record.key, "uid-of-the-one-before"),)) == []
    assert "deletionTimestamp" not in stand.server.model.get(record.key)["metadata"]


async def test_what_has_changed_meanwhile_is_not_deleted_for_what_it_was(stand):
    record = known(stand, Key(PODS, "ns", "w"), pod("w", owner=OWNER))
    stand.server.model.patch(record.key, {"status": {"phase": "Running"}}, status=True)
    assert await stand.apply(delete=(Delete(record.key, record.uid, record.version),)) == []
    assert "deletionTimestamp" not in stand.server.model.get(record.key)["metadata"]
    assert not stand.expectations.expects_deletion(record.uid, now=stand.now())


async def test_what_is_gone_is_deleted(stand):
    assert await stand.apply(delete=(Delete(Key(PODS, "ns", "w"), "uid"),)) == []


@pytest.mark.parametrize(
    "error, seconds",
    [
        pytest.param(QUOTA, 0, id="refused"),
        pytest.param(SILENCE, Expectations().unanswered_timeout, id="not answered"),
    ],
)
async def test_a_deletion_that_failed_is_not_believed_for_long(stand, error, seconds):
    record = known(stand, Key(PODS, "ns", "w"), pod("w", owner=OWNER))
    stand.server.errors = {"w": error}
    assert len(await stand.apply(delete=(Delete(record.key, record.uid),))) == 1
    assert stand.expectations.expects_deletion(record.uid, now=stand.now()) is (seconds > 0)
    await asyncio.sleep(seconds)
    assert not stand.expectations.expects_deletion(record.uid, now=stand.now())


async def test_an_event_is_created_once(stand):
    event = Event(group(), "LegacyCommand", "started it otherwise")
    await stand.apply(events=(event,))
    assert await stand.apply(events=(event,)) == []
    [created] = stand.server.model.all(EVENTS)
    assert created["involvedObject"]["name"] == "c-default"
    assert (created["reason"], created["message"], created["type"]) == (
        "LegacyCommand",
        event.message,
        "Normal",
    )


async def test_a_plan_can_be_read():
    patch, delete = Patch(GROUP, {}), Delete(Key(PODS, "ns", "w"), "uid")
    plan = Plan(creations("v"), (patch,), (delete,), (Event(group(), "LegacyCommand", "…"),))
    assert str(plan).splitlines() == [
        "create Pod ns/v",
        "patch DaskWorkerGroup ns/c-default",
        "delete Pod ns/w",
        "report LegacyCommand for DaskWorkerGroup ns/c-default",
    ]
    assert plan
    assert not Plan()
    assert str(Plan()) == "nothing to do"
