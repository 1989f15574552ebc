"""The workspace's `docs/status.md`: which phase of a job follows which is as it says.

All situations of a job that are a few single steps away from its beginning are visited, and told.
"""

import re
from pathlib import Path
from typing import NamedTuple

from dask_k8s_controller import Outcome
from dask_k8s_job.observe import End
from dask_k8s_job.status import report

from .builders import NOW, cluster, job, observe, pod, runner

PAGE = Path(__file__).parents[3] / "docs/status.md"
ENDS = {
    "succeeds": End(succeeded=True, reason="R", message="m", time=NOW),
    "fails": End(succeeded=False, reason="R", message="m", time=NOW),
}


class Situation(NamedTuple):
    """What there is of a job, each in one word, and what was told last."""

    before: str | None = None
    cluster: str = "none"
    runner: str = "none"
    suspend: str = "no"
    end: str = "none"


STEPS = {
    "cluster": {"none": ["there"], "there": ["none"]},
    "runner": {"none": ["starts"], "starts": ["runs"], "runs": ["none"]},
    "suspend": {"no": ["yes"], "yes": ["no"]},
    "end": {"none": ["succeeds", "fails"]},
}
"""What can become of what, one step at a time."""


def possible(now):
    """A runner is made for a cluster, nothing is made for a job that rests, and no runner succeeds unmade."""
    if now.runner == "starts":
        return now.cluster == "there" and now.suspend == "no"
    return now.end != "succeeds" or now.runner == "runs"


def next_ones(now):
    told = word(now)
    steps = [(field, value) for field in STEPS for value in STEPS[field].get(getattr(now, field), ())]
    every = [now._replace(**{field: value}, before=told) for field, value in steps]
    return [each for each in every if now.end == "none" and possible(each)]


def word(now):
    body = job({"jobStatus": now.before} if now.before else None, suspend=now.suspend == "yes")
    phase = "Running" if now.runner == "runs" else "Pending"
    children = {
        "clusters": [cluster()] if now.cluster == "there" else [],
        "runners": [runner()] if now.runner != "none" else [],
        "pods": [pod(phase)] if now.runner != "none" else [],
    }
    return report(*observe(body, **children), ENDS.get(now.end), Outcome(), NOW).job_status


def test_phases_of_a_job():
    steps, seen, new = set(), set(), [Situation()]
    while new:
        now = new.pop()
        if now not in seen:
            seen.add(now)
            steps |= {(word(now), word(then)) for then in next_ones(now)}
            new += next_ones(now)
    page = PAGE.read_text(encoding="utf-8")
    (below,) = re.findall(r"^### Phases of a DaskJob\n(.*?)(?=^#)", page, re.MULTILINE | re.DOTALL)
    lines = [line.strip("|").split("|") for line in below.splitlines() if line.startswith("|")][2:]
    documented = {
        (phase, after)
        for first, _, last in lines
        for phase in re.findall(r"`(\w+)`", first)
        for after in re.findall(r"`(\w+)`", last)
    }
    assert {(before, after) for before, after in steps if before != after} == documented
