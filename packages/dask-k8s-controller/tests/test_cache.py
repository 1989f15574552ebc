"""The contents of the cache, and the changes that its listener gets."""

import gc
import random
import weakref

import pytest

from dask_k8s_controller.runtime.cache import Cache
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_crds.resources import DASK_WORKER_GROUPS, PODS, SERVICES

from .builders import WATCHES, group, owned_by, pod, record, service

OWNER = owned_by("DaskWorkerGroup", "c-default", "owner")
OTHER = owned_by("DaskWorkerGroup", "c-other", "other")
OWNER_RECORD = record(DASK_WORKER_GROUPS, group("c-default", uid="owner"))
OTHER_RECORD = record(DASK_WORKER_GROUPS, group("c-other", uid="other"))


class RecordingCache:
    """A cache, and the changes that its listener got."""

    def __init__(self):
        self.cache = Cache(WATCHES, self.on_change)
        self.changes = []

    def on_change(self, change):
        self.changes.append(("deleted" if change.deleted else "set", change.record.key.name))

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
def recorder():
    return RecordingCache()


def test_a_record_says_whose_and_where_and_keeps_what_the_trim_left(recorder):
    body = pod("w", owner=OWNER, ready=True, deletion=-9)
    body["metadata"]["ownerReferences"].insert(0, {"apiVersion": "v1", "kind": "X", "name": "x", "uid": "x"})
    record = recorder.record(body, 7)
    assert record.key == Key(PODS, "ns", "w")
    assert (record.uid, record.version, record.deleting) == ("uid-of-w", 7, True)
    assert tuple(record.owner) == ("kubernetes.dask.org", "DaskWorkerGroup", "c-default", "owner")
    assert record.value.ready


def test_the_book_keeping_of_field_managers_stays_out(recorder):
    body = group(managedFields=[{"manager": "kubectl"}])
    record = recorder.record(body, resource=DASK_WORKER_GROUPS)
    assert "managedFields" not in record.value["metadata"]
    assert record.value["spec"] == body["spec"]
    assert "managedFields" in body["metadata"]


def test_what_is_set_is_found_by_name_owner_and_index(recorder):
    recorder.set(pod("w", owner=OWNER))
    recorder.set(pod("x", owner=OTHER))
    recorder.set(service(), resource=SERVICES)
    recorder.set(group(), resource=DASK_WORKER_GROUPS)
    cache = recorder.cache
    assert cache.get(Key(PODS, "ns", "w")).key.name == "w"
    assert cache.get(Key(PODS, "elsewhere", "w")) is None
    assert [record.key.name for record in cache.owned(OWNER_RECORD, PODS)] == ["w"]
    assert cache.owned(OWNER_RECORD, SERVICES) == []
    assert [record.key.name for record in cache.find(DASK_WORKER_GROUPS, "ns", "c")] == ["c-default"]
    assert cache.find(DASK_WORKER_GROUPS, "elsewhere", "c") == []
    assert cache.find(DASK_WORKER_GROUPS, "ns", "other") == []


@pytest.mark.parametrize(
    "namespace, fields",
    [
        pytest.param("elsewhere", {}, id="from another namespace"),
        pytest.param("ns", {"uid": "another"}, id="another uid"),
        pytest.param("ns", {"name": "another"}, id="another name"),
        pytest.param("ns", {"kind": "DaskCluster"}, id="another kind"),
        pytest.param("ns", {"apiVersion": "example.org/v1"}, id="another group"),
        pytest.param("ns", {"controller": False}, id="an owner that does not control it"),
    ],
)
def test_a_reference_counts_only_if_all_of_it_names_the_owner(recorder, namespace, fields):
    recorder.set(pod("w", owner=OWNER))
    recorder.set(pod("x", owner=OWNER | fields, namespace=namespace))
    assert [record.key.name for record in recorder.cache.owned(OWNER_RECORD, PODS)] == ["w"]
    assert not recorder.cache.get(Key(PODS, namespace, "x")).is_controlled_by(OWNER_RECORD)
    assert recorder.cache.get(Key(PODS, "ns", "w")).is_controlled_by(OWNER_RECORD)


def test_the_version_of_the_owners_api_does_not_matter(recorder):
    recorder.set(pod("w", owner=OWNER | {"apiVersion": "kubernetes.dask.org/v2"}))
    assert [record.key.name for record in recorder.cache.owned(OWNER_RECORD, PODS)] == ["w"]


def test_a_change_of_owner_or_index_moves_an_object(recorder):
    recorder.set(pod("w", owner=OWNER), 1)
    recorder.set(pod("w", owner=OTHER), 2)
    assert recorder.cache.owned(OWNER_RECORD, PODS) == []
    assert len(recorder.cache.owned(OTHER_RECORD, PODS)) == 1
    moved = group()
    moved["spec"]["cluster"] = "d"
    recorder.set(group(), 3, resource=DASK_WORKER_GROUPS)
    recorder.set(moved, 4, resource=DASK_WORKER_GROUPS)
    assert recorder.cache.find(DASK_WORKER_GROUPS, "ns", "c") == []
    assert len(recorder.cache.find(DASK_WORKER_GROUPS, "ns", "d")) == 1


