"""Writes that the watch has not shown yet count until they expire. Time is a number that is passed in."""

import random

import pytest

from dask_k8s_controller.runtime.cache import Cache, Change
from dask_k8s_controller.runtime.expectations import Expectations
from dask_k8s_crds.resources import DASK_WORKER_GROUPS, PODS

from .builders import WATCHES, group, owned_by, pod, record

OWNER = owned_by("DaskWorkerGroup", "c-default", "owner")
GROUP = record(DASK_WORKER_GROUPS, group("c-default", uid="owner"))


def shown(name="w", **more):
    return Change(record(PODS, pod(name, owner=OWNER, **more)))


def gone(name="w", **more):
    return Change(record(PODS, pod(name, owner=OWNER, **more)), deleted=True)


KEY = shown().record.key
UID = shown().record.uid


@pytest.fixture
def expectations():
    return Expectations(timeout=30.0, unanswered_timeout=3.0)


def test_what_was_created_counts_until_it_is_seen(expectations):
    expectations.expect_creation("owner", KEY, now=0)
    assert expectations.creations("owner", now=29) == {KEY}
    assert expectations.creations("other", now=29) == set()
    expectations.observe(shown())
    assert expectations.creations("owner", now=29) == set()


def test_what_was_refused_does_not_count(expectations):
    expectations.expect_creation("owner", KEY, now=0)
    expectations.drop_creation(KEY)
    assert expectations.creations("owner", now=0) == set()


def test_what_is_never_seen_counts_until_the_deadline(expectations):
    expectations.expect_creation("owner", KEY, now=0)
    assert expectations.creations("owner", now=29.9) == {KEY}
    assert expectations.creations("owner", now=30) == set()
    expectations.expect_creation("owner", KEY, now=31)
    assert expectations.creations("owner", now=60) == {KEY}


def test_what_is_never_seen_may_exist_all_the_same(expectations):
    expectations.expect_creation("owner", KEY, now=0)
    expectations.creation_unanswered(KEY, now=0)
    assert expectations.doubted("owner", now=2) == []
    assert expectations.creations("owner", now=3) == set()
    assert expectations.doubted("owner", now=3) == [KEY]
    assert expectations.doubted("other", now=3) == []
    expectations.observe(shown())
    assert expectations.doubted("owner", now=3) == []


def test_an_owner_that_is_gone_leaves_no_doubt(expectations):
    expectations.expect_creation("owner", KEY, now=0)
    assert expectations.creations("owner", now=30) == set()
    expectations.observe(gone("another"))
    assert expectations.doubted("owner", now=30) == [KEY]
    expectations.observe(Change(shown("o").record._replace(uid="owner"), deleted=True))
    assert expectations.doubted("owner", now=30) == []


def test_what_nobody_asks_for_any_more_is_forgotten(expectations):
    """As of owners and objects that were deleted before our own request about them ended."""
    for number in range(100):
        key = KEY._replace(name=f"w{number}")
        expectations.expect_creation(f"owner-{number}", key, now=number)
        expectations.expect_deletion(f"uid-{number}", now=number)
    for now in (1000.0, 2000.0):
        expectations.expect_creation("last", KEY, now=now)
        expectations.expect_deletion("last", now=now)
        tables = (getattr(expectations, name) for name in expectations.__slots__)
        assert [len(table) for table in tables if not isinstance(table, float)] == [1, 1, 1]
    assert expectations.creations("last", now=2001) == {KEY}


def test_a_watch_that_shows_one_object_does_not_look_at_all_others(expectations):
    """The time of an operation does not grow with the number of expectations."""

    class Counted(str):
        __slots__ = ()
        compared = 0

        def __eq__(self, other):
            Counted.compared += 1
            return super().__eq__(other)

        __hash__ = str.__hash__

    for number in range(1000):
        expectations.expect_creation(Counted("owner"), KEY._replace(name=f"w{number}"), now=0)
    expectations.creations("owner", now=31)
    Counted.compared = 0
    expectations.observe(gone("another"))
    assert Counted.compared < 10


def test_a_ghost_that_came_and_went_before_the_answer_does_not_count(expectations):
    expectations.expect_creation("owner", KEY, now=0)
    expectations.observe(shown())
    expectations.observe(gone())
    # The POST answers only now, and nobody expects anything again.
    assert expectations.creations("owner", now=3) == set()


def test_a_ghost_of_which_only_the_end_was_seen_does_not_count(expectations):
    expectations.expect_creation("owner", KEY, now=0)
    expectations.observe(gone())
    assert expectations.creations("owner", now=3) == set()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(shown(deletion=-30), id="it terminates"),
        pytest.param(gone(), id="it is gone"),
    ],
)
def test_what_was_deleted_counts_as_deleted_until_that_is_seen(expectations, change):
    expectations.expect_deletion(UID, now=0)
    expectations.observe(shown())
    assert expectations.expects_deletion(UID, now=1)
    expectations.observe(change)
    assert not expectations.expects_deletion(UID, now=2)


def test_a_deletion_that_was_refused_does_not_count(expectations):
    expectations.expect_deletion(UID, now=0)
    expectations.drop_deletion(UID)
    assert not expectations.expects_deletion(UID, now=0)


def test_a_deletion_that_is_never_seen_counts_until_the_deadline(expectations):
    expectations.expect_deletion(UID, now=0)
    assert expectations.expects_deletion(UID, now=29.9)
    assert not expectations.expects_deletion(UID, now=30)


def test_a_lagging_watch_never_shows_less_than_there_is():
    """Whatever was made and not deleted is in the cache or expected, however late the watch is."""
    draw = random.Random(7)
    expectations = Expectations(timeout=1e9)
    cache = Cache(WATCHES, expectations.observe)
    world, events, now = {}, [], 0.0
    for step in range(3000):
        now += 1
        match draw.choice(["create", "create", "vanish", "watch", "watch"]):
            case "create":
                made = shown(f"w{step}").record
                expectations.expect_creation("owner", made.key, now=now)
                world[made.key] = made
                events.append((cache.set, made))
            case "vanish" if world:
                events.append((cache.remove, world.pop(draw.choice(sorted(world)))))
            case "watch" if events:
                apply, record = events.pop(0)
                apply(record)
        believed = {record.key for record in cache.owned(GROUP, PODS)}
        expected = expectations.creations("owner", now=now)
        assert set(world) <= believed | expected
        assert len(world) + len(events) >= len(believed | expected)
    for apply, record in events:
        apply(record)
    assert {record.key for record in cache.owned(GROUP, PODS)} == set(world)
    assert expectations.creations("owner", now=now) == set()
