"""Candidates for one lease in virtual time: never do two lead, and not for long does none."""

import asyncio
import contextlib
from dataclasses import replace
from random import Random

import pytest

from dask_k8s_controller.runtime.leader_election import (
    LEASE_DURATION_SECONDS,
    RENEW_DEADLINE_SECONDS,
    RETRY_PERIOD_SECONDS,
    Election,
    LeaseLost,
)
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import LEASES

from .faults import Faults, ModelApi
from .model import VIRTUAL_TIME, Model

pytestmark = VIRTUAL_TIME

KEY = Key(LEASES, "home", "lease")
GRAIN = 0.1
"""Between two looks at who leads."""


class Candidate:
    """An election in a task; a line to the API server that can be cut."""

    def __init__(self, model, faults=None, *, random=None):
        self.api = ModelApi(model, faults or Faults())
        self.elected = asyncio.Event()
        self.lost = []
        self.election = Election(
            self.api,
            KEY,
            on_lost=lambda: self.lost.append(now()),
            random=random or Random(1),  # the same seed must have the same history
        )
        self.api.may_write = self.election.is_leader
        self.task = asyncio.create_task(self.run())

    async def run(self):
        async with self.election.leadership():
            self.elected.set()
            await asyncio.Event().wait()

    @property
    def leads(self):
        return not self.task.done() and self.election.is_leader()

    def cut(self):
        """What is sent from now on is lost, without an answer."""
        self.api._way = asyncio.Event().wait  # noqa: SLF001 - the way to the API server

    async def stop(self):
        self.task.cancel()
        await asyncio.wait([self.task])

    async def kill(self):
        self.cut()
        await self.stop()

    async def ended(self):
        await asyncio.wait([self.task])
        assert self.task.exception().split(LeaseLost)[1] is None
        return self.lost == [now()]


def now():
    return asyncio.get_running_loop().time()


@contextlib.asynccontextmanager
async def pair():
    """The leader, which has led for a while, and a standby.

    No fixture: time is virtual in tests only.
    """
    model = Model(Random(1))
    leader = Candidate(model)
    await leader.elected.wait()
    standby = Candidate(model)
    await asyncio.sleep(100)
    assert leader.leads
    assert not standby.elected.is_set()
    yield leader, standby
    for each in (leader, standby):
        await each.stop()


async def elected(candidate):
    """Seconds until it leads."""
    start = now()
    await candidate.elected.wait()
    return now() - start


def spec(candidate):
    return candidate.api.model.get(KEY)["spec"]


async def test_the_lease_says_who_leads():
    async with pair() as (leader, standby):
        first = spec(leader)
        assert first["holderIdentity"] == leader.election.identity
        assert (first["leaseDurationSeconds"], first["leaseTransitions"]) == (LEASE_DURATION_SECONDS, 0)
        await leader.stop()
        await standby.elected.wait()
        await asyncio.sleep(10)
        second = spec(leader)
        assert second["holderIdentity"] == standby.election.identity
        assert second["leaseTransitions"] == 1
        assert first["acquireTime"] < second["acquireTime"] <= second["renewTime"]


async def test_a_stop_hands_over_at_once():
    async with pair() as (leader, standby):
        await leader.stop()
        assert await elected(standby) < 0.1


async def test_after_a_kill_the_lease_runs_out():
    async with pair() as (leader, standby):
        leader.cut()
        leader.task.cancel()
        assert (
            LEASE_DURATION_SECONDS - RETRY_PERIOD_SECONDS - 1
            < await elected(standby)
            <= LEASE_DURATION_SECONDS
        )


async def test_a_leader_without_an_api_server_ends_before_another_leads():
    async with pair() as (leader, standby):
        leader.cut()
        start = now()
        assert await leader.ended()
        assert now() - start <= RENEW_DEADLINE_SECONDS
        assert not standby.elected.is_set()
        assert await elected(standby) <= LEASE_DURATION_SECONDS


async def test_a_leader_survives_a_short_outage():
    async with pair() as (leader, standby):
        for outage in (Faults(lost=1.0), Faults(unanswered=1.0), Faults(refused=1.0)):
            healthy, leader.api.faults = leader.api.faults, outage
            await asyncio.sleep(RENEW_DEADLINE_SECONDS - 2 * RETRY_PERIOD_SECONDS - 1)
            leader.api.faults = healthy
            await asyncio.sleep(20)
        assert leader.leads
        assert not standby.elected.is_set()


async def test_a_leader_whose_lease_is_taken_ends():
    async with pair() as (leader, standby):
        leader.api.model.patch(KEY, {"spec": {"holderIdentity": "somebody"}})
        start = now()
        assert await leader.ended()
        assert now() - start < 2 * RETRY_PERIOD_SECONDS + 1
        assert "somebody" in str(leader.task.exception().exceptions[0])
        # Who took it does not renew it.
        assert await elected(standby) <= LEASE_DURATION_SECONDS


