"""The controller is killed at every write of a whole job; there is the same end, one runner, one cluster."""

from dataclasses import dataclass

import pytest

from dask_k8s_job.reconcile import reconcile

from .builders import KEY, job
from .simulation import Killed, World


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
        self.world = World(body, self.dies_at, before=self.before, fails=self.fails, suspends=self.suspends)
        for _ in range(60):
            try:
                await reconcile(KEY, self.world)
            except Killed:
                self.deaths += 1
                self.world.restart()
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
        return found, sorted(self.world.made), len(self.world.runs), self.world.statuses[-1]["jobStatus"]


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
    assert undisturbed.world.statuses[-1]["jobStatus"] == ("Failed" if fails else "Successful")
    assert undisturbed.world.made.count("Job ns/demo-runner") == len(undisturbed.world.runs) == 1
    assert undisturbed.world.made.count("DaskCluster ns/demo") == 1 + (True in suspends)
    for number in range(1, writes + 1):
        play = await Play(number, before, spec, fails, suspends)()
        assert play.deaths == 1
        assert play.end == undisturbed.end, f"killed at write {number}"
