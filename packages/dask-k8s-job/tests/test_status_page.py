"""The workspace's `docs/status.md`: which phase of a job follows which is as it says.

All situations of a job that are a few single steps away from its beginning are visited.
"""

import re
from pathlib import Path
from typing import NamedTuple

from dask_k8s_controller import Outcome
from dask_k8s_job.observe import JobResult
from dask_k8s_job.status import report

from .builders import NOW, cluster, job, observe, pod, runner

PAGE = Path(__file__).parents[3] / "docs/status.md"
RESULTS = {
    "succeeds": JobResult(succeeded=True, reason="R", message="m", time=NOW),
    "fails": JobResult(succeeded=False, reason="R", message="m", time=NOW),
}


class Situation(NamedTuple):
    """What there is of a job, each as one value, and the phase that was reported last."""

    before: str | None = None
    cluster: str = "none"
    runner: str = "none"
    suspend: str = "no"
    end: str = "none"


STEPS = {
    "cluster": {"none": ["there"], "there": ["none"]},
    "runner": {"none": ["starts"], "starts": ["runs"], "runs": ["rests"], "rests": ["runs"]},
    "suspend": {"no": ["yes"], "yes": ["no"]},
    "end": {"none": ["succeeds", "fails"]},
}
"""What can become of what, one step at a time."""


def possible(now):
    """A runner starts on a cluster, and rests while the job does; a job without one of the two has failed."""
    if now.runner in {"starts", "runs"} and now.cluster == "none":
        return False
    if now.runner == "starts":
        return now.suspend == "no"
    return now.end != "succeeds" or now.runner == "runs"


def next_ones(now):
    reported = phase(now)
    steps = [(field, value) for field in STEPS for value in STEPS[field].get(getattr(now, field), ())]
    # Only a job that is suspended has a runner that rests, until it is resumed.
    steps = [step for step in steps if step != ("runner", "rests") or now.suspend == "yes"]
    every = [now._replace(**{field: value}, before=reported) for field, value in steps]
    return [each for each in every if now.end == "none" and possible(each)]


def phase(now):
    body = job({"jobStatus": now.before} if now.before else None, suspend=now.suspend == "yes")
    pod_phase = "Running" if now.runner == "runs" else "Pending"
    children = {
        "clusters": [cluster()] if now.cluster == "there" else [],
        "runners": [runner(suspended=now.runner == "rests")] if now.runner != "none" else [],
        "pods": [pod(pod_phase)] if now.runner in {"starts", "runs"} else [],
    }
    return report(*observe(body, **children), RESULTS.get(now.end), Outcome(), NOW).job_status


def test_phases_of_a_job():
    steps, seen, new = set(), set(), [Situation()]
    while new:
        now = new.pop()
        if now not in seen:
            seen.add(now)
            steps |= {(phase(now), phase(then)) for then in next_ones(now)}
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
