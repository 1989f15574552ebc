"""Jobs with real clusters and real runners, as users see them with kubectl."""

import json
import re

import pytest

from .world import WAIT, Job

HELLO = "from distributed import Client; print('hello from', Client().scheduler.address)"
SUM = "from distributed import Client; c = Client(); print('sum', c.submit(sum, range(10)).result())"
FAIL = "raise SystemExit('this will never work')"
SLEEP = "import time; time.sleep(600)"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
FILL = "fill = bytearray(400 << 20); raise SystemExit(137)  # also where nothing limits its memory"
MISSING = "registry.invalid/nothing:1"


@pytest.fixture(scope="module")
def three_failures(start):
    """A job whose runner fails three times."""
    return start(FAIL, restart="Never", backoffLimit=2, name="three-failures")


@pytest.fixture(scope="module", autouse=True)
def start_early(request):
    """Start that job first: Kubernetes waits for half a minute in all, in which the other tests run."""
    if any("three_failures" in item.fixturenames for item in request.session.items):
        request.getfixturevalue("three_failures")


@pytest.fixture(scope="module")
def standing(world, cluster):
    """The name of a cluster that stays."""
    world.apply(cluster("standing"))
    return "standing"


@pytest.mark.core
def test_a_label_for_a_queue_has_no_effect(world, manifest, standing):
    """The job runs, its runner is not in the queue, and a condition reports it."""
    body = manifest("print('ran')", restart="Never", clusterName=standing)
    body["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "team-a", "example.org/team": "a"}
    job = Job(world, body)
    assert job.end() == "Successful"
    ignored = job.condition("QueueLabelIgnored")
    assert (ignored["status"], ignored["reason"]) == ("True", "NoQueueIntegration")
    runner = world.get(f"job/{job.name}-runner")
    for labels in (runner["metadata"]["labels"], runner["spec"]["template"]["metadata"]["labels"]):
        assert labels["example.org/team"] == "a"
        assert "kueue.x-k8s.io/queue-name" not in labels


@pytest.mark.core
def test_a_job_succeeds(world, start):
    job = start(f"{SUM}\n{WAIT}", name="demo")
    job.says("Running")
    job.go()
    assert job.story() == ["JobCreated", "ClusterCreated", "Running", "Successful"]
    status = job.status
    assert status["clusterName"] == "demo"
    assert re.fullmatch("demo-runner-[a-z0-9]{5}", status["jobRunnerPodName"])
    assert re.fullmatch(TIME, status["startTime"])
    assert re.fullmatch(TIME, status["endTime"])
    assert status["failures"] == 0
    complete = job.condition("Complete")
    assert (complete["status"], complete["reason"]) == ("True", "CompletionsReached")
    assert job.condition("Failed")["status"] == "False"
    job.loses_cluster()
    assert "sum 45" in job.logs()
    pod = world.get(f"pod/{status['jobRunnerPodName']}")["metadata"]
    assert pod["labels"]["dask.org/cluster-name"] == "demo"
    assert pod["annotations"]["example.org/note"] == "x"
    assert world.kubectl("get", "djb", "demo").split()[5:8] == ["AGE", "demo", "Successful"]


@pytest.mark.core
def test_it_is_restarted_until_it_succeeds(world, start):
    code = "import pathlib; note = pathlib.Path('/notes/a'); old = note.exists(); note.touch(); assert old"
    job = start(code)
    assert job.end() == "Successful"
    (pod,) = job.runners
    assert world.get(f"pod/{pod}")["status"]["containerStatuses"][0]["restartCount"] == 1


def test_the_first_failure_counts_where_nothing_is_restarted(start):
    job = start(f"{WAIT}\n{FAIL}", restart="Never")
    job.says("Running")
    job.go()
    assert job.story() == ["JobCreated", "ClusterCreated", "Running", "Failed"]
    assert job.fails()[0] == "BackoffLimitExceeded"
    assert job.status["failures"] == 1
    job.loses_cluster()
    assert "never work" in job.logs()


def test_a_runner_that_takes_too_much_memory(world, manifest, standing):
    body = manifest(FILL, restart="Never", clusterName=standing)
    body["spec"]["job"]["spec"]["containers"][0]["resources"] = {"limits": {"memory": "200Mi"}}
    job = Job(world, body)
    reason, message = job.fails()
    assert reason == "BackoffLimitExceeded"
    assert f"pod {job.status['jobRunnerPodName']}: exit code 137" in message


def test_a_runner_that_is_evicted_has_a_successor(world, start, standing):
    job = start(WAIT, restart="Never", backoffLimit=1, clusterName=standing)
    job.says("Running")
    (first,) = job.runners
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": first}}
    path = f"/api/v1/namespaces/{world.namespace}/pods/{first}/eviction"
    world.kubectl("create", "--raw", path, "-f", "-", input=json.dumps(eviction))
    world.until(lambda: job.running - {first})
    (second,) = job.running - {first}
    world.until(lambda: job.status["jobRunnerPodName"] == second)
    job.go()
    assert job.end() == "Successful"
    assert job.status["failures"] == 1


@pytest.mark.core
def test_suspended_it_has_no_pods(world, start):
    job = start(WAIT, suspend=True)
    job.says("Suspended")
    assert not job.pods
    job.patch(suspend=False)
    job.says("Running")
    job.patch(suspend=True)
    job.says("Suspended")
    world.until(lambda: not job.pods)
    job.patch(suspend=False)
    job.says("Running")
    job.go()
    assert job.end() == "Successful"
    assert job.status["failures"] == 0


@pytest.mark.core
def test_on_a_cluster_that_is_there(world, start, cluster):
    """It waits for the cluster, which stays after all that happens to the jobs on it."""
    job = start(SUM, clusterName="another")
    world.until(lambda: job.condition("ClusterReady")["reason"] == "ClusterNotFound")
    world.apply(cluster("another"))
    rule = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}
    policy = {"podFailurePolicy": {"rules": [rule]}, "backoffLimit": 5, "restart": "Never"}
    ends_by_policy = start("raise SystemExit(42)", clusterName="another", **policy)

    assert job.end() == "Successful"
    too_long = start(SLEEP, clusterName="another", activeDeadlineSeconds=3)
    assert job.status["clusterName"] == "another"
    assert "sum 45" in job.logs()
    assert not job.has_cluster
    job.delete()
    world.until(lambda: not job.runners)

    reason, message = ends_by_policy.fails()
    assert reason == "PodFailurePolicy"
    assert "exit code 42" in message
    assert too_long.fails()[0] == "DeadlineExceeded"
    assert world.pods("dask.org/cluster-name=another,dask.org/component=scheduler")


