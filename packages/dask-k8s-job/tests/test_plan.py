"""What is changed about the children of a job, in every state that they can be in."""

import pytest

from dask_k8s_crds import DaskJob
from dask_k8s_crds.resources import DASK_CLUSTERS, JOBS
from dask_k8s_job.observe import JobResult, Observed
from dask_k8s_job.plan import advance, cleanup, ttl_seconds_left

from .builders import CLUSTER_SPEC, KEY, NOW, RECORDED, ago, cluster, job, observe, pod, runner, world

NAMED = {"clusterName": "another"}
OTHER = {"name": "another", "owner": None}
GOING = {"deletionTimestamp": ago(1)}
WORKERS = "patch DaskCluster ns/demo"
START = "patch Job ns/demo-runner"
WAITING = runner(suspended=True, started=None)


def scaled(cluster, replicas):
    """Scale a cluster as a user does."""
    cluster["spec"]["worker"]["replicas"] = replicas
    return cluster


CASES = {
    "nothing-yet": (job(), {}, ["create DaskCluster ns/demo"]),
    "cluster-starts": (job(), {"clusters": [cluster(ready=False)]}, []),
    "cluster-goes": (job(), {"clusters": [cluster(**GOING)]}, []),
    "cluster-ready": (job(), {"clusters": [cluster()]}, ["create Job ns/demo-runner"]),
    "runner-not-recorded": (job(), {"clusters": [cluster()], "runners": [WAITING]}, []),
    "runner-recorded-without-the-cluster": (
        job({"runnerUid": "runner"}),
        {"clusters": [cluster()], "runners": [WAITING]},
        [],
    ),
    "runner-recorded-on-another-cluster": (
        job({**RECORDED, "clusterUid": "another"}),
        {"clusters": [cluster()], "runners": [WAITING]},
        [],
    ),
    "another-runner-recorded": (
        job({**RECORDED, "runnerUid": "another"}),
        {"clusters": [cluster()], "runners": [WAITING]},
        [],
    ),
    "recorded": (job(RECORDED), {"clusters": [cluster()], "runners": [WAITING]}, [START]),
    "recorded-but-scheduler-lost": (
        job(RECORDED),
        {"clusters": [cluster(ready=False)], "runners": [WAITING]},
        [],
    ),
    "recorded-and-runner-gone": (job(RECORDED), {"clusters": [cluster()]}, []),
    "recorded-and-cluster-gone": (job(RECORDED), {"runners": [runner()]}, []),
    "edited-before-the-runner-started": (
        job(template={"restartPolicy": "Never"}, backoffLimit=0),
        {"clusters": [cluster()], "runners": [WAITING]},
        [START.replace("patch", "delete")],
    ),
    "edited-before-the-cluster-was-used": (
        job(cluster={"spec": CLUSTER_SPEC, "metadata": {"labels": {"a": "b"}}}),
        {"clusters": [cluster()]},
        ["delete DaskCluster ns/demo"],
    ),
    "limits-edited": (
        job(RECORDED, backoffLimit=3, activeDeadlineSeconds=60),
        {"clusters": [cluster()], "runners": [runner()]},
        [START],
    ),
    "limits-as-edited": (
        job(RECORDED, backoffLimit=3, activeDeadlineSeconds=60),
        {"clusters": [cluster()], "runners": [runner(backoffLimit=3, activeDeadlineSeconds=60)]},
        [],
    ),
    "limits-edited-after-the-end": (
        job(RECORDED, backoffLimit=3),
        {"clusters": [cluster()], "runners": [runner(("Complete", "C"))]},
        [],
    ),
    "runner-has-no-pod": (job(), {"clusters": [cluster()], "runners": [runner()]}, []),
    "runner-has-a-pod": (
        job(),
        {"clusters": [cluster()], "runners": [runner()], "pods": [pod("Pending")]},
        [WORKERS],
    ),
    "only-a-pod-that-ended": (
        job(),
        {"clusters": [cluster()], "runners": [runner()], "pods": [pod("Failed")]},
        [],
    ),
    "cluster-edited-before-its-workers": (
        job(),
        {"clusters": [cluster(generation=2)], "runners": [runner()], "pods": [pod()]},
        [WORKERS],
    ),
    "workers-released": (
        job(),
        {"clusters": [cluster(replicas=3)], "runners": [runner()], "pods": [pod()]},
        [],
    ),
    "scaled-to-zero-after-its-workers": (
        job(),
        {"clusters": [scaled(cluster(replicas=3), 0)], "runners": [runner()], "pods": [pod()]},
        [],
    ),
    "scheduler-lost": (
        job(),
        {"clusters": [cluster(ready=False, replicas=3)], "runners": [runner()], "pods": [pod()]},
        [],
    ),
    "name-taken": (job(), {"clusters": [cluster(owner=None)]}, ["create DaskCluster ns/demo"]),
    "named-missing": (job(**NAMED), {}, []),
    "named-starts": (job(**NAMED), {"clusters": [cluster(ready=False, **OTHER)]}, []),
    "named-ready": (job(**NAMED), {"clusters": [cluster(**OTHER)]}, ["create Job ns/demo-runner"]),
    "named-goes": (job(**NAMED), {"clusters": [cluster(**OTHER, **GOING)]}, []),
    "named-keeps-its-size": (
        job(**NAMED),
        {"clusters": [cluster(**OTHER)], "runners": [runner()], "pods": [pod()]},
        [],
    ),
    "suspended-before-it-began": (job(suspend=True), {}, []),
    "suspended": (
        job(RECORDED, suspend=True),
        {"clusters": [cluster()], "runners": [runner()], "pods": [pod()]},
        ["patch Job ns/demo-runner"],
    ),
    "suspended-and-started-by-somebody-else": (
        job(suspend=True),
        {"clusters": [cluster()], "runners": [runner()], "pods": [pod()]},
        [],
    ),
    "suspended-and-the-runner-too": (
        job(RECORDED, suspend=True),
        {"clusters": [cluster()], "runners": [runner(suspended=True)]},
        [],
    ),
    "suspended-and-the-cluster-not-recorded-any-more": (
        job({"runnerUid": "runner"}, suspend=True),
        {"clusters": [cluster()], "runners": [runner(suspended=True)]},
        ["delete DaskCluster ns/demo"],
    ),
    "suspended-already": (job(suspend=True), {"runners": [runner(suspended=True)]}, []),
    "suspended-on-another": (
        job(RECORDED, suspend=True, **NAMED),
        {"clusters": [cluster(**OTHER)], "runners": [runner()]},
        ["patch Job ns/demo-runner"],
    ),
    "resumed": (job(), {"runners": [runner(suspended=True)]}, ["create DaskCluster ns/demo"]),
    "resumed-and-ready": (
        job(RECORDED),
        {"clusters": [cluster()], "runners": [runner(suspended=True)]},
        ["patch Job ns/demo-runner"],
    ),
}


