"""The controller is killed at every write of a whole job; there is the same end, one runner, one cluster.

The rest of Kubernetes is played here: schedulers get ready, runners get pods, and pods end.
"""

from dataclasses import dataclass

import pytest

from dask_k8s_controller import Create, Outcome, Patch, Plan
from dask_k8s_controller.testing import FakeWorld, objects
from dask_k8s_crds.labels import JOB_RUNNER
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_JOBS, JOBS, PODS
from dask_k8s_job.plugin import PLUGIN
from dask_k8s_job.reconcile import reconcile

from .builders import ADDRESS, KEY, OF_RUNNER, job


class Killed(BaseException):
    """The process is gone: nothing in it can catch this."""


class World(FakeWorld):
    """A world in which the controller dies at a write, and in which others work on the objects, too."""

    def __init__(self, body, dies_at, before, *, fails, suspends):
        super().__init__(body, plugins=[PLUGIN])
        self.dies_at, self.before = dies_at, before
        """The number of the write, and whether it does not reach the server any more."""
        self.fails = fails
        self.suspends = suspends
        """What the user still writes into `spec.suspend`, each when the job has done all it had to."""
        self.count = 0

    @property
    def made(self):
        return [write.removeprefix("create ") for write in self.writes if write.startswith("create ")]

    @property
    def phases(self):
        """The phases that were reported."""
        return [status["jobStatus"] for status in self.statuses]

    # The controller writes, one object at a time.

    async def apply(self, key, uid, plan):
        for action in plan:
            if isinstance(action, Create):
                assert action.key not in self.objects, f"{action.key} is made twice"
                await self._survive(super().apply(key, uid, Plan(create=(action,))))
            elif isinstance(action, Patch):
                await self._survive(super().apply(key, uid, Plan(patch=(action,))))
            else:
                await self._survive(super().apply(key, uid, Plan(delete=(action,))))
        return Outcome()

    async def report(self, record, status):
        if self.objects[record.key].get("status") != status:
            await self._survive(super().report(record, status))

    async def _survive(self, request):
        self.count += 1
        if self.count == self.dies_at and self.before:
            request.close()
            raise Killed
        await request
        if self.count == self.dies_at:
            raise Killed

    # The rest of Kubernetes, and the user.

    def goes_on(self):
        """The others do one thing each; whether there was one."""
        self.advance(1)
        before = dict(self.objects)
        self._user()
        for key, body in before.items():
            if key.resource == DASK_CLUSTERS and "status" not in body:
                ready = {"type": "SchedulerReady", "status": "True", "reason": "Ready", "message": ""}
                self._report(key, {"conditions": [ready], "schedulerAddress": ADDRESS})
            elif key.resource == JOBS:
                pods = {other: each for other, each in before.items() if other.resource == PODS}
                self._job(key, body, pods)
            elif key.resource == PODS and key in self.objects:
                self._pod(key, body["status"]["phase"])
        return self.objects != before

    def _report(self, key, status):
        self.add({**self.objects[key], "status": status})

    def _user(self):
        for key, body in list(self.objects.items()):
            if key.resource == DASK_JOBS and self.suspends:
                phase = body.get("status", {}).get("jobStatus")
                others = [other for other in self.objects if other.resource in {DASK_CLUSTERS, PODS}]
                if phase == "Running" if self.suspends[0] else phase == "Suspended" and not others:
                    self.patch(key, {"spec": {"suspend": self.suspends.pop(0)}})

    def _pod(self, key, phase):
        if phase == "Pending":
            self._report(key, {"phase": "Running"})
        elif phase == "Running" and not self.suspends:
            self._report(key, {"phase": "Failed" if self.fails else "Succeeded"})

    def _job(self, key, body, pods):
        status = body.get("status") or {}
        finished = {pod["status"]["phase"] for pod in pods.values()} & {"Succeeded", "Failed"}
        time = self.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        if status.get("conditions"):
            return
        if body["spec"].get("suspend"):
            for pod in pods:
                self.remove(pod)
            if status:
                self._report(key, {})
        elif not status:
            self._report(key, {"startTime": time})
        elif not pods:
            owner = {**OF_RUNNER, "uid": body["metadata"]["uid"], "controller": True}
            self.add(
                objects.pod(
                    f"{key.name}-abcde", phase="Pending", component=JOB_RUNNER, ownerReferences=[owner]
                )
            )
            self.writes.append(f"create Pod ns/{key.name}-abcde")
        elif finished:
            kind, reason = ("Failed", "BackoffLimitExceeded") if self.fails else ("Complete", "Done")
            end = {"type": kind, "status": "True", "reason": reason, "lastTransitionTime": time}
            self._report(key, {**status, "failed": int(self.fails), "conditions": [end]})


@dataclass
class Play:
    """A job from its beginning to its end, in a world of its own."""

    dies_at: int | None
    before: bool
    spec: dict
    fails: bool
    suspends: tuple
    deaths: int = 0

    async def __call__(self):
        body = job(**self.spec)
        self.world = World(body, self.dies_at, self.before, fails=self.fails, suspends=list(self.suspends))
        for _ in range(60):
            try:
                await reconcile(KEY, self.world)
            except Killed:
                self.deaths += 1
                continue
            if not self.world.goes_on() and KEY not in self.world.objects:
                break
        return self

    @property
    def end(self):
        """All that lasts, without what depends on the time that was lost."""
        found = {}
        for key, body in self.world.objects.items():
            status = body.get("status") or {}
            found[str(key)] = status.get("jobStatus"), body.get("spec", {}).get("suspend")
        return found, sorted(self.world.made), self.world.phases[-1]


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
    writes = undisturbed.world.count
    assert undisturbed.world.phases[-1] == ("Failed" if fails else "Successful")
    assert undisturbed.world.made.count("Job ns/demo-runner") == 1
    assert undisturbed.world.made.count("DaskCluster ns/demo") == 1 + (True in suspends)
    for number in range(1, writes + 1):
        play = await Play(number, before, spec, fails, suspends)()
        assert play.deaths == 1
        assert play.end == undisturbed.end, f"killed at write {number}"
