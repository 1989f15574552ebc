"""What the watches have shown, and what the listener is told of it."""

import gc
import random
import weakref

import pytest

from dask_k8s_controller.runtime.cache import Cache, What
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_crds.resources import DASK_WORKER_GROUPS, PODS, SERVICES

from .builders import WATCHES, group, owned_by, pod, service

OWNER = owned_by("DaskWorkerGroup", "c-default", "owner")
OTHER = owned_by("DaskWorkerGroup", "c-other", "other")


class Heard:
    """A cache, and what it told."""

    def __init__(self):
        self.cache = Cache(WATCHES, lambda change: self.changes.append((change.what, change.record.key.name)))
        self.changes = []

    def record(self, body, version=None, resource=PODS):
        if version is not None:
            body["metadata"]["resourceVersion"] = str(version)
        return self.cache.record(resource, body)

    def set(self, *args, **more):
        self.cache.set(self.record(*args, **more))

    def names(self, resource=PODS):
        return sorted(record.key.name for record in self.cache.all(resource))

    def clear(self):
        self.changes.clear()


@pytest.fixture
def heard():
    return Heard()


def test_a_record_says_whose_and_where_and_keeps_what_the_trim_left(heard):
    body = pod("w", owner=OWNER, ready=True, deletion=-9)
    body["metadata"]["ownerReferences"].insert(0, {"apiVersion": "v1", "kind": "X", "name": "x", "uid": "x"})
    record = heard.record(body, 7)
    assert record.key == Key(PODS, "ns", "w")
    assert (record.uid, record.version, record.deleting) == ("uid-of-w", 7, True)
    assert tuple(record.owner) == ("kubernetes.dask.org", "DaskWorkerGroup", "c-default", "owner")
    assert record.value.ready


def test_the_book_keeping_of_field_managers_stays_out(heard):
    body = group(managedFields=[{"manager": "kubectl"}])
    record = heard.record(body, resource=DASK_WORKER_GROUPS)
    assert "managedFields" not in record.value["metadata"]
    assert record.value["spec"] == body["spec"]
    assert "managedFields" in body["metadata"]


def test_what_is_set_is_found_by_name_owner_and_index(heard):
    heard.set(pod("w", owner=OWNER))
    heard.set(pod("x", owner=OTHER))
    heard.set(service(), resource=SERVICES)
    heard.set(group(), resource=DASK_WORKER_GROUPS)
    cache = heard.cache
    assert cache.get(Key(PODS, "ns", "w")).key.name == "w"
    assert cache.get(Key(PODS, "elsewhere", "w")) is None
    assert [record.key.name for record in cache.owned("owner", PODS)] == ["w"]
    assert cache.owned("owner", SERVICES) == []
    assert [record.key.name for record in cache.find(DASK_WORKER_GROUPS, "ns", "c")] == ["c-default"]
    assert cache.find(DASK_WORKER_GROUPS, "elsewhere", "c") == []
    assert cache.find(DASK_WORKER_GROUPS, "ns", "other") == []


def test_a_change_of_owner_or_index_moves_an_object(heard):
    heard.set(pod("w", owner=OWNER), 1)
    heard.set(pod("w", owner=OTHER), 2)
    assert heard.cache.owned("owner", PODS) == []
    assert len(heard.cache.owned("other", PODS)) == 1
    moved = group()
    moved["spec"]["cluster"] = "d"
    heard.set(group(), 3, resource=DASK_WORKER_GROUPS)
    heard.set(moved, 4, resource=DASK_WORKER_GROUPS)
    assert heard.cache.find(DASK_WORKER_GROUPS, "ns", "c") == []
    assert len(heard.cache.find(DASK_WORKER_GROUPS, "ns", "d")) == 1


def test_an_event_older_than_what_is_known_is_passed_over(heard):
    heard.set(pod("w", owner=OWNER, ready=True), 9)
    heard.clear()
    heard.set(pod("w", owner=OWNER), 7)
    heard.set(pod("w", owner=OWNER), 9)
    assert heard.cache.get(Key(PODS, "ns", "w")).value.ready
    assert heard.changes == []


def test_an_event_of_a_successor_is_taken(heard):
    heard.set(pod("w", uid="earlier"), 9)
    heard.set(pod("w", uid="later"), 10)
    assert heard.cache.get(Key(PODS, "ns", "w")).uid == "later"


