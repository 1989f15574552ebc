"""``dask-scheduler`` and ``dask-worker``, which images no longer have, are started in their new form."""

import pytest

from .world import uids


def with_commands(**containers):
    return {
        "spec": {
            role: {"spec": {"containers": [{"name": role, "image": "dask", **fields}]}}
            for role, fields in containers.items()
        }
    }


def reported(events):
    return [event for event in events if event["reason"] == "LegacyCommand"]


@pytest.mark.core
def test_they_are_renewed_and_reported_once(world, cluster):
    legacy = with_commands(
        scheduler={"args": ["dask-scheduler", "--host", "0.0.0.0"]},
        worker={"command": ["dask-worker"], "args": ["--name", "$(DASK_WORKER_NAME)"]},
    )
    world.apply(cluster("demo", legacy, hold=True))
    (name, _) = world.workers("demo-default", 2, ready=False)
    (scheduler,) = world.get("pod/demo-scheduler")["spec"]["containers"]
    assert scheduler["args"] == ["dask", "scheduler", "--host", "0.0.0.0"]
    (worker,) = world.get(f"pod/{name}")["spec"]["containers"]
    assert (worker["command"], worker["args"]) == (["dask", "worker"], ["--name", "$(DASK_WORKER_NAME)"])

    # What the user wrote stays as it is.
    spec = world.get("daskcluster/demo")["spec"]
    assert spec["scheduler"]["spec"]["containers"][0]["args"][0] == "dask-scheduler"
    assert spec["worker"]["spec"]["containers"][0]["command"] == ["dask-worker"]

    before = uids(world.all("pods"))
    world.kubectl("delete", "pods", "-l", "dask.org/cluster-name=demo", "--wait=false")
    world.until("pods", lambda pods: len(uids(pods) - before) == 3)
    found = reported(world.until("events", lambda events: len(reported(events)) >= 2))
    events = {event["involvedObject"]["kind"]: event for event in found}
    assert len(events) == len(found)
    assert events["DaskCluster"]["message"] == (
        'started "dask-scheduler" as "dask scheduler": distributed 2026.6.0 removed the old form; '
        "change the template, or annotate the resource with "
        '"kubernetes.dask.org/legacy-commands: keep" for an image older than 2022.10'
    )
    assert events["DaskWorkerGroup"]["involvedObject"]["name"] == "demo-default"


def test_they_are_kept_where_the_user_says_so(world, cluster):
    legacy = with_commands(scheduler={"args": ["dask-scheduler"]}, worker={"args": ["dask-worker"]})
    keep = {"metadata": {"annotations": {"kubernetes.dask.org/legacy-commands": "keep"}}}
    world.apply(cluster("demo", legacy, keep, hold=True))
    (name, _) = world.workers("demo-default", 2, ready=False)
    world.until("pods", len, "dask.org/component=scheduler")
    for pod, word in (("demo-scheduler", "dask-scheduler"), (name, "dask-worker")):
        assert world.get(f"pod/{pod}")["spec"]["containers"][0]["args"] == [word]
    assert reported(world.all("events")) == []


def test_only_the_first_word_counts(world, cluster):
    entry = {"command": ["tini", "--"], "args": ["dask-worker", "--name", "dask-scheduler"]}
    world.apply(cluster("demo", with_commands(worker=entry), hold=True))
    (name, _) = world.workers("demo-default", 2, ready=False)
    (worker,) = world.get(f"pod/{name}")["spec"]["containers"]
    assert {field: worker[field] for field in entry} == entry
