"""Whatever objects there are, the controller goes on, writes nothing elsewhere and keeps little of them.

A tenant has one namespace, in which objects are arbitrary. They go the way of all objects: informer, cache,
triggers, reconcile. In another namespace there is a cluster, about which nothing may change.
"""

import asyncio
import logging
import resource
import sys
import time
from contextlib import closing
from itertools import count

import orjson
import pytest
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from dask_k8s_controller.app.operator import Operator
from dask_k8s_controller.app.settings import Settings
from dask_k8s_controller.dask import plugin
from dask_k8s_controller.dask.scheduler.answers import AgentError
from dask_k8s_controller.runtime.cache import Cache
from dask_k8s_controller.runtime.decode import MAX_DEPTH, decode
from dask_k8s_controller.runtime.objects import Key, key_of
from dask_k8s_controller.runtime.signing_key import SigningKey
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.names import AGENT_KEY
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS, SECRETS, Resource

from .builders import WATCHES
from .odd_objects import FEW, GOOD, GOOD_OBJECTS, PLACES_OF_STRINGS, PODS_ONLY, RESOURCES_OF_GOOD, odd_objects
from .properties import for_all, share, strings


class Server:
    """An API server that knows nothing, watched by queues; writes are recorded."""

    def __init__(self):
        self.queues = {watched.path(None): asyncio.Queue() for watched in WATCHES}
        self.writes = []
        self.login_problem = ""

    async def get(self, path, **_):
        return {"metadata": {"resourceVersion": "1"}, "items": []}

    async def watch(self, path, **_):
        queue = self.queues[path]
        while True:
            yield await queue.get()
            queue.task_done()

    async def create(self, path, body, **_):
        self.writes.append(path)
        return body

    async def patch(self, path, body, **_):
        self.writes.append(path)
        raise ApiError(404, "NotFound", "not found", about=path.split("/")[-2])

    async def delete(self, path, uid, version=None):
        self.writes.append(path)


class Agents:
    """Agents that do not answer."""

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass

    def at(self, endpoint):
        self.endpoint = endpoint
        return self

    def __getattr__(self, method):
        async def refuse(*_):
            raise AgentError("SchedulerUnreachable", "no answer")

        return refuse


class Still(asyncio.SelectorEventLoop):
    """An event loop in which time stands still, so that no timer causes a turn."""

    def time(self):
        return 1000.0


class Stand:
    """A controller that runs from example to example; its event loop runs only within `run`."""

    def __init__(self):
        self.loop = Still()
        self.server = Server()
        self.versions = count(10)
        self.operator = self.loop.run_until_complete(self._start())
        self.run([(key, "ADDED", body) for key, body in zip(RESOURCES_OF_GOOD, GOOD_OBJECTS, strict=True)])
        self.server.writes.clear()
        self.cluster = self.operator.cache.get(key_of(DASK_CLUSTERS, GOOD))

    async def _start(self):
        key = SigningKey(self.server, Key(SECRETS, "home", AGENT_KEY))
        settings = Settings(api_rate=1e9)
        operator = Operator(self.server, [plugin.PLUGIN], settings, key, agents=Agents())
        self.task = asyncio.create_task(operator.run())
        return operator

    def run(self, events):
        """Feed events; wait until all are processed, and no key waits for a turn."""
        self.loop.run_until_complete(self._run(events))
        assert not self.task.done(), "the controller has ended"

    async def _run(self, events):
        await self.operator.ready.wait()
        for kind, event_type, body in events:
            if isinstance(body["metadata"], dict) and body["metadata"].get("resourceVersion") is not None:
                body["metadata"]["resourceVersion"] = str(next(self.versions))
            self.server.queues[kind.path(None)].put_nowait({"type": event_type, "object": body})
        for queue in self.server.queues.values():
            await queue.join()
        for _ in range(1000):
            await asyncio.sleep(0)
            if not self.operator.queue.waiting() and not self.operator.queue._active:  # noqa: SLF001
                return
        raise AssertionError(f"turns without end: {self.operator.queue.waiting()}")

    def scheduler_of_good(self):
        async def asked():
            return self.operator.loop.world.agent(self.cluster).endpoint.pod.name

        return self.loop.run_until_complete(asked())

    def stored(self):
        cache = self.operator.cache
        return sorted(str(record.key) for each in cache.watches for record in cache.all(each))

    def close(self):
        self.task.cancel()
        self.loop.run_until_complete(asyncio.wait([self.task]))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


