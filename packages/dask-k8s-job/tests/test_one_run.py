"""A job runs once at most, in random histories.

The controller is killed between any two writes, and another one takes over, with caches that are older.
Caches lag behind, each for itself, and catch up at any time. Users delete the runner and the cluster, suspend
the job and scale the cluster. Then everything recovers, and the job finishes.
"""

from random import Random

import pytest

from dask_k8s_controller import Key
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_JOBS, JOBS, PODS
from dask_k8s_job.reconcile import reconcile

from .builders import KEY, job
from .simulation import Killed, World

RUNNER = Key(JOBS, "ns", "demo-runner")
CLUSTER = Key(DASK_CLUSTERS, "ns", "demo")
RESOURCES = (DASK_JOBS, DASK_CLUSTERS, JOBS, PODS)
STEPS = 60
"""How long there are faults."""
HISTORIES = 1000
CHUNKS = 20
ENDS = {"RunnerLost", "ClusterDeleted", "Done"}


class History(World):
    """A history of one job; `deletes` are the children that users may delete, once each."""

    def __init__(self, seed, deletes, **options):
        self.lagging_resources = set()
        super().__init__(job(clusterCleanup="Never"), **options)
        self.random = Random(seed)
        self.deletes = list(deletes)
        self.past = []
        """All objects, step by step."""
        self.cluster_uid = None
        """The uid of a cluster that the status had last."""

    async def apply(self, key, uid, plan):
        if self.random.random() < 0.2:
            self.catch_up(self.random.choice(RESOURCES))
        return await super().apply(key, uid, plan)

    def hand_over(self):
        """Let another controller take over, which knows nothing and may not have seen what this one has."""
        self.restart()
        for resource in RESOURCES:
            if self.random.random() < 0.5:
                self.lagging_resources.add(resource)
                then = self.random.choice(self.past[-10:])
                found = [body for key, body in then.items() if key.resource == resource]
                self._cache.replace(resource, None, [self._cache.record(resource, body) for body in found])

    def _is_shown(self, resource):
        return resource not in self.lagging_resources and super()._is_shown(resource)

    @property
    def status(self):
        return self.objects[KEY].get("status") or {}

    @property
    def result(self):
        return next((each for each in self.status.get("conditions", ()) if self._is_result(each)), None)

    @staticmethod
    def _is_result(condition):
        return condition["type"] in {"Complete", "Failed"} and condition["status"] == "True"

    @property
    def runner_runs(self):
        """Whether the runner has a pod that its Job does not stop."""
        running = (body for key, body in self.objects.items() if key.resource == PODS)
        if RUNNER not in self.objects or self.objects[RUNNER]["spec"].get("suspend"):
            return False
        return any(body["status"]["phase"] in {"Pending", "Running"} for body in running)

    async def report(self, record, status):
        before, runs = self.status, self.runner_runs
        try:
            return await super().report(record, status)
        finally:
            after = self.status
            assert before.get("runnerUid") in {None, after.get("runnerUid")}, "the record of the run changed"
            if (cluster := after.get("clusterUid")) not in {None, self.cluster_uid}:
                assert not runs, "the cluster changed while the runner ran"
                self.cluster_uid = cluster

    def interfere(self):
        """Let somebody do something, or a cache lag or catch up."""
        self.past.append(dict(self.objects))
        match self.random.randrange(12):
            case 0 | 1:
                self.lagging_resources.add(self.random.choice(RESOURCES))
            case 2 | 3:
                self.catch_up(self.random.choice(RESOURCES))
            case 4:
                self.dies_at, self.before = self.count + self.random.randint(1, 3), self.random.random() < 0.5
            case 5 if self.deletes and (key := self.random.choice(self.deletes)) in self.objects:
                self.deletes.remove(key)
                self.remove(key)
            case 6 if CLUSTER in self.objects:
                self.patch(CLUSTER, {"spec": {"worker": {"replicas": self.random.randint(0, 5)}}})
            case 7 if self.random.random() < 0.5:
                self.patch(KEY, {"spec": {"suspend": self.random.random() < 0.5}})
            case 8:
                self.patch(KEY, {"spec": {"activeDeadlineSeconds": self.random.randint(10_000, 20_000)}})

    def catch_up(self, *resources):
        for resource in resources:
            self.lagging_resources.discard(resource)
            self._show(resource)


async def turn(history):
    try:
        await reconcile(KEY, history)
    except Killed:
        history.hand_over()


async def play(history):
    for _ in range(STEPS):
        history.interfere()
        if history.random.random() < 0.7:
            await turn(history)
        if history.random.random() < 0.4:
            history.goes_on()
    history.dies_at = None
    history.catch_up(*history.lagging_resources)
    history.patch(KEY, {"spec": {"suspend": False}})
    for _ in range(30):
        await turn(history)
        history.goes_on()
    return history


DELETES = {
    "nothing": (),
    "the-runner": (RUNNER,),
    "the-cluster": (CLUSTER,),
    "runner-and-cluster": (RUNNER, CLUSTER),
}


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("deletes", DELETES.values(), ids=DELETES)
async def test_at_most_one_run(deletes, chunk):
    for seed in range(chunk, HISTORIES // len(DELETES), CHUNKS):
        history = await play(History(seed, deletes))
        assert len(history.runs) <= 1, f"seed {seed}"
        assert history.result is not None, f"seed {seed} does not end"
        assert history.result["reason"] in ENDS, f"seed {seed}"
        if history.result["type"] == "Complete":
            assert history.runs, f"seed {seed}: succeeded without a run"
        if len(history.deletes) == len(deletes):
            assert history.result["type"] == "Complete", f"seed {seed}: {history.result}"