def test_an_event_older_than_what_is_known_is_passed_over(recorder):
    recorder.set(pod("w", owner=OWNER, ready=True), 9)
    recorder.clear()
    recorder.set(pod("w", owner=OWNER), 7)
    recorder.set(pod("w", owner=OWNER), 9)
    assert recorder.cache.get(Key(PODS, "ns", "w")).value.ready
    assert recorder.changes == []


def test_an_event_of_a_successor_is_taken(recorder):
    recorder.set(pod("w", uid="earlier"), 9)
    recorder.set(pod("w", uid="later"), 10)
    assert recorder.cache.get(Key(PODS, "ns", "w")).uid == "later"


def test_replace_reports_what_is_new_changed_and_gone_and_nothing_else(recorder):
    for name in ("same", "changed", "gone"):
        recorder.set(pod(name, owner=OWNER), 1)
    recorder.set(pod("elsewhere", namespace="other"), 1)
    recorder.clear()
    listed = [
        recorder.record(pod("same"), 1),
        recorder.record(pod("changed"), 2),
        recorder.record(pod("new"), 3),
    ]
    recorder.cache.replace(PODS, "ns", listed)
    assert sorted(recorder.changes, key=str) == sorted(
        [("deleted", "gone"), ("set", "changed"), ("set", "new")], key=str
    )
    assert recorder.names() == ["changed", "elsewhere", "new", "same"]


def test_replace_in_all_namespaces_removes_in_all(recorder):
    recorder.set(pod("a"))
    recorder.set(pod("b", namespace="other"))
    recorder.cache.replace(PODS, None, [])
    assert recorder.names() == []
    assert {name for kind, name in recorder.changes if kind == "deleted"} == {"a", "b"}


def test_replace_reports_that_an_object_was_replaced_by_one_of_its_name(recorder):
    recorder.set(pod("w", uid="earlier"), 1)
    recorder.clear()
    recorder.cache.replace(PODS, "ns", [recorder.record(pod("w", uid="later"), 2)])
    assert recorder.changes == [("deleted", "w"), ("set", "w")]


def test_replace_is_believed_though_versions_went_back(recorder):
    """As after a restore of the API server's data."""
    recorder.set(pod("w", owner=OWNER, ready=True), 900)
    recorder.cache.replace(PODS, "ns", [recorder.record(pod("w", owner=OWNER), 5)])
    assert not recorder.cache.get(Key(PODS, "ns", "w")).value.ready


@pytest.mark.parametrize(
    "known, answer, stored",
    [
        pytest.param(None, ("uid", 5), False, id="not known: it may be gone again"),
        pytest.param(("uid", 4), ("uid", 5), True, id="newer"),
        pytest.param(("uid", 5), ("uid", 5), False, id="the watch was as fast"),
        pytest.param(("uid", 6), ("uid", 5), False, id="the watch was faster"),
        pytest.param(("later", 4), ("uid", 5), False, id="another of this name"),
    ],
)
def test_set_from_response(recorder, known, answer, stored):
    if known is not None:
        recorder.set(pod("w", uid=known[0]), known[1])
        recorder.clear()
    uid, version = answer
    recorder.cache.set_from_response(recorder.record(pod("w", uid=uid, ready=True), version))
    assert recorder.changes == [("set", "w")] * stored
    found = recorder.cache.get(Key(PODS, "ns", "w"))
    assert (found is not None and found.value.ready) is stored


def test_the_listener_sees_the_change_in_the_cache():
    seen = []
    cache = Cache(WATCHES, lambda change: seen.append(cache.get(change.record.key)))
    record = cache.record(PODS, pod("w"))
    cache.set(record)
    cache.remove(record)
    assert seen == [record, None]


def test_owners_of_many_are_one_object(recorder):
    first, second = recorder.record(pod("a", owner=OWNER)), recorder.record(pod("b", owner=dict(OWNER)))
    recorder.cache.set(first)
    recorder.cache.set(second)
    assert first.owner is second.owner


def test_nothing_is_remembered_of_what_is_gone(recorder):
    class Value:
        pass

    value = Value()
    remembered = weakref.ref(value)
    record = recorder.record(pod("w", owner=OWNER))._replace(value=value)
    recorder.cache.set(record)
    recorder.cache.remove(record)
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
        for owner in (OWNER_RECORD, OTHER_RECORD):
            owned = {record.key.name for record in cache.owned(owner, DASK_WORKER_GROUPS)}
            assert owned == {name for name, record in truth.items() if record.is_controlled_by(owner)}
        for cluster in ("c", "d"):
            found = {record.key.name for record in cache.find(DASK_WORKER_GROUPS, "ns", cluster)}
            assert found == {name for name, record in truth.items() if record.indexed == cluster}
