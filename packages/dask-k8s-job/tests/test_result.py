"""Whether a job has finished, and what its status says."""

import pytest

from dask_k8s_controller import Key
from dask_k8s_crds.resources import JOBS
from dask_k8s_job.reconcile import reconcile
from dask_k8s_job.result import job_result, reported_result, start_seconds_left

from .builders import KEY, NOW, RECORDED, ago, cluster, failed_create, job, observe, pod, runner, world


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
def test_job_result(body, children, expected):
    result = job_result(*observe(body, **children), NOW)
    assert (result and (result.succeeded, result.reason)) == expected


def test_the_cluster_speaks_for_itself():
    result = job_result(*observe(job(since(601)), **BROKEN), NOW)
    assert result.message == "DaskCluster demo: oh"
    result = job_result(*observe(job(since(601), clusterName="another")), NOW)
    assert result.message == 'there is no DaskCluster "another" in namespace "ns"'
    result = job_result(*observe(job(since(601)), clusters=[cluster(owner=None)]), NOW)
    assert result.message == 'DaskCluster "demo" was not made for this job: delete or rename one'


FAILED_PODS = [pod("Failed", "a", 40, trouble="exit code 1 (Error)"), pod("Failed", "b", 20, trouble="oh")]
POD_MESSAGES = {
    "tried-often-enough": ("BackoffLimitExceeded", FAILED_PODS, "m; pod b: oh"),
    "the-newest-says-nothing": ("BackoffLimitExceeded", [FAILED_PODS[0], pod("Running", "b", 20)], "m"),
    "its-pods-are-gone": ("BackoffLimitExceeded", [], "m"),
    "the-job-says-it": ("PodFailurePolicy", FAILED_PODS, "m"),
}


@pytest.mark.parametrize("reason, pods, message", POD_MESSAGES.values(), ids=POD_MESSAGES)
def test_the_newest_pod_says_why(reason, pods, message):
    observed = observe(job(), clusters=[cluster()], runners=[runner(("Failed", reason))], pods=pods)
    assert job_result(*observed, NOW).message == message


QUEUE = {"kueue.x-k8s.io/queue-name": "team-a"}
UNSAID = failed_create(5, "Error creating: must specify limits.cpu")
FULL = failed_create(4, "Error creating: exceeded quota: q")
WITHOUT_POD = {
    "at-once": (
        [UNSAID],
        [],
        ("RunnerMissing", "Job demo-runner cannot create its pod: Error creating: must specify limits.cpu"),
    ),
    "the-newest": (
        [FULL, UNSAID],
        [],
        ("RunnerMissing", "Job demo-runner cannot create its pod: Error creating: exceeded quota: q"),
    ),
    "a-retry": ([UNSAID], [pod("Failed", created=50)], ("RunnerMissing", None)),
    "before-it-started": (
        [failed_create(70, "no")],
        [],
        ("RunnerMissing", 'Job demo-runner has no pod; "kubectl describe job demo-runner" says why'),
    ),
    "before-a-pod": ([UNSAID], [pod("Failed", created=4)], ("Healthy", None)),
    "it-has-a-pod": ([UNSAID], [pod("Pending", created=50)], ("Healthy", None)),
    "of-another-job": ([failed_create(5, "no", uid="earlier")], [], ("RunnerMissing", None)),
}


@pytest.mark.parametrize("events, pods, expected", WITHOUT_POD.values(), ids=WITHOUT_POD)
async def test_why_the_runner_has_no_pod(events, pods, expected):
    body = job({"jobStatus": "ClusterCreated", **RECORDED})
    made = world(body, clusters=[cluster()], runners=[runner()], pods=pods, events=events)
    await reconcile(KEY, made)
    (status,) = made.statuses
    degraded = next(each for each in status["conditions"] if each["type"] == "Degraded")
    reason, message = expected
    assert degraded["reason"] == reason
    assert message in (None, degraded["message"])


async def test_kueue_alone_starts_a_runner_that_it_has_put_into_a_queue():
    waits = runner(suspended=True, started=None, labels_=QUEUE)
    made = world(job({"jobStatus": "ClusterCreated", **RECORDED}), clusters=[cluster()], runners=[waits])
    await reconcile(KEY, made)
    (status,) = made.statuses
    degraded = next(each for each in status["conditions"] if each["type"] == "Degraded")
    assert degraded["reason"] == "RunnerInQueue"
    assert degraded["message"].endswith("until Kueue admits it from the queue team-a")
    assert made.objects[Key(JOBS, "ns", "demo-runner")]["spec"]["suspend"]


async def test_a_label_for_a_queue_is_reported():
    for body in (job(metadata_={"labels": QUEUE}), job()):
        if not body["metadata"].get("labels"):
            body["spec"]["job"]["metadata"] = {"labels": QUEUE}
        made = world(body)
        await reconcile(KEY, made)
        (status,) = made.statuses
        found = next(each for each in status["conditions"] if each["type"] == "QueueLabelIgnored")
        assert (found["status"], found["reason"]) == ("True", "NoQueueIntegration")