def test_it_goes_some_time_after_its_end(world, start):
    job = start(HELLO, ttlSecondsAfterFinished=3)
    job.story()
    world.until(lambda: not world.exists(f"daskjob/{job.name}"))
    world.until(lambda: not (world.exists(f"job/{job.name}-runner") or job.pods))


@pytest.mark.parametrize(
    "cleanup, code, stays",
    [("OnSuccess", HELLO, False), ("OnSuccess", FAIL, True), ("Never", HELLO, True)],
    ids=["on-success-success", "on-success-failure", "never"],
)
def test_what_becomes_of_the_cluster(world, start, cleanup, code, stays):
    job = start(code, restart="Never", clusterCleanup=cleanup)
    job.end()
    if stays:
        world.kubectl("annotate", f"daskjob/{job.name}", "look=again")
        assert f"{job.name}-scheduler" in job.pods
    else:
        job.loses_cluster()
    job.delete()
    world.until(lambda: not (job.has_cluster or job.pods))


@pytest.mark.core
def test_limits_of_a_job_that_runs_are_followed(world, start, standing):
    job = start(SLEEP, clusterName=standing)
    job.says("Running")
    job.patch(backoffLimit=3)
    world.until(lambda: world.get(f"job/{job.name}-runner")["spec"]["backoffLimit"] == 3)
    job.patch(activeDeadlineSeconds=1)
    assert job.fails()[0] == "DeadlineExceeded"


def test_a_cluster_that_cannot_start(world, start):
    job = start(HELLO, image=MISSING)
    world.until(lambda: MISSING in job.condition("ClusterReady")["message"])
    job.patch(activeDeadlineSeconds=1)
    reason, message = job.fails()
    assert reason == "ClusterFailed"
    assert MISSING in message
    world.until(lambda: not job.pods)


def test_a_runner_that_cannot_start(world, manifest):
    body = manifest(HELLO)
    body["spec"]["job"]["spec"]["containers"][0]["image"] = MISSING
    job = Job(world, body)
    world.until(lambda: job.condition("Degraded")["reason"] == "ImagePullBackOff")
    assert MISSING in job.condition("Degraded")["message"]
    assert job.value == "ClusterCreated"
    job.delete()
    world.until(lambda: not job.pods)


@pytest.mark.core
def test_a_template_that_breaks_a_rule(world, manifest):
    body = manifest(HELLO)
    body["spec"]["job"]["spec"]["restartPolice"] = "Never"
    job = Job(world, body)
    reason, message = job.fails()
    assert reason == "InvalidSpec"
    assert "restartPolice" in message
    job.loses_cluster()


@pytest.mark.parametrize("clusters", ["both", "neither"])
def test_which_cluster_has_to_be_clear(world, manifest, clusters):
    body = manifest(HELLO)
    if clusters == "both":
        body["spec"]["clusterName"] = "another"
    else:
        del body["spec"]["cluster"]
    assert "exactly one of cluster and clusterName" in world.apply(body, check=False)
    assert not world.exists(f"daskjob/{body['metadata']['name']}")


def test_a_name_that_is_taken(world, start, cluster):
    world.apply(cluster("taken"))
    job = start(HELLO, name="taken", activeDeadlineSeconds=3)
    reason, message = job.fails()
    assert reason == "ClusterFailed"
    assert "was not made for this job" in message
    assert job.has_cluster


@pytest.mark.parametrize("word", ["JobCreated", "ClusterCreated", "Running", "Suspended"])
def test_deletion_takes_all_along(world, start, word):
    job = start(SLEEP, suspend=word == "Suspended")
    if word != "JobCreated":  # which lasts for a moment
        job.says(word)
    job.delete()
    world.until(lambda: not (job.has_cluster or world.exists(f"job/{job.name}-runner") or job.pods))


def test_three_failures_are_too_many(three_failures):
    assert three_failures.fails()[0] == "BackoffLimitExceeded"
    assert (three_failures.status["failures"], len(three_failures.runners)) == (3, 3)
    three_failures.loses_cluster()