@pytest.fixture(scope="module")
def stand():
    logging.getLogger("dask_k8s_controller").setLevel(logging.ERROR)
    with closing(Stand()) as stand:
        # Once, so that everything that is made at first use is there.
        run_and_delete(stand, [(kind, orjson.loads(text)) for kind, text in FEW])
        before = peak_memory()
        yield stand
        assert peak_memory() - before < 50
    logging.getLogger("dask_k8s_controller").setLevel(logging.NOTSET)


def defects():
    kinds = (DASK_CLUSTERS.kind, DASK_WORKER_GROUPS.kind)
    name = "dask_k8s_reconcile_errors_total"
    return sum(REGISTRY.get_sample_value(name, {"kind": kind, "cause": "defect"}) or 0 for kind in kinds)


def size(value, seen=None):
    """Bytes of a record and all that it refers to, apart from what Python or all records share."""
    seen = set() if seen is None else seen
    if id(value) in seen or isinstance(value, Resource | int | type(None)) or value == "":
        return 0
    seen.add(id(value))
    slots = [getattr(value, name) for name in getattr(type(value), "__slots__", ())]
    inner = value if isinstance(value, tuple) else slots
    return sys.getsizeof(value) + sum(size(each, seen) for each in inner)


def peak_memory():
    """MiB that this process has had at most."""
    return (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform == "darwin" else 1024) / 1024
    )


names = count()


def run_and_delete(stand, objects):
    """Let the tenant create and delete objects; check that nothing changes outside of its namespace."""
    stored, started = stand.stored(), time.thread_time()
    events = []
    for kind, body in objects:
        metadata = body["metadata"]
        # A second object of the same name would wait for its turn, as turns of a key are 0.1 s apart.
        if isinstance(metadata, dict) and isinstance(metadata.get("name"), str):
            metadata["name"] = f"{metadata['name'][:60]}{next(names)}"
        events.append((kind, "ADDED", body))
    stand.run(events)
    assert [pod.key.namespace for pod in stand.operator.cache.owned(stand.cluster, PODS)] == ["good"]
    assert stand.scheduler_of_good() == "c-scheduler"
    assert [path for path in stand.server.writes if "/namespaces/bad/" not in path] == []
    stand.run([(kind, "DELETED", body) for kind, _, body in events])
    assert [path for path in stand.server.writes if "/namespaces/bad/" not in path] == []
    stand.server.writes.clear()
    assert stand.stored() == stored
    assert stand.operator.cache.errors.unreadable == {}
    # All turns of this example together; one that blocks for long would take more by far.
    assert time.thread_time() - started < 0.5


@share(0.2)
@for_all(st.lists(odd_objects(), min_size=1, max_size=3))
def test_objects_of_any_shape_cost_only_their_tenant(stand, objects):
    run_and_delete(stand, objects)


@share(0.15)
@for_all(st.lists(odd_objects(PLACES_OF_STRINGS, strings), min_size=1, max_size=3))
def test_objects_with_any_strings_are_no_defects(stand, objects):
    before = defects()
    run_and_delete(stand, objects)
    assert defects() == before


@share(0.35)
@for_all(odd_objects(PLACES_OF_STRINGS, strings, kinds=PODS_ONLY))
def test_a_pod_with_any_strings_is_read_and_takes_little_memory(odd_pod):
    cache = Cache(WATCHES, lambda _: None)
    record = cache.record(*odd_pod)
    assert size(record) <= 2048


def nested_values():
    leaves = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5)
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    )


@share(0.05)
@for_all(nested_values(), st.integers(MAX_DEPTH - 3, 3 * MAX_DEPTH))
def test_a_deep_value_beside_any_other_changes_nothing_of_it(value, levels):
    deep = b"[" * levels + b"]" * levels
    text = b'{"good": %b, "deep": %b, "last": %b}' % (orjson.dumps(value), deep, orjson.dumps(value))
    found = decode(text)
    assert found["good"] == found["last"] == value
    assert (None in innermost(found["deep"])) is (levels > MAX_DEPTH - 1)


def innermost(value):
    """The last array in arrays."""
    while value and value[0] is not None:
        value = value[0]
    return value
