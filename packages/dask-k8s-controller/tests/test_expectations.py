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
    assert expectations.doubted("owner") == []
    assert expectations.creations("owner", now=3) == set()
    assert expectations.doubted("owner") == [KEY]
    assert expectations.doubted("other") == []
    expectations.observe(shown())
    assert expectations.doubted("owner") == []


def test_an_owner_that_is_gone_leaves_no_doubt(expectations):
    expectations.expect_creation("owner", KEY, now=0)
    assert expectations.creations("owner", now=30) == set()
    expectations.observe(gone("another"))
    assert expectations.doubted("owner") == [KEY]
    expectations.observe(Change(shown("o").record._replace(uid="owner"), deleted=True))
    assert expectations.doubted("owner") == []


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
