"""The controller is killed at every write of a whole job; there is the same end, one runner, one cluster.

The rest of Kubernetes is played here: schedulers get ready, runners get pods, and pods end.
"""

import copy
import itertools
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from dask_k8s_controller import Create, Delete, Outcome, Patch
from dask_k8s_controller.runtime.objects import key_of
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_JOBS, JOBS, PODS
from dask_k8s_job.reconcile import reconcile

from .builders import ADDRESS, NOW, OF_RUNNER, World, job


class Killed(BaseException):
    """The process is gone: nothing in it can catch this."""


@dataclass
class Server:
    """All objects, and who is at work on them apart from the controller under test."""

    fails: bool = False
    suspends: list = field(default_factory=list)
    """What the user still writes into `spec.suspend`, each when the job has done what it had to before."""
    objects: dict = field(default_factory=dict)
    made: list = field(default_factory=list)
    words: list = field(default_factory=list)
    """What was reported of the job."""
    moment: int = 0
    versions: itertools.count = field(default_factory=lambda: itertools.count(1000))

    def now(self):
        return NOW + timedelta(seconds=self.moment)

    def time(self):
        return self.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def put(self, key, body):
        body = copy.deepcopy(body)
        body["metadata"]["resourceVersion"] = str(next(self.versions))
        self.objects[key] = body

    def create(self, resource, body):
        key = key_of(resource, body)
        assert key not in self.objects, f"{key} is made twice"
        self.made.append(str(key))
        uid = f"{key.name}-{len(self.made)}"
        metadata = {**body["metadata"], "uid": uid, "creationTimestamp": self.time(), "generation": 1}
        self.put(key, {**body, "metadata": metadata})

    def patch(self, key, change):
        old = self.objects[key]
        new = {**old, "spec": merged(old["spec"], change.get("spec", {}))}
        if new["spec"] != old["spec"]:
            new["metadata"] = {**old["metadata"], "generation": old["metadata"]["generation"] + 1}
        self.put(key, new)

    def delete(self, key):
        """What it owns goes as well."""
        uid = self.objects.pop(key)["metadata"]["uid"]
        for other, body in list(self.objects.items()):
            if any(each["uid"] == uid for each in body["metadata"].get("ownerReferences", ())):
                self.delete(other)

    def report(self, key, status):
        if word := status.get("jobStatus"):
            self.words.append(word)
        self.put(key, {**self.objects[key], "status": status})

    def goes_on(self):
        """The others do one thing each; whether there was one."""
        self.moment += 1
        before = copy.deepcopy(self.objects)
        self._user()
        for key, body in before.items():
            if key.resource == DASK_CLUSTERS and "status" not in body:
                ready = {"type": "SchedulerReady", "status": "True", "reason": "Ready", "message": ""}
                self.report(key, {"conditions": [ready], "schedulerAddress": ADDRESS})
            elif key.resource == JOBS:
                self._job(
                    key, body, {other: each for other, each in before.items() if other.resource == PODS}
                )
            elif key.resource == PODS and key in self.objects:
                self._pod(key, body["status"]["phase"])
        return self.objects != before

    def _user(self):
        for key, body in list(self.objects.items()):
            if key.resource == DASK_JOBS and self.suspends:
                word = body.get("status", {}).get("jobStatus")
                others = [other for other in self.objects if other.resource in {DASK_CLUSTERS, PODS}]
                if word == "Running" if self.suspends[0] else word == "Suspended" and not others:
                    self.patch(key, {"spec": {"suspend": self.suspends.pop(0)}})

    def _pod(self, key, phase):
        if phase == "Pending":
            self.report(key, {"phase": "Running"})
        elif phase == "Running" and not self.suspends:
            self.report(key, {"phase": "Failed" if self.fails else "Succeeded"})

    def _job(self, key, body, pods):
        status = body.get("status") or {}
        finished = {pod["status"]["phase"] for pod in pods.values()} & {"Succeeded", "Failed"}
        if status.get("conditions"):
            return
        if body["spec"].get("suspend"):
            for pod in pods:
                self.delete(pod)
            if status:
                self.report(key, {})
        elif not status:
            self.report(key, {"startTime": self.time()})
        elif not pods:
            owner = {**OF_RUNNER, "uid": body["metadata"]["uid"], "controller": True}
            metadata = {"name": f"{key.name}-abcde", "namespace": "ns", "ownerReferences": [owner]}
            self.create(PODS, {"metadata": metadata, "status": {"phase": "Pending"}})
        elif finished:
            kind, reason = ("Failed", "BackoffLimitExceeded") if self.fails else ("Complete", "Done")
            end = {"type": kind, "status": "True", "reason": reason, "lastTransitionTime": self.time()}
            self.report(key, {**status, "failed": int(self.fails), "conditions": [end]})


