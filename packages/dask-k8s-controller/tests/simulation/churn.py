"""An API server in virtual time for many short-lived objects, and a plugin whose objects own some others.

It is faster than `model`, and keeps nothing of what was deleted.
"""

import asyncio
from collections import deque
from itertools import count
from random import Random

from dask_k8s_controller.runtime.cache import Watched
from dask_k8s_controller.runtime.objects import key_of
from dask_k8s_controller.runtime.plan import Create, Delete, Plan
from dask_k8s_controller.runtime.plugin import Plugin, Reconciler
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import Resource

from .model import merged

SETS = Resource("example.org", "v1", "Set", "sets")
PARTS = Resource("example.org", "v1", "Part", "parts")
HISTORY = 200
"""How many events a watch can miss."""
NAMESPACES = ("a", "b", "c")
PRECONDITIONS = ("uid", "resourceVersion")
"""Metadata of a patch that the object must have."""


class Api:
    """`dask_k8s_controller.runtime.api.Api`; requests and watches fail now and then."""

    login_problem = ""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.objects = {}
        self.made = 0
        self._versions = count(1)
        self._watches = {}
        self._history = {}

    async def get(self, path, **_):
        await self._way()
        if path in self.objects:
            return self.objects[path]
        resource = SETS if path.endswith("/sets") else PARTS
        if not path.endswith(f"/{resource.plural}"):
            raise ApiError(404, "NotFound", "not found")
        items = [body for known, body in self.objects.items() if known.startswith(f"{path}/")]
        return {"metadata": {"resourceVersion": str(next(self._versions))}, "items": list(map(dict, items))}

    async def create(self, path, body, **_):
        await self._way()
        path = f"{path}/{body['metadata']['name']}"
        if path in self.objects:
            raise ApiError(409, "AlreadyExists", "it exists")
        self.made += 1
        uid = f"uid-{next(self._versions)}"
        return await self._answer(self._write(path, "ADDED", body, uid=uid))

    async def patch(self, path, body, **_):
        await self._way()
        status, path = path.endswith("/status"), path.removesuffix("/status")
        if path not in self.objects:
            raise ApiError(404, "NotFound", "not found", about=path.rpartition("/")[2])
        known = self.objects[path]
        asked = body.get("metadata", {})
        if any(asked.get(name, known["metadata"][name]) != known["metadata"][name] for name in PRECONDITIONS):
            raise ApiError(409, "Conflict", "another object or version")
        changed = merged(known, {name: value for name, value in body.items() if (name == "status") == status})
        return await self._answer(self._write(path, "MODIFIED", changed) if changed != known else known)

    async def delete(self, path, uid, version=None):
        await self._way()
        if path not in self.objects or self.objects[path]["metadata"]["uid"] != uid:
            raise ApiError(404, "NotFound", "not found")
        self.remove(path)
        await self._answer(None)

    async def watch(self, path, *, on_open, timeoutSeconds, resourceVersion, **_):  # noqa: N803 - of the API
        await self._way()
        events, history = asyncio.Queue(), self._history.get(path, ())
        if len(history) == HISTORY and int(resourceVersion) < history[0][0]:
            raise ApiError(410, "Expired", "too old")
        for version, event in history:
            if version > int(resourceVersion):
                events.put_nowait(event)
        self._watches.setdefault(path, []).append(events)
        try:
            async with asyncio.timeout(float(timeoutSeconds)):
                on_open()
                while True:
                    event = await events.get()
                    await asyncio.sleep(self.random.choice((0, 0, 0, 0.2)))
                    if self.random.random() < 0.001:
                        raise ApiError(410, "Expired", "too old")
                    yield event
        except TimeoutError:
            pass
        finally:
            self._watches[path].remove(events)

    def remove(self, path):
        """Delete an object, and later what it owns."""
        body = self._write(path, "DELETED", self.objects[path])
        del self.objects[path]
        if "ownerReferences" not in body["metadata"]:
            asyncio.get_running_loop().call_later(
                self.random.uniform(0, 5), self._collect, body["metadata"]["uid"]
            )

    def _collect(self, uid):
        for path, body in list(self.objects.items()):
            if any(owner["uid"] == uid for owner in body["metadata"].get("ownerReferences", ())):
                self.remove(path)

    def _write(self, path, kind, body, **metadata):
        version = str(next(self._versions))
        body = {**body, "metadata": {**body["metadata"], **metadata, "resourceVersion": version}}
        self.objects[path] = body
        if owners := body["metadata"].get("ownerReferences"):
            uids = {known["metadata"]["uid"] for known in self.objects.values() if known["kind"] == SETS.kind}
            if owners[0]["uid"] not in uids:
                asyncio.get_running_loop().call_later(5, self._collect, owners[0]["uid"])
        collection, event = path.rpartition("/")[0], {"type": kind, "object": body}
        self._history.setdefault(collection, deque(maxlen=HISTORY)).append((int(version), event))
        for events in self._watches.get(collection, ()):
            events.put_nowait(event)
        return body

    async def _way(self):
        await asyncio.sleep(self.random.uniform(0, 0.1))
        draw = self.random.random()
        if draw < 0.02:
            raise ApiError(0, "Unreachable", "lost")
        if draw < 0.03:
            raise ApiError(429, "TooManyRequests", "later", retry_after=1.0)

    async def _answer(self, answer):
        if self.random.random() < 0.02:
            raise ApiError(0, "Unreachable", "no answer")
        return answer


