"""A world in which the controller is killed at a write, and others work on the objects.

The rest of Kubernetes is played here: schedulers get ready, runners get pods, and pods end.
"""

from dask_k8s_controller import Create, Outcome, Patch, Plan
from dask_k8s_controller.testing import FakeWorld, objects
from dask_k8s_crds.labels import JOB_RUNNER
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_JOBS, JOBS, PODS
from dask_k8s_job.plugin import PLUGIN

from .builders import ADDRESS, OF_RUNNER


class Killed(BaseException):
    """The process is gone: nothing in it can catch this."""


class World(FakeWorld):
    """A world in which the controller is killed at a write.

    Attributes:
        dies_at: The number of the write, None for never.
        before: Whether that write does not reach the server any more.
        count: How many writes there have been.
        fails: Whether the client fails.
        suspends: What the user still writes into `spec.suspend`, each when the job has done all it had to.
        runs: The uids of the Jobs that have had pods.
    """

    def __init__(self, body, dies_at=None, *, before=False, fails=False, suspends=()):
        super().__init__(body, plugins=[PLUGIN])
        self.dies_at, self.before, self.count = dies_at, before, 0
        self.fails = fails
        self.suspends = list(suspends)
        self.runs = []

    @property
    def made(self):
        return [write.removeprefix("create ") for write in self.writes if write.startswith("create ")]

    # The controller writes, one object at a time.

    async def apply(self, key, uid, plan):
        for action in plan:
            if isinstance(action, Create):
                await self._survive(super().apply(key, uid, Plan(create=(action,))))
            elif isinstance(action, Patch):
                await self._survive(super().apply(key, uid, Plan(patch=(action,))))
            else:
                await self._survive(super().apply(key, uid, Plan(delete=(action,))))
        return Outcome()

    async def report(self, record, status):
        if self.objects[record.key].get("status") != status:
            return await self._survive(super().report(record, status))
        return None

    async def _survive(self, request):
        self.count += 1
        if self.count == self.dies_at and self.before:
            request.close()
            raise Killed
        answer = await request
        if self.count == self.dies_at:
            raise Killed
        return answer

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
            uid = body["metadata"]["uid"]
            self.runs += [] if uid in self.runs else [uid]
            owner = {**OF_RUNNER, "uid": uid, "controller": True}
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
