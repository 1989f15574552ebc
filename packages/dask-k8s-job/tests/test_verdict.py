"""Whether a job has ended, and what is said of it."""

import pytest

from dask_k8s_job.reconcile import reconcile
from dask_k8s_job.verdict import patience, reported, verdict

from .builders import KEY, NOW, ago, cluster, job, observe, pod, runner, world


def since(seconds):
    """A status that has the cluster out of reach for so long."""
    condition = {"type": "ClusterReady", "status": "False", "reason": "R", "lastTransitionTime": ago(seconds)}
    return {"conditions": [condition]}


DOWN = {"clusters": [cluster(ready=False)]}
BROKEN = {"clusters": [cluster(ready=False, degraded="ImagePullBackOff")]}
OVER_TIME = runner(("Failed", "DeadlineExceeded"))
CASES = {
    "nothing-yet": (job(), {}, None),
    "runs": (job(), {"clusters": [cluster()], "runners": [runner()]}, None),
    "complete": (job(), {"clusters": [cluster()], "runners": [runner(("Complete", "C"))]}, (True, "C")),
    "failed": (job(), {"clusters": [cluster()], "runners": [runner(("Failed", "F"))]}, (False, "F")),
    "suspending-too-late": (job(suspend=True), {"runners": [runner(("Complete", "C"))]}, (True, "C")),
    "decided-but-pods-left": (job(), {"runners": [runner(("FailureTarget", "F"))]}, None),
    "over-time": (job(), {"clusters": [cluster()], "runners": [OVER_TIME]}, (False, "DeadlineExceeded")),
    "over-time-and-cluster-down": (job(), {**BROKEN, "runners": [OVER_TIME]}, (False, "ClusterFailed")),
    "cluster-starts": (job(since(3000)), DOWN, None),
    "cluster-is-broken-for-a-moment": (job(), BROKEN, None),
    "cluster-is-broken-for-nine-minutes": (job(since(540)), BROKEN, None),
    "cluster-is-broken-for-ten-minutes": (job(since(600)), BROKEN, (False, "ClusterFailed")),
    "cluster-is-broken-and-a-long-deadline": (
        job(since(601), activeDeadlineSeconds=9000),
        BROKEN,
        (False, "ClusterFailed"),
    ),
    "cluster-starts-longer-than-the-deadline": (
        job(since(31), activeDeadlineSeconds=30),
        DOWN,
        (False, "ClusterFailed"),
    ),
    "cluster-starts-within-the-deadline": (job(since(29), activeDeadlineSeconds=30), DOWN, None),
    "named-cluster-missing": (job(since(601), clusterName="another"), {}, (False, "ClusterFailed")),
    "name-taken": (job(since(601)), {"clusters": [cluster(owner=None)]}, (False, "ClusterFailed")),
    "suspended-for-long": (job(since(6000), suspend=True), {}, None),
}


@pytest.mark.parametrize("body, children, expected", CASES.values(), ids=CASES)
def test_verdict(body, children, expected):
    end = verdict(*observe(body, **children), NOW)
    assert (end and (end.succeeded, end.reason)) == expected


def test_the_cluster_speaks_for_itself():
    end = verdict(*observe(job(since(601)), **BROKEN), NOW)
    assert end.message == "DaskCluster demo: oh"
    end = verdict(*observe(job(since(601), clusterName="another")), NOW)
    assert end.message == 'there is no DaskCluster "another" in namespace "ns"'
    end = verdict(*observe(job(since(601)), clusters=[cluster(owner=None)]), NOW)
    assert end.message == 'DaskCluster "demo" was not made for this job: delete or rename one'


WORDS_OF_PODS = [pod("Failed", "a", 40, trouble="exit code 1 (Error)"), pod("Failed", "b", 20, trouble="oh")]
LAST_WORDS = {
    "tried-often-enough": ("BackoffLimitExceeded", WORDS_OF_PODS, "m; pod b: oh"),
    "the-newest-says-nothing": ("BackoffLimitExceeded", [WORDS_OF_PODS[0], pod("Running", "b", 20)], "m"),
    "its-pods-are-gone": ("BackoffLimitExceeded", [], "m"),
    "the-job-says-it": ("PodFailurePolicy", WORDS_OF_PODS, "m"),
}


@pytest.mark.parametrize("reason, pods, message", LAST_WORDS.values(), ids=LAST_WORDS)
def test_the_newest_pod_says_why(reason, pods, message):
    observed = observe(job(), clusters=[cluster()], runners=[runner(("Failed", reason))], pods=pods)
    assert verdict(*observed, NOW).message == message