async def reconcile(key, world):
    """Make as many parts as the set has, delete what is too much, and report how many there are."""
    record = world.get(key)
    if record is None or record.deleting:
        return None
    size, parts = record.value["spec"]["size"], world.owned(record, PARTS)
    living = [part for part in parts if not part.deleting]
    used = {part.key.name for part in parts} | world.expected(record, PARTS)
    missing = size - len(living) - len(used - {part.key.name for part in parts})
    names = [*world.doubted(record, PARTS), *(f"{key.name}-{at}" for at in range(2 * size))]
    free = [name for name in dict.fromkeys(names) if name not in used][: max(0, missing)]
    surplus = living[size:]
    outcome = await world.apply(
        key,
        record.uid,
        Plan(
            create=tuple(Create(PARTS, part(key, record.uid, name)) for name in free),
            delete=tuple(Delete(part.key, part.uid) for part in surplus),
        ),
    )
    later = await world.report(record, {"parts": len(living)})
    outcome.raise_errors()
    return later


def new_set(namespace, name, size):
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": "example.org/v1", "kind": SETS.kind, "metadata": metadata, "spec": {"size": size}}


def part(key, uid, name):
    owner = {
        "apiVersion": "example.org/v1",
        "kind": SETS.kind,
        "name": key.name,
        "uid": uid,
        "controller": True,
    }
    metadata = {"namespace": key.namespace, "name": name, "ownerReferences": [owner]}
    return {"apiVersion": "example.org/v1", "kind": PARTS.kind, "metadata": metadata}


PLUGIN = Plugin(watches=(Watched(SETS), Watched(PARTS)), reconcilers=(Reconciler(SETS, reconcile),))


async def churn(api, number, first, at_a_time=30):
    """Make sets, change their sizes and delete them, some before they are complete."""
    slots = asyncio.Semaphore(at_a_time)

    async def live(number):
        async with slots:
            body = new_set(NAMESPACES[number % 3], f"set-{number}", 9)
            path = key_of(SETS, body).path()
            api._write(path, "ADDED", body, uid=f"uid-{next(api._versions)}")  # noqa: SLF001 - the user's writes
            api.made += 1
            await asyncio.sleep(api.random.uniform(0, 6))
            changed = {**api.objects[path], "spec": {"size": api.random.randrange(12)}}
            api._write(path, "MODIFIED", changed)  # noqa: SLF001 - as above
            await asyncio.sleep(api.random.uniform(0, 6))
            api.remove(path)

    await asyncio.gather(*map(live, range(first, first + number)))