def merged(old, change):
    return {**old, **{name: merged(old[name], each) if isinstance(each, dict) else each
                      for name, each in change.items()}}  # fmt: skip


@dataclass
class Process(World):
    """One life of the controller: its cache begins with what is there, and it dies at a write."""

    server: Server = None
    writes: itertools.count = None
    dies_at: int | None = None
    before: bool = False
    """Whether the write that it dies at reaches the server no more."""

    def now(self):
        return self.server.now()

    def look(self):
        for key in [record.key for each in self.cache.watches for record in self.cache.all(each)]:
            if key not in self.server.objects:
                self.cache.remove(self.cache.get(key))
        for key, body in self.server.objects.items():
            self.add(key.resource, copy.deepcopy(body))

    def write(self, act, *words):
        dies = next(self.writes) == self.dies_at
        if not (dies and self.before):
            act(*words)
        if dies:
            raise Killed

    async def apply(self, key, uid, plan):
        for action in plan:
            match action:
                case Create():
                    self.write(self.server.create, action.resource, action.body)
                case Patch():
                    self.write(self.server.patch, action.key, action.body)
                case Delete():
                    self.write(self.server.delete, action.key)
        return Outcome()

    async def report(self, key, status):
        if self.server.objects[key].get("status") != status:
            self.write(self.server.report, key, status)


@dataclass
class Play:
    """A job from its beginning to its end, on a server of its own."""

    dies_at: int | None
    before: bool
    spec: dict
    fails: bool
    suspends: tuple
    writes: itertools.count = field(default_factory=lambda: itertools.count(1))
    deaths: int = 0

    async def __call__(self):
        self.server = Server(self.fails, list(self.suspends))
        body = job(**self.spec)
        self.key = key_of(DASK_JOBS, body)
        self.server.put(self.key, body)
        process = self.process()
        for _ in range(60):
            process.look()
            try:
                await reconcile(self.key, process)
            except Killed:
                self.deaths += 1
                process = self.process()
                continue
            if not self.server.goes_on() and self.key not in self.server.objects:
                break
        return self

    def process(self):
        return Process(server=self.server, writes=self.writes, dies_at=self.dies_at, before=self.before)

    @property
    def end(self):
        """All that lasts, without what depends on the time that was lost."""
        found = {}
        for key, body in self.server.objects.items():
            status = body.get("status") or {}
            found[str(key)] = status.get("jobStatus"), body.get("spec", {}).get("suspend")
        return found, sorted(self.server.made), self.server.words[-1]


PLAYS = {
    "success": ({}, False, ()),
    "failure": ({}, True, ()),
    "cluster-stays": ({"clusterCleanup": "Never"}, False, ()),
    "time-to-live": ({"ttlSecondsAfterFinished": 5}, False, ()),
    "suspended-at-first": ({"suspend": True}, False, (False,)),
    "suspended-later": ({}, False, (True, False)),
}


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("spec, fails, suspends", PLAYS.values(), ids=PLAYS)
async def test_killed_at_every_write(spec, fails, suspends, before):
    undisturbed = await Play(None, before, spec, fails, suspends)()
    writes = next(undisturbed.writes) - 1
    assert undisturbed.server.words[-1] == ("Failed" if fails else "Successful")
    assert undisturbed.server.made.count("Job ns/demo-runner") == 1
    assert undisturbed.server.made.count("DaskCluster ns/demo") == 1 + (True in suspends)
    for number in range(1, writes + 1):
        play = await Play(number, before, spec, fails, suspends)()
        assert play.deaths == 1
        assert play.end == undisturbed.end, f"killed at write {number}"