@pytest.mark.parametrize("body, children, expected", CASES.values(), ids=CASES)
def test_advance(body, children, expected):
    assert [str(action) for action in advance(*observe(body, **children))] == expected


@pytest.mark.parametrize("resource", [DASK_CLUSTERS, JOBS], ids=str)
async def test_what_is_not_seen_yet_is_not_made_again(resource):
    body = job()
    made = world(body, clusters=[cluster()] if resource is JOBS else [])
    made.lagging = True
    model = DaskJob.parse(body)
    plan = advance(model, Observed.of(made.get(KEY), model, made))
    assert [create.resource for create in plan.create] == [resource]
    await made.apply(KEY, "job", plan)
    assert not advance(model, Observed.of(made.get(KEY), model, made))


def test_a_cluster_begins_without_workers_and_gets_them():
    (create,) = advance(*observe(job())).create
    assert create.body["spec"]["worker"]["replicas"] == 0
    children = {"clusters": [cluster()], "runners": [runner()], "pods": [pod("Pending")]}
    (patch,) = advance(*observe(job(), **children)).patch
    assert patch.body["spec"] == {"worker": {"replicas": 3}}


ALL = {"clusters": [cluster()], "runners": [runner(("Complete", "R"))]}
GOES = "delete DaskCluster ns/demo"
CLEANUP = {
    "success": ({}, True, ALL, [GOES]),
    "failure": ({}, False, ALL, [GOES]),
    "on-success-success": ({"clusterCleanup": "OnSuccess"}, True, ALL, [GOES]),
    "on-success-failure": ({"clusterCleanup": "OnSuccess"}, False, ALL, []),
    "never": ({"clusterCleanup": "Never"}, True, ALL, []),
    "named": (NAMED, True, {"clusters": [cluster(**OTHER)], "runners": ALL["runners"]}, []),
    "gone": ({}, True, {"runners": ALL["runners"]}, []),
    "runner-still-runs": ({}, False, {"runners": [runner()]}, ["patch Job ns/demo-runner"]),
    "runner-is-being-stopped": ({}, False, {"runners": [runner(activeDeadlineSeconds=1)]}, []),
}


@pytest.mark.parametrize("spec, succeeded, children, expected", CLEANUP.values(), ids=CLEANUP)
def test_cleanup(spec, succeeded, children, expected):
    model, observed = observe(job(**spec), **children)
    result = JobResult(succeeded, "R", "m", NOW)
    assert [str(action) for action in cleanup(model, observed, result)] == expected


@pytest.mark.parametrize(
    "spec, expected",
    [({}, None), ({"ttlSecondsAfterFinished": 0}, 0), ({"ttlSecondsAfterFinished": 60}, 60)],
    ids=["for-ever", "at-once", "for-a-minute"],
)
def test_time_to_live(spec, expected):
    model, _ = observe(job(**spec))
    assert ttl_seconds_left(model, JobResult(True, "R", "m", NOW), NOW) == expected
