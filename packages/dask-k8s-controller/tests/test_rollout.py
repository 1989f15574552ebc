"""Rollouts, step by step: which workers go when, never too many at once, to the end from any state."""

import itertools
from dataclasses import dataclass, field
from random import Random

import pytest

from dask_k8s_controller.dask.workergroup import surge
from dask_k8s_controller.dask.workergroup.observe import Observed
from dask_k8s_controller.dask.workergroup.retirement import is_overdue, seconds_left
from dask_k8s_controller.dask.workergroup.rollout import next_step
from dask_k8s_controller.dask.workergroup.scale import decide
from dask_k8s_crds import labels
from dask_k8s_crds.resources import PODS
from dask_k8s_crds.updates import UpdateStrategy

from .builders import NOW, STARTING, ago, pod, record

STATES = {
    "ready": {"ready": True},
    "unready": {},
    "pending": {"phase": "Pending"},
    "crashing": {"phase": "Running"},
    "starting": STARTING,
}
CRASH = [{"name": "dask", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]


def worker(name, revision="new", state="ready", draining=None):
    annotations = {labels.TEMPLATE_DIGEST: revision}
    if draining is not None:
        annotations[labels.DRAINING_SINCE] = ago(draining)
    body = pod(name, annotations=annotations, **STATES[state])
    if state == "crashing":
        body["status"]["containerStatuses"] = CRASH
    return record(PODS, body)


def group(text):
    """Workers as `new` or `old`, with the first letter of their state: `old.r new.p`."""
    states = {state[0]: state for state in STATES}
    workers = (each.split(".") for each in text.split())
    return [worker(f"w{at}", revision, states[state]) for at, (revision, state) in enumerate(workers)]


def strategy(unavailable="25%", type="RollingUpdate", surge=0):
    """By default without additional workers."""
    return UpdateStrategy(type=type, max_unavailable=unavailable, max_surge=surge)


DEFAULT = UpdateStrategy()


def step_of(living, replicas, asked, **more):
    return next_step(living, replicas - asked.unavailable(replicas), "new", asked, **more)


@pytest.mark.parametrize(
    "living, replicas, asked, deleted, drains",
    [
        pytest.param("", 3, strategy(), [], [], id="no workers"),
        pytest.param("new.r new.r", 2, strategy(), [], [], id="all updated"),
        pytest.param("new.r .r", 2, strategy(), [], [], id="of an older controller: counts as updated"),
        pytest.param("old.r", 1, strategy(), [], [("w0", 1)], id="the only one may always go"),
        pytest.param("old.r old.r old.r old.r", 4, strategy(), [], [("w0 w1 w2 w3", 1)], id="a quarter"),
        pytest.param("old.r old.r old.r old.r", 4, strategy(2), [], [("w0 w1 w2 w3", 2)], id="a number"),
        pytest.param("old.r old.r", 2, strategy(5), [], [("w0 w1", 2)], id="more than there are"),
        pytest.param("old.r old.r old.r", 4, strategy(), [], [], id="one is missing already"),
        pytest.param("old.r old.r old.r new.p", 4, strategy(), [], [], id="the new one is not ready yet"),
        pytest.param(
            "old.r old.r old.r new.r", 4, strategy(), [], [("w0 w1 w2", 1)], id="the new one is ready"
        ),
        pytest.param(
            "old.r old.r old.r new.c", 4, strategy(), [], [], id="the new one does not work: no further"
        ),
        pytest.param("old.r old.r new.c new.c", 4, strategy("50%"), [], [], id="nor do two"),
        pytest.param(
            "new.r new.r new.r old.c", 4, strategy(), ["w3"], [], id="reverted: the broken one goes"
        ),
        pytest.param(
            "old.r old.r old.r old.p", 4, strategy(), ["w3"], [], id="one that does not run is missing anyway"
        ),
        pytest.param("old.p old.p old.c", 3, strategy(), ["w0", "w1", "w2"], [], id="none ran: all at once"),
        pytest.param(
            "old.r old.r old.r old.s",
            4,
            strategy(),
            [],
            [("w3", 1)],
            id="may have started: drained",
        ),
        pytest.param(
            "old.u old.r new.r new.r", 4, strategy(), [], [("w0", 1)], id="not ready, and runs: drained"
        ),
        pytest.param(
            "old.u old.r new.r new.r new.r",
            4,
            strategy(),
            [],
            [("w0", 1), ("w1", 1)],
            id="one more than desired",
        ),
        pytest.param("old.r old.p", 2, strategy(type="Recreate"), ["w0", "w1"], [], id="all at once"),
        pytest.param("old.r old.p", 2, strategy(type="OnDelete"), [], [], id="whoever is deleted"),
        pytest.param("old.r old.r", 0, strategy(1), [], [("w0 w1", 2)], id="none desired"),
        pytest.param("old.r", 1, DEFAULT, [], [], id="the only one stays until another has come"),
        pytest.param("old.r new.p", 1, DEFAULT, [], [], id="and is ready"),
        pytest.param("old.r new.c", 1, DEFAULT, [], [], id="and works"),
        pytest.param("old.r new.r", 1, DEFAULT, [], [("w0", 1)], id="another takes its data"),
        pytest.param("old.r old.r old.r new.r", 3, DEFAULT, [], [("w0 w1 w2", 1)], id="one of three"),
        pytest.param("old.r", 1, strategy(1, surge=1), [], [("w0", 1)], id="it may go at once"),
    ],
)
def test_next_step(living, replicas, asked, deleted, drains):
    step = step_of(group(living), replicas, asked)
    assert sorted(each.key.name for each in step.delete) == deleted
    found = [
        (" ".join(sorted(each.key.name for each in drain.candidates)), drain.count) for drain in step.drains
    ]
    assert found == drains


def test_an_unregistered_worker_is_missing():
    old, new = worker("a", "old"), worker("b")
    assert step_of([old, new], 2, strategy(1)).drains
    assert not step_of([old, new], 2, strategy(1), unregistered=[new]).drains


@dataclass
class Rollout:
    """A group in which each worker is ready one tick after it was created, if its revision works."""

    replicas: int
    strategy: UpdateStrategy
    revision: str = "new"
    broken: frozenset = frozenset()
    workers: dict = field(default_factory=dict)
    names: itertools.count = field(default_factory=itertools.count)

    def living(self):
        return [worker(name, *of) for name, of in self.workers.items()]

    def ready(self):
        return sum(state == "ready" for _, state in self.workers.values())

    def tick(self, random=None):
        """One pass of the controller, then some time."""
        living = self.living()
        observed = Observed.of_pods(living, digest=self.revision)
        limit = surge.limit(observed, self.replicas, self.strategy)
        decision = decide(observed, limit, NOW)
        surges = surge.coming(observed, self.replicas, self.strategy, NOW) > self.replicas
        least = self.replicas - self.strategy.unavailable(self.replicas, surges=surges)
        floor = min(self.ready(), least)
        if surplus := observed.surplus(limit):
            gone = sorted(living, key=lambda each: (not each.value.outdated(self.revision), each.key.name))
            gone = gone[:surplus]
            floor = 0
        else:
            step = next_step(living, least, self.revision, self.strategy)
            gone = [*step.delete]
            for drain in step.drains:
                # Draining takes as long as it takes.
                drained = [each for each in drain.candidates if random is None or random.random() < 0.7]
                gone += drained[: drain.count]
        for each in gone:
            del self.workers[each.key.name]
        if self.strategy.type == "RollingUpdate":
            assert self.ready() >= floor
        created = [f"w{next(self.names)}" for _ in range(decision.create)]
        assert len(self.workers) + len(created) <= max(limit, len(living))
        for name, (revision, _) in list(self.workers.items()):
            if random is None or random.random() < 0.7:
                self.workers[name] = (revision, "crashing" if revision in self.broken else "ready")
        self.workers |= dict.fromkeys(created, (self.revision, "pending"))

    def shape(self):
        """How many of each kind: `3 old.r 1 new.p`."""
        kinds = [f"{revision}.{state[0]}" for revision, state in sorted(self.workers.values())]
        return " ".join(f"{len(list(same))} {kind}" for kind, same in itertools.groupby(kinds))

    def done(self):
        return len(self.workers) == self.replicas and all(
            of == (self.revision, "ready") for of in self.workers.values()
        )


def rolling(replicas, asked, **more):
    rollout = Rollout(replicas, asked, **more)
    rollout.workers = {f"w{next(rollout.names)}": ("old", "ready") for _ in range(replicas)}
    return rollout


def shapes(rollout, most=30):
    seen = [rollout.shape()]
    while len(seen) < most:
        rollout.tick()
        if rollout.shape() == seen[-1]:
            break
        seen.append(rollout.shape())
    return seen


@pytest.mark.parametrize(
    "replicas, asked, steps",
    [
        pytest.param(1, strategy(), ["1 old.r", "", "1 new.p", "1 new.r"], id="one"),
        pytest.param(
            2,
            strategy(),
            [
                "2 old.r",
                "1 old.r",
                "1 new.p 1 old.r",
                "1 new.r 1 old.r",
                "1 new.r",
                "1 new.p 1 new.r",
                "2 new.r",
            ],
            id="two, one by one",
        ),
        pytest.param(
            4,
            strategy(2),
            [
                "4 old.r",
                "2 old.r",
                "2 new.p 2 old.r",
                "2 new.r 2 old.r",
                "2 new.r",
                "2 new.p 2 new.r",
                "4 new.r",
            ],
            id="four, two by two",
        ),
        pytest.param(
            1, DEFAULT, ["1 old.r", "1 new.p 1 old.r", "1 new.r 1 old.r", "1 new.r"], id="one, never none"
        ),
        pytest.param(
            3,
            DEFAULT,
            [
                "3 old.r",
                "1 new.p 3 old.r",
                "1 new.r 3 old.r",
                "1 new.r 2 old.r",
                "1 new.p 1 new.r 2 old.r",
                "2 new.r 2 old.r",
                "2 new.r 1 old.r",
                "1 new.p 2 new.r 1 old.r",
                "3 new.r 1 old.r",
                "3 new.r",
            ],
            id="three, with one more",
        ),
        pytest.param(3, strategy("100%"), ["3 old.r", "", "3 new.p", "3 new.r"], id="all may be missing"),
        pytest.param(3, strategy(type="Recreate"), ["3 old.r", "", "3 new.p", "3 new.r"], id="all at once"),
        pytest.param(3, strategy(type="OnDelete"), ["3 old.r"], id="on deletion: nothing"),
    ],
)
def test_steps(replicas, asked, steps):
    assert shapes(rolling(replicas, asked)) == steps


def test_a_broken_template_stops_and_goes_back():
    rollout = rolling(4, strategy(), broken=frozenset({"new"}))
    assert shapes(rollout) == ["4 old.r", "3 old.r", "1 new.p 3 old.r", "1 new.c 3 old.r"]
    rollout.revision = "old"
    assert shapes(rollout) == ["1 new.c 3 old.r", "3 old.r", "1 old.p 3 old.r", "4 old.r"]


def test_a_broken_template_costs_a_small_group_nothing():
    rollout = rolling(3, DEFAULT, broken=frozenset({"new"}))
    assert shapes(rollout) == ["3 old.r", "1 new.p 3 old.r", "1 new.c 3 old.r"]


def test_a_broken_template_is_mended():
    rollout = rolling(4, strategy(), broken=frozenset({"new"}))
    shapes(rollout)
    rollout.revision = "newer"
    assert shapes(rollout)[:4] == ["1 new.c 3 old.r", "3 old.r", "1 newer.p 3 old.r", "1 newer.r 3 old.r"]
    assert rollout.done()


@pytest.mark.parametrize("seed", range(200))
def test_any_mixture_and_any_edits_come_to_an_end(seed):
    random = Random(seed)
    asked = strategy(
        random.choice([1, 2, "10%", "25%", "60%", "100%"]),
        random.choice(["RollingUpdate"] * 3 + ["Recreate"]),
        random.choice([0, 1, 3, "0%", "25%", "100%"]),
    )
    rollout = Rollout(random.randrange(12), asked, broken=frozenset({"x"}))
    for _ in range(random.randrange(14)):
        of = (random.choice(["a", "b", "x", "new"]), random.choice(list(STATES)))
        rollout.workers[f"w{next(rollout.names)}"] = of
    for _ in range(random.randrange(10)):
        match random.randrange(3):
            case 0:
                rollout.revision = random.choice(["a", "b", "x", "new"])
            case 1:
                rollout.replicas = random.randrange(12)
            case 2 if rollout.workers:
                del rollout.workers[random.choice(list(rollout.workers))]
        for _ in range(random.randrange(6)):
            rollout.tick(random)
    rollout.revision = random.choice(["a", "b", "new"])
    for _ in range(400):
        if rollout.done():
            return
        rollout.tick(random)
    raise AssertionError(rollout.shape())


@pytest.mark.parametrize(
    "draining, left",
    [
        pytest.param(None, None, id="not asked to"),
        pytest.param(10, 290, id="for a while"),
        pytest.param(301, -1, id="for too long"),
    ],
)
def test_draining_times_out(draining, left):
    found = worker("w", draining=draining)
    assert seconds_left(found, strategy(), NOW) == left
    assert is_overdue(found, strategy(), NOW) is (left is not None and left <= 0)


def test_an_unreadable_time_is_no_time():
    body = pod("w", annotations={labels.DRAINING_SINCE: "yesterday"})
    assert seconds_left(record(PODS, body), strategy(), NOW) is None