def test_it_is_looked_at_again_when_patience_ends():
    assert patience(*observe(job(), **BROKEN), NOW) == 600
    assert patience(*observe(job(since(100)), **BROKEN), NOW) == 500
    assert patience(*observe(job(), clusters=[cluster()]), NOW) is None


def word(body, before="JobCreated", **children):
    body["status"] = {"jobStatus": before}
    return (body, children)


LEAVING = pod(deletionTimestamp=ago(1))
WORDS = {
    "JobCreated-first": (job(), {"clusters": [cluster()], "runners": [runner()], "pods": [pod()]}),
    "JobCreated": word(job()),
    "ClusterCreated": word(job(), clusters=[cluster(ready=False)]),
    "ClusterCreated-runner-waits": word(
        job(), clusters=[cluster()], runners=[runner()], pods=[pod("Pending")]
    ),
    "ClusterCreated-after-suspend": word(
        job(), "Suspended", clusters=[cluster()], runners=[runner()], pods=[LEAVING, pod("Pending", "b")]
    ),
    "Running-evicted": word(
        job(), "Running", clusters=[cluster()], runners=[runner()], pods=[LEAVING, pod("Pending", "b")]
    ),
    "Running": word(job(), clusters=[cluster()], runners=[runner()], pods=[pod()]),
    "Running-again": word(
        job(), clusters=[cluster()], runners=[runner(failed=1)], pods=[pod("Failed"), pod("Pending", "b")]
    ),
    "Successful": word(job(), clusters=[cluster()], runners=[runner(("Complete", "C"))]),
    "Failed": word(job(), clusters=[cluster()], runners=[runner(("Failed", "F"))]),
    "Suspended": word(job(suspend=True)),
    "Suspended-later": word(job(suspend=True), clusters=[cluster()], runners=[runner()], pods=[pod()]),
}


@pytest.mark.parametrize("case", WORDS)
async def test_status(case):
    body, children = WORDS[case]
    made = world(body, **children)
    made.lagging = True  # what this turn creates is seen in the next one
    await reconcile(KEY, made)
    (status,) = made.statuses
    assert status["jobStatus"] == case.partition("-")[0]
    held = {each["type"] for each in status["conditions"] if each["status"] == "True"}
    ends = {"Successful": {"Complete"}, "Failed": {"Failed"}}
    assert held & {"Complete", "Failed"} == ends.get(status["jobStatus"], set())


async def test_names_and_times():
    body = job({"jobStatus": "Running"})
    made = world(
        body,
        clusters=[cluster()],
        runners=[runner(("Failed", "F"), failed=2)],
        pods=[pod("Failed", "a", 40), pod("Failed", "b", 20)],
    )
    await reconcile(KEY, made)
    (status,) = made.statuses
    del status["conditions"]
    assert status == {
        "jobStatus": "Failed",
        "clusterName": "demo",
        "jobRunnerPodName": "b",
        "startTime": ago(60),
        "endTime": ago(10),
        "failures": 2,
        "observedGeneration": 1,
    }


async def test_the_end_is_told_before_anything_goes():
    body = job({"jobStatus": "Running"})
    made = world(body, clusters=[cluster()], runners=[runner(("Complete", "C"))])
    await reconcile(KEY, made)
    assert made.plans == []
    body = job(made.statuses[0])
    made.add(body)
    await reconcile(KEY, made)
    assert [str(plan) for plan in made.plans] == ["delete DaskCluster ns/demo"]
    assert len(made.statuses) == 1


async def test_an_end_that_was_told_stays():
    condition = {"type": "Failed", "status": "True", "reason": "ClusterFailed", "lastTransitionTime": ago(9)}
    body = job({"endTime": ago(9), "conditions": [condition]}, ttlSecondsAfterFinished=5)
    _, observed = observe(body)
    assert reported(observed).reason == "ClusterFailed"
    made = world(body)
    await reconcile(KEY, made)
    assert [str(plan) for plan in made.plans] == ["nothing to do", "delete DaskJob ns/demo"]


async def test_what_an_older_crd_let_in():
    body = job(clusterName="another")
    body["spec"]["cluster"] = {"spec": {}}
    made = world(body)
    await reconcile(KEY, made)
    (status,) = made.statuses
    assert status["conditions"][0]["reason"] == "InvalidSpec"
    assert made.plans == []