def test_replace_tells_what_is_new_changed_and_gone_and_nothing_else(heard):
    for name in ("same", "changed", "gone"):
        heard.set(pod(name, owner=OWNER), 1)
    heard.set(pod("elsewhere", namespace="other"), 1)
    heard.clear()
    listed = [heard.record(pod("same"), 1), heard.record(pod("changed"), 2), heard.record(pod("new"), 3)]
    heard.cache.replace(PODS, "ns", listed)
    assert sorted(heard.changes, key=str) == sorted(
        [(What.GONE, "gone"), (What.SET, "changed"), (What.SET, "new")], key=str
    )
    assert heard.names() == ["changed", "elsewhere", "new", "same"]


def test_replace_in_all_namespaces_removes_in_all(heard):
    heard.set(pod("a"))
    heard.set(pod("b", namespace="other"))
    heard.cache.replace(PODS, None, [])
    assert heard.names() == []
    assert {name for what, name in heard.changes if what is What.GONE} == {"a", "b"}


def test_replace_tells_that_an_object_made_way_for_one_of_its_name(heard):
    heard.set(pod("w", uid="earlier"), 1)
    heard.clear()
    heard.cache.replace(PODS, "ns", [heard.record(pod("w", uid="later"), 2)])
    assert heard.changes == [(What.GONE, "w"), (What.SET, "w")]


def test_replace_is_believed_though_versions_went_back(heard):
    """As after a restore of the API server's data."""
    heard.set(pod("w", owner=OWNER, ready=True), 900)
    heard.cache.replace(PODS, "ns", [heard.record(pod("w", owner=OWNER), 5)])
    assert not heard.cache.get(Key(PODS, "ns", "w")).value.ready


@pytest.mark.parametrize(
    "known, answer, absorbed",
    [
        pytest.param(None, ("uid", 5), False, id="not known: it may be gone again"),
        pytest.param(("uid", 4), ("uid", 5), True, id="newer"),
        pytest.param(("uid", 5), ("uid", 5), False, id="the watch was as fast"),
        pytest.param(("uid", 6), ("uid", 5), False, id="the watch was faster"),
        pytest.param(("later", 4), ("uid", 5), False, id="another of this name"),
    ],
)
def test_absorb(heard, known, answer, absorbed):
    if known is not None:
        heard.set(pod("w", uid=known[0]), known[1])
        heard.clear()
    uid, version = answer
    heard.cache.absorb(heard.record(pod("w", uid=uid, ready=True), version))
    assert heard.changes == [(What.SET, "w")] * absorbed
    found = heard.cache.get(Key(PODS, "ns", "w"))
    assert (found is not None and found.value.ready) is absorbed


def test_the_listener_sees_the_change_in_the_cache():
    seen = []
    cache = Cache(WATCHES, lambda change: seen.append(cache.get(change.record.key)))
    record = cache.record(PODS, pod("w"))
    cache.set(record)
    cache.remove(record)
    assert seen == [record, None]


def test_owners_of_many_are_one_object(heard):
    first, second = heard.record(pod("a", owner=OWNER)), heard.record(pod("b", owner=dict(OWNER)))
    heard.cache.set(first)
    heard.cache.set(second)
    assert first.owner is second.owner


def test_nothing_is_remembered_of_what_is_gone(heard):
    class Value:
        pass

    value = Value()
    remembered = weakref.ref(value)
    record = heard.record(pod("w", owner=OWNER))._replace(value=value)
    heard.cache.set(record)
    heard.cache.remove(record)
    del value, record
    gc.collect()
    assert remembered() is None


def test_indexes_agree_with_the_objects_after_a_random_history():
    draw = random.Random(11)
    cache = Cache(WATCHES, lambda _: None)
    truth = {}
    for version in range(1, 2000):
        name = f"g{draw.randrange(8)}"
        body = group(name, ownerReferences=draw.choice([[], [OWNER], [OTHER]]), resourceVersion=str(version))
        body["spec"]["cluster"] = draw.choice(["c", "d"])
        record = cache.record(DASK_WORKER_GROUPS, body)
        if draw.random() < 0.3:
            cache.remove(record)
            truth.pop(name, None)
        else:
            cache.set(record)
            truth[name] = record
        for uid in ("owner", "other"):
            owned = {record.key.name for record in cache.owned(uid, DASK_WORKER_GROUPS)}
            assert owned == {
                name for name, record in truth.items() if record.owner and record.owner.uid == uid
            }
        for cluster in ("c", "d"):
            found = {record.key.name for record in cache.find(DASK_WORKER_GROUPS, "ns", cluster)}
            assert found == {name for name, record in truth.items() if record.indexed == cluster}