async def test_the_name_of_the_cluster_is_in_the_first_status():
    for body, name in ((job(), "demo"), (job(clusterName="another"), "another")):
        made = world(body)
        await reconcile(KEY, made)
        (status,) = made.statuses
        assert (status["jobStatus"], status["clusterName"]) == ("JobCreated", name)


def test_the_start_timeout():
    assert start_seconds_left(*observe(job(), **BROKEN), NOW) == 600
    assert start_seconds_left(*observe(job(since(100)), **BROKEN), NOW) == 500
    assert start_seconds_left(*observe(job(), clusters=[cluster()]), NOW) is None


def reported(body, before="JobCreated", **children):
    body["status"] = {"jobStatus": before}
    return (body, children)


TERMINATING = pod(deletionTimestamp=ago(1))
PHASES = {
    "JobCreated-first": (job(), {"clusters": [cluster()], "runners": [runner()], "pods": [pod()]}),
    "JobCreated": reported(job()),
    "ClusterCreated": reported(job(), clusters=[cluster(ready=False)]),
    "ClusterCreated-runner-waits": reported(
        job(), clusters=[cluster()], runners=[runner()], pods=[pod("Pending")]
    ),
    "ClusterCreated-after-suspend": reported(
        job(), "Suspended", clusters=[cluster()], runners=[runner()], pods=[TERMINATING, pod("Pending", "b")]
    ),
    "Running-evicted": reported(
        job(), "Running", clusters=[cluster()], runners=[runner()], pods=[TERMINATING, pod("Pending", "b")]
    ),
    "Running": reported(job(), clusters=[cluster()], runners=[runner()], pods=[pod()]),
    "Running-again": reported(
        job(), clusters=[cluster()], runners=[runner(failed=1)], pods=[pod("Failed"), pod("Pending", "b")]
    ),
    "Successful": reported(job(), clusters=[cluster()], runners=[runner(("Complete", "C"))]),
    "Failed": reported(job(), clusters=[cluster()], runners=[runner(("Failed", "F"))]),
    "Suspended": reported(job(suspend=True)),
    "Suspended-later": reported(job(suspend=True), clusters=[cluster()], runners=[runner()], pods=[pod()]),
}


@pytest.mark.parametrize("case", PHASES)
async def test_status(case):
    body, children = PHASES[case]
    made = world(body, **children)
    made.lagging = True  # what this turn creates is seen in the next one
    await reconcile(KEY, made)
    (status,) = made.statuses
    assert status["jobStatus"] == case.partition("-")[0]
    held = {each["type"] for each in status["conditions"] if each["status"] == "True"}
    ends = {"Successful": {"Complete"}, "Failed": {"Failed"}}
    assert held & {"Complete", "Failed"} == ends.get(status["jobStatus"], set())


async def test_names_and_times():
    body = job({"jobStatus": "Running", **RECORDED})
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
        **RECORDED,
    }


async def test_the_result_is_reported_before_anything_is_deleted():
    body = job({"jobStatus": "Running"})
    made = world(body, clusters=[cluster()], runners=[runner(("Complete", "C"))])
    await reconcile(KEY, made)
    assert made.plans == []
    body = job(made.statuses[0])
    made.add(body)
    await reconcile(KEY, made)
    assert [str(plan) for plan in made.plans] == ["delete DaskCluster ns/demo"]
    assert len(made.statuses) == 1


async def test_a_reported_result_stays():
    condition = {"type": "Failed", "status": "True", "reason": "ClusterFailed", "lastTransitionTime": ago(9)}
    body = job({"endTime": ago(9), "conditions": [condition]}, ttlSecondsAfterFinished=5)
    _, observed = observe(body)
    assert reported_result(observed).reason == "ClusterFailed"
    made = world(body)
    await reconcile(KEY, made)
    assert [str(plan) for plan in made.plans] == ["nothing to do", "delete DaskJob ns/demo"]


@pytest.mark.parametrize("skew", [-3600, -60, 0, 60, 3600])
async def test_the_time_to_live_counts_from_the_report_whatever_clock_dated_the_end(skew):
    condition = {"type": "Complete", "status": "True", "reason": "C", "lastTransitionTime": ago(0)}
    body = job({"endTime": ago(-skew), "conditions": [condition]}, ttlSecondsAfterFinished=30)
    made = world(body)
    after = await reconcile(KEY, made)
    assert (KEY in made.objects, after.seconds) == (True, 30)
    made.advance(30)
    await reconcile(KEY, made)
    assert KEY not in made.objects


async def test_what_an_older_crd_let_in():
    body = job(clusterName="another")
    body["spec"]["cluster"] = {"spec": {}}
    made = world(body)
    await reconcile(KEY, made)
    (status,) = made.statuses
    assert status["conditions"][0]["reason"] == "InvalidSpec"
    assert made.plans == []
