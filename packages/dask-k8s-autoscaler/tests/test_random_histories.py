"""Random histories with unschedulable pods, lost nodes, restarts, edits and suspends: what always holds."""

import random

import pytest

from .history import START_POLLS, History

NAMES = "c-default", "c-spot", "c-more"
CALM_POLLS = 40
"""Polls at the end, in which nothing happens any more."""


def start(chance):
    names = NAMES[: chance.choice([2, 2, 3])]
    history = History(
        {name: chance.randint(1, 6) for name in names},
        {name: chance.choice([-10, -5, 5, 10]) for name in names[1:]},
        interval=chance.choice([5, 10]),
        fallback=chance.choice([10, 30, 60]),
    )
    for name in names:
        history.set_nodes(name, chance.choice([0, 2, 6]))
    history.set_work(chance.randint(0, 8))
    return history


def happen(history, chance):
    """Let one thing happen."""
    name = chance.choice(list(history.maxima))
    events = {
        "work": lambda: history.set_work(chance.randint(0, 8)),
        "nodes": lambda: history.set_nodes(name, chance.choice([0, 0, 2, 6])),
        "lost node": lambda: history.lose_node(name),
        "controller": history.restart_controller,
        "scheduler": lambda: history.restart_scheduler(chance.choice([1, 20])),
        "maximum": lambda: history.set_maximum(name, chance.randint(0, 6)),
        "scaled by hand": lambda: history.scale(name, chance.randint(0, 9)),
        "suspended or resumed": lambda: history.suspend(not history.suspended),
    }
    what = "suspended or resumed" if history.suspended else chance.choice(list(events))
    events[what]()
    history.disturb()
    return what


def served(history):
    """How many workers do work, and how many could."""
    able = sum(
        max(0, min(history.nodes[name], maximum - history.lost[name]))
        for name, maximum in history.maxima.items()
    )
    return history.registered.total(), min(history.work, able)


def patience(history):
    """Seconds after which work must be served: each group may be tried in turn but the last."""
    lacking = sum(history.nodes[name] < maximum for name, maximum in history.maxima.items())
    tried = max(1, min(lacking, len(history.maxima) - 1))
    return tried * history.fallback + (2 + START_POLLS) * history.interval


async def live(seed):
    chance = random.Random(seed)
    history, log, sizes = start(chance), [], []
    for place in range(80 + CALM_POLLS):
        if place < 80 and chance.random() < 0.08:
            log.append((place, happen(history, chance)))
        if place == 80 and history.suspended:
            history.suspend(suspended=False)
            history.disturb()
        sizes.append(await history.poll())
        story = f"poll {place} of {vars(history)} after {log}"
        for name, maximum in history.maxima.items():
            assert sizes[-1][name] <= maximum, f"{name} is above its maximum: {story}"
        if not history.suspended and history.now - history.disturbed > patience(history):
            does, should = served(history)
            assert does >= should, f"{should} workers could work, {does} do: {story}"
    return history, sizes, log


@pytest.mark.parametrize("batch", range(3))
async def test_a_few_histories(batch):
    for seed in range(10 * batch, 10 * batch + 10):
        await live(seed)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("batch", range(10))
async def test_a_thousand_histories(batch):
    for seed in range(1000 + 100 * batch, 1100 + 100 * batch):
        await live(seed)
