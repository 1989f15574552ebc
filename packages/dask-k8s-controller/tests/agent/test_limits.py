"""The agent's answers stay within the limits of the controller, whatever workers and tasks there are."""

import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from dask_k8s_controller.dask.scheduler.answers import Demand

from .conftest import AGENT

SCHEDULERS = """
import json, sys, importlib.util
from types import SimpleNamespace as Any
from distributed.core import Status

spec = importlib.util.spec_from_file_location("preload", sys.argv[1])
preload = importlib.util.module_from_spec(spec)
sys.modules["preload"] = preload
spec.loader.exec_module(preload)

def worker(name, resources):
    return Any(
        name=name, resources=resources, used_resources=resources, status=Status.running, processing={1: 1},
        nthreads=1, occupancy=1.0, memory=Any(process=1), nbytes=1, memory_limit=2, address=name,
        actors=(), has_what=(), long_running=set(), executing={},
    )

def task(needs):
    return Any(
        resource_restrictions=needs, prefix=Any(duration_average=1.0), worker_restrictions=None,
        host_restrictions=None, loose_restrictions=False,
    )

for workers, tasks in json.load(sys.stdin):
    scheduler = Any(
        workers={n: worker(f"c-g{n}-worker-0123456789", each) for n, each in enumerate(workers)},
        queued=[], unrunnable=[task(each) for each in tasks], plugins={},
    )
    agent = Any(scheduler=scheduler, idleness=Any(seconds=lambda: None))
    print(json.dumps(preload.Agent.demand(agent)))
"""
NUMBER = 3000


@pytest.fixture(scope="module")
def demands(environment: Path):
    """Return what the agents of schedulers with these workers and waiting tasks answer."""

    def answers(*schedulers):
        command = [environment / "python", "-c", SCHEDULERS, AGENT]
        text = json.dumps(schedulers)
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
        assert done.stderr.count("\n") <= 2  # a warning for each limit, once
        return [Demand.read(line.encode()) for line in done.stdout.splitlines()]

    return answers


def offers(demand):
    return [dict(load.resources) for load in demand.loads]


def test_all_workers_count_whatever_they_offer(demands):
    cases = {
        "each its own": [{"GPU": 1, f"node-{n}": 1} for n in range(NUMBER)],
        "each its own amount": [{"MEMORY": 1e9 + n, "GPU": 1} for n in range(NUMBER)],
        "all combinations": [{f"r{bit}": 1 for bit in range(12) if n >> bit & 1} for n in range(NUMBER)],
        "many names at once": [{f"r{n}": 1 for n in range(100)}] * 10,
        "long names": [{"x" * 1000: 1, "GPU": 1}] * 10,
        "infinite": [{"GPU": float("inf")}] * 10,
        "usual": [{}, {"GPU": 1}, {"GPU": 2, "SSD": 1}],
    }
    found = dict(zip(cases, demands(*([workers, []] for workers in cases.values())), strict=True))
    for case, demand in found.items():
        loads, workers = demand.loads, cases[case]
        assert sum(load.workers for load in loads) == len(workers), case
        assert sum(load.processing for load in loads) == len(workers), case
        assert sum(load.memory_limit for load in loads) == 2 * len(workers), case
        assert sum(sum(load.busy.values()) for load in loads) == min(len(workers), 1000), case
    assert offers(found["usual"]) == cases["usual"]
    assert {"GPU": 1.0} in offers(found["each its own"])
    assert all(each["GPU"] == 1 and each["MEMORY"] >= 1e9 for each in offers(found["each its own amount"]))
    assert offers(found["long names"]) == [{"GPU": 1.0}]
    assert offers(found["infinite"]) == [{"GPU": 1e18}]


def test_the_most_frequent_tasks_count(demands):
    tasks = [{"GPU": 1}] * 500 + [{f"r{n}": 1} for n in range(400)]
    amounts = [{"MEMORY": 1e9 + n} for n in range(900)]
    odd = [{"x" * 1000: 1}, {f"r{n}": 1 for n in range(100)}, {"GPU": float("inf")}]
    frequent, similar, odd = demands([[], tasks], [[], amounts], [[], odd])
    assert (frequent.waiting[0].resources, frequent.waiting[0].tasks) == ({"GPU": 1.0}, 500)
    assert Counter(each.tasks for each in frequent.waiting)[1] >= 90
    assert sum(each.tasks for each in similar.waiting) == 900
    assert max(each.resources["MEMORY"] for each in similar.waiting) == 1e9 + 899
    assert [each.resources for each in odd.waiting] == [{"GPU": 1e18}]