@pytest.mark.parametrize("there_is", [True, False], ids=["edited", "deleted"])
async def test_the_leader_keeps_a_lease_that_somebody_touches(there_is):
    async with pair() as (leader, standby):
        if there_is:
            leader.api.model.patch(KEY, {"metadata": {"labels": {"a": "b"}}})
        else:
            leader.api.model.delete(KEY)
        newcomer = Candidate(leader.api.model)
        await only_one_leads([leader, standby, newcomer], 30)
        assert leader.leads
        assert spec(leader)["holderIdentity"] == leader.election.identity
        await newcomer.stop()


async def only_one_leads(candidates, seconds):
    until = now() + seconds
    while now() < until:
        assert sum(each.leads for each in candidates) <= 1, now()
        await asyncio.sleep(GRAIN)


async def test_a_leader_whose_lease_was_deleted_does_not_lead_while_it_looks():
    """After the first renewal that is refused, another one may have created the lease."""
    async with pair() as (leader, standby):
        standby.cut()
        leader.api.model.delete(KEY)
        leader.api.faults = replace(leader.api.faults, latency=2.0)
        refused = asyncio.Event()
        patch = leader.api.patch

        async def patch_and_report(*arguments, **options):
            try:
                return await patch(*arguments, **options)
            except ApiError:
                refused.set()
                raise

        leader.api.patch = patch_and_report
        await refused.wait()
        await asyncio.sleep(0)
        assert not leader.leads
        with pytest.raises(ApiError, match="another controller may lead"):
            await leader.api.create(KEY.collection_path, {"metadata": {"name": "x", "namespace": "home"}})
        await asyncio.sleep(30)
        assert leader.leads


async def test_a_leader_whose_lease_was_deleted_and_taken_ends_at_its_next_renewal():
    async with pair() as (leader, standby):
        standby.cut()
        model = leader.api.model
        model.delete(KEY)
        taken = {"holderIdentity": "somebody", "leaseDurationSeconds": LEASE_DURATION_SECONDS}
        model.create(KEY, {"metadata": {"namespace": "home", "name": "lease"}, "spec": taken})
        start = now()
        assert await leader.ended()
        assert now() - start < RETRY_PERIOD_SECONDS + 1


@pytest.mark.parametrize("leader_lives", [True, False], ids=["its holder lives", "its holder was killed"])
async def test_who_finds_no_lease_waits_as_long_as_somebody_may_lead(leader_lives):
    async with pair() as (leader, standby):
        if not leader_lives:
            await leader.kill()
        else:
            leader.cut()
        leader.api.model.delete(KEY)
        newcomer = Candidate(leader.api.model)
        candidates = [leader, standby, newcomer]
        await only_one_leads(candidates, LEASE_DURATION_SECONDS + 3)
        assert sum(each.leads for each in candidates) == 1
        await newcomer.stop()


async def test_a_lease_that_nobody_holds_is_taken():
    model = Model(Random(1))
    model.create(KEY, {"metadata": {"namespace": "home", "name": "lease"}})
    candidate = Candidate(model)
    assert await elected(candidate) < 0.1
    await candidate.stop()


@pytest.mark.parametrize("seed", range(4))
async def test_never_two(seed):
    """Candidates come, go, are killed and cut off, on lines that lose requests and answers."""
    model, random = Model(Random(seed)), Random(seed)
    faults = Faults(lost=0.1, unanswered=0.1, refused=0.05, latency=0.5, lag=1.0, cut=0.05)
    alive = [Candidate(model, faults, random=random) for _ in range(3)]
    leaderless, deleted_at, until = 0.0, 0.0, now() + 300
    terms = set()
    while now() < until:
        leading = [each for each in alive if each.leads]
        assert len(leading) <= 1
        terms |= {id(each.election) for each in leading}
        leaderless = 0.0 if leading else leaderless + GRAIN
        # A lease runs out, or two one after the other, and some tries fail.
        assert leaderless < 3 * LEASE_DURATION_SECONDS
        if random.random() < GRAIN / 20:
            victim = random.choice(alive)
            if KEY in model.objects and spec(victim).get("holderIdentity") == victim.election.identity:
                leaderless = 0.0  # its lease has to run out
            await random.choice([victim.stop, victim.kill])()
            alive[alive.index(victim)] = Candidate(model, faults, random=random)
        if leading and random.random() < GRAIN / 60:
            leading[0].cut()
        # Who finds no lease cannot know of one that was created and deleted meanwhile.
        may_delete = KEY in model.objects and now() > deleted_at + 2 * LEASE_DURATION_SECONDS
        if may_delete and random.random() < GRAIN / 30:
            deleted_at = now()
            model.delete(KEY)
        for each in alive:
            if each.task.done():
                assert each.task.exception().split(LeaseLost)[1] is None
                alive[alive.index(each)] = Candidate(model, faults, random=random)
        await asyncio.sleep(GRAIN)
    assert len(terms) > 2
    for each in alive:
        with contextlib.suppress(ExceptionGroup):
            await each.stop()
