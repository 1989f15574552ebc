"""Jobs: defaults, validation and outcomes. No pods run here; tests write their status."""

import re
import time
from datetime import datetime

import pytest

TRACKING = "batch.kubernetes.io/job-tracking"
AWAY = {"nodeSelector": {"no": "where"}, "terminationGracePeriodSeconds": 1}


def job(name, /, template=None, metadata=None, **spec):
    containers = [{"name": "c", "image": "python:3.11"}]
    pod = {"restartPolicy": "Never", "containers": containers, **AWAY, **(template or {})}
    whole = {"template": {"metadata": metadata or {}, "spec": pod}, **spec}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": whole}


class Jobs:
    """The Jobs of a namespace and their pods."""

    def __init__(self, api, home):
        self.api = api
        self.home = home
        self.path = home.replace("/api/v1/", "/apis/batch/v1/") + "/jobs"

    def make(self, name, /, **spec):
        answer = self.api.post(self.path, job(name, **spec))
        assert answer.status == 201, answer.body
        return answer.body

    def pods(self, name):
        return self.api.get(f"{self.home}/pods", labelSelector=f"job-name={name}")["items"]

    def pod(self, name, but=()):
        """The pod of a Job that is not in `but`."""
        deadline = time.monotonic() + 60
        while True:
            for pod in self.pods(name):
                if pod["metadata"]["name"] not in but:
                    return pod
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def becomes(self, pod, phase, *, code=None, conditions=(), restarts=0):
        """Write the status of a pod like a kubelet."""
        state = {"running": {}}
        if code is not None:
            state = {"terminated": {"exitCode": code, "finishedAt": _now(), "startedAt": _now()}}
        container = {
            "name": "c",
            "image": "python:3.11",
            "imageID": "",
            "ready": False,
            "restartCount": restarts,
            "state": state,
        }
        status = {"phase": phase, "containerStatuses": [container], "conditions": [*conditions]}
        path = f"{self.home}/pods/{pod['metadata']['name']}/status"
        answer = self.api.patch(path, {"status": status})
        assert answer.status == 200, answer.body

    def until(self, name, holds):
        return self.api.until(f"{self.path}/{name}", holds).body

    def ends(self, name):
        """Wait until a Job has finished and return it."""

        def ended(answer):
            return {"Complete", "Failed"} & {one["type"] for one in conditions(answer)}

        return self.until(name, ended)


def _now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def conditions(job):
    return job["status"].get("conditions") or []


def reasons(job):
    return {one["type"]: one["reason"] for one in conditions(job) if one["status"] == "True"}


@pytest.fixture(scope="module")
def jobs(api, home):
    return Jobs(api, home)


@pytest.fixture(scope="module")
def retried(jobs):
    """Jobs whose first pod ends at the same time: the job controller waits ten seconds for each.

    Returns the first pods by the name of the Job.
    """
    rule = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
    forgives = {"backoffLimit": 0, "podFailurePolicy": {"rules": [rule]}}
    specs = {"deleted": {}, "failures-1": {"backoffLimit": 1}, "waits": {}, "forgives": forgives}
    for name, spec in specs.items():
        jobs.make(name, **spec)
    first = {name: jobs.pod(name) for name in specs}
    jobs.api.delete(f"{jobs.home}/pods/{first['deleted']['metadata']['name']}")
    for name in ("failures-1", "waits"):
        jobs.becomes(first[name], "Failed", code=1)
    disrupted = {"type": "DisruptionTarget", "status": "True"}
    jobs.becomes(first["forgives"], "Failed", code=1, conditions=[disrupted])
    return first


@pytest.fixture(scope="module", autouse=True)
def start_early(request):
    """Start these Jobs first, so that the other tests run while they wait."""
    if any("retried" in item.fixturenames for item in request.session.items):
        request.getfixturevalue("retried")


@pytest.mark.core
class TestCreate:
    def test_what_the_server_adds(self, jobs):
        made = jobs.make("added", metadata={"labels": {"a": "b"}})
        spec, uid = made["spec"], made["metadata"]["uid"]
        assert (made["metadata"]["generation"], made["status"]) == (1, {})
        assert {key: value for key, value in spec.items() if key not in {"template", "selector"}} == {
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": 6,
            "completionMode": "NonIndexed",
            "manualSelector": False,
            "suspend": False,
            "podReplacementPolicy": "TerminatingOrFailed",
        }
        assert spec["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
        labels = {
            "a": "b",
            "job-name": "added",
            "controller-uid": uid,
            "batch.kubernetes.io/job-name": "added",
            "batch.kubernetes.io/controller-uid": uid,
        }
        assert (spec["template"]["metadata"]["labels"], made["metadata"]["labels"]) == (labels, labels)
        assert spec["template"]["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"
        unlabelled = jobs.make("unlabelled")
        assert unlabelled["metadata"]["labels"] == unlabelled["spec"]["template"]["metadata"]["labels"]

    @pytest.mark.parametrize(
        "template, spec, field",
        [
            ({"restartPolicy": "Always"}, {}, "spec.template.spec.restartPolicy"),
            ({"restartPolicy": None}, {}, "spec.template.spec.restartPolicy"),
            ({"containers": []}, {}, "spec.template.spec.containers"),
            ({"containers": [{"name": "c"}]}, {}, "spec.template.spec.containers[0].image"),
            ({}, {"backoffLimit": -1}, "spec.backoffLimit"),
            ({}, {"activeDeadlineSeconds": -1}, "spec.activeDeadlineSeconds"),
            ({}, {"ttlSecondsAfterFinished": -1}, "spec.ttlSecondsAfterFinished"),
            (
                {"restartPolicy": "OnFailure"},
                {"podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "X"}]}]}},
                "spec.template.spec.restartPolicy",
            ),
            (
                {},
                {"podFailurePolicy": {"rules": [{"action": "FailJob"}]}},
                "spec.podFailurePolicy.rules[0]",
            ),
            (
                {},
                {
                    "podFailurePolicy": {
                        "rules": [{"action": "Fail", "onExitCodes": {"operator": "In", "values": [0]}}]
                    }
                },
                "spec.podFailurePolicy.rules[0].action",
            ),
        ],
    )
    def test_what_is_refused(self, api, jobs, template, spec, field):
        answer = api.post(jobs.path, job("refused", template=template, **spec))
        assert (answer.status, answer["reason"]) == (422, "Invalid")
        assert field in [one[1] for one in answer.causes]

    @pytest.mark.parametrize("more", [{}, {"spec": {}}, {"spec": {"template": {}}}, {"spec": None}])
    def test_a_job_without_containers(self, api, jobs, more):
        body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "empty"}, **more}
        answer = api.post(jobs.path, body)
        fields = [field for _, field, _ in answer.causes]
        assert (answer.status, fields) == (
            422,
            ["spec.template.spec.containers", "spec.template.spec.restartPolicy"],
        )

    def test_a_template_stays(self, api, jobs):
        jobs.make("stays")
        change = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 5}}}}
        answer = api.patch(f"{jobs.path}/stays", change)
        assert (answer.status, answer.causes[0][1]) == (422, "spec.template")
        assert answer["message"].endswith("field is immutable")

    def test_limits_may_change(self, api, jobs):
        jobs.make("limits", suspend=True)
        change = {"spec": {"backoffLimit": 1, "activeDeadlineSeconds": 5, "suspend": True}}
        answer = api.patch(f"{jobs.path}/limits", change)
        assert (answer.status, answer["metadata"]["generation"]) == (200, 2)


class TestPods:
    def test_what_a_pod_is(self, jobs):
        made = jobs.make("pods", metadata={"labels": {"a": "b"}, "annotations": {"c": "d"}})
        pod = jobs.pod("pods")
        metadata = pod["metadata"]
        assert re.fullmatch("pods-[a-z0-9]{5}", metadata["name"])
        assert metadata["generateName"] == "pods-"
        assert metadata["labels"] == made["spec"]["template"]["metadata"]["labels"]
        assert metadata["annotations"] == {"c": "d"}
        assert metadata["finalizers"] == [TRACKING]
        assert metadata["ownerReferences"] == [
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "name": "pods",
                "uid": made["metadata"]["uid"],
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]
        status = jobs.until("pods", lambda answer: answer["status"].get("active"))["status"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", status.pop("startTime"))
        assert status == {"active": 1, "ready": 0, "terminating": 0, "uncountedTerminatedPods": {}}

    def test_a_deleted_pod_is_a_failure_and_comes_again(self, jobs, retried):
        first = retried["deleted"]["metadata"]["name"]
        jobs.until("deleted", lambda answer: answer["status"].get("failed") == 1)
        jobs.pod("deleted", but={first})

    def test_several_at_a_time(self, jobs):
        jobs.make("several", completions=3, parallelism=2)
        jobs.until("several", lambda answer: answer["status"].get("active") == 2)
        jobs.becomes(jobs.pod("several"), "Succeeded", code=0)
        found = jobs.until("several", lambda answer: answer["status"].get("succeeded") == 1)
        jobs.until("several", lambda answer: answer["status"].get("active") == 2)
        assert reasons(found) == {}
        assert len(jobs.pods("several")) == 3

    def test_events(self, api, jobs):
        jobs.make("events")
        pod = jobs.pod("events")["metadata"]["name"]
        fields = "involvedObject.name=events,involvedObject.kind=Job"
        path = f"{jobs.home}/events"
        deadline = time.monotonic() + 60
        while not (found := api.get(path, fieldSelector=fields)["items"]):
            assert time.monotonic() < deadline
        event = found[0]
        assert (event["type"], event["reason"]) == ("Normal", "SuccessfulCreate")
        assert (event["message"], event["source"]["component"]) == (f"Created pod: {pod}", "job-controller")


class TestEnds:
    def test_complete(self, api, jobs):
        jobs.make("complete")
        pod = jobs.pod("complete")
        jobs.becomes(pod, "Succeeded", code=0)
        ended = jobs.ends("complete")
        status = ended["status"]
        assert reasons(ended) == {
            "SuccessCriteriaMet": "CompletionsReached",
            "Complete": "CompletionsReached",
        }
        assert [one["message"] for one in conditions(ended)] == [
            "Reached expected number of succeeded pods"
        ] * 2
        assert status["completionTime"] == conditions(ended)[-1]["lastTransitionTime"]
        numbers = {key: status.get(key) for key in ("active", "ready", "succeeded", "failed", "terminating")}
        assert numbers == {"active": None, "ready": 0, "succeeded": 1, "failed": None, "terminating": 0}
        left = api.get(f"{jobs.home}/pods/{pod['metadata']['name']}")
        assert "finalizers" not in left["metadata"]

    @pytest.mark.parametrize("limit", [0, 1])
    def test_too_many_failures(self, jobs, retried, limit):
        name = f"failures-{limit}"
        if name in retried:
            seen = {retried[name]["metadata"]["name"]}
        else:
            jobs.make(name, backoffLimit=limit)
            seen = set()
        pod = jobs.pod(name, but=seen)
        seen.add(pod["metadata"]["name"])
        began = time.monotonic()
        jobs.becomes(pod, "Failed", code=1)
        ended = jobs.ends(name)
        assert reasons(ended) == {"FailureTarget": "BackoffLimitExceeded", "Failed": "BackoffLimitExceeded"}
        assert {one["message"] for one in conditions(ended)} == {
            "Job has reached the specified backoff limit"
        }
        assert ended["status"]["failed"] == limit + 1
        assert "completionTime" not in ended["status"]
        assert {pod["metadata"]["name"] for pod in jobs.pods(name)} == seen
        assert time.monotonic() - began < 10

    def test_a_failure_makes_the_next_pod_wait(self, jobs, retried):
        first = retried["waits"]
        second = jobs.pod("waits", but={first["metadata"]["name"]})
        (ended,) = (pod for pod in jobs.pods("waits") if pod["metadata"]["name"] == first["metadata"]["name"])
        state = ended["status"]["containerStatuses"][0]["state"]["terminated"]
        ends, begins = state["finishedAt"], second["metadata"]["creationTimestamp"]
        waited = datetime.fromisoformat(begins) - datetime.fromisoformat(ends)
        assert 8 < waited.total_seconds() < 20

    @pytest.mark.parametrize("limit, restarts", [(0, 1), (2, 2)])
    def test_too_many_restarts_in_one_pod(self, jobs, limit, restarts):
        name = f"restarts-{limit}"
        jobs.make(name, template={"restartPolicy": "OnFailure"}, backoffLimit=limit)
        jobs.becomes(jobs.pod(name), "Running", restarts=restarts)
        ended = jobs.ends(name)
        assert reasons(ended)["Failed"] == "BackoffLimitExceeded"
        assert ended["status"]["failed"] == 1
        assert jobs.pods(name) == []

    def test_deadline(self, jobs):
        jobs.make("deadline", activeDeadlineSeconds=1)
        ended = jobs.ends("deadline")
        assert reasons(ended) == {"FailureTarget": "DeadlineExceeded", "Failed": "DeadlineExceeded"}
        assert {one["message"] for one in conditions(ended)} == {
            "Job was active longer than specified deadline"
        }
        assert ended["status"]["failed"] == 1
        assert jobs.pods("deadline") == []

    def test_policy_fails_the_job(self, jobs, namespace):
        rule = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}
        jobs.make("policy", podFailurePolicy={"rules": [rule]})
        pod = jobs.pod("policy")
        jobs.becomes(pod, "Failed", code=42)
        ended = jobs.ends("policy")
        assert reasons(ended) == {"FailureTarget": "PodFailurePolicy", "Failed": "PodFailurePolicy"}
        name = f"{namespace}/{pod['metadata']['name']}"
        assert conditions(ended)[-1]["message"] == (
            f"Container c for pod {name} failed with exit code 42 matching FailJob rule at index 0"
        )

    def test_policy_forgives(self, jobs, retried):
        second = jobs.pod("forgives", but={retried["forgives"]["metadata"]["name"]})
        jobs.becomes(second, "Failed", code=1)
        ended = jobs.ends("forgives")
        assert (reasons(ended)["Failed"], ended["status"]["failed"]) == ("BackoffLimitExceeded", 1)

    def test_is_deleted_some_time_after(self, api, jobs):
        jobs.make("ttl", ttlSecondsAfterFinished=1)
        jobs.becomes(jobs.pod("ttl"), "Succeeded", code=0)
        api.until(f"{jobs.path}/ttl", lambda answer: answer.status == 404)
        assert jobs.pods("ttl") == []


@pytest.mark.core
class TestSuspend:
    def test_has_no_pods_until_it_is_resumed(self, api, jobs):
        jobs.make("suspended", suspend=True)
        found = jobs.until("suspended", conditions)
        assert reasons(found) == {"Suspended": "JobSuspended"}
        assert "startTime" not in found["status"]
        assert jobs.pods("suspended") == []
        api.patch(f"{jobs.path}/suspended", {"spec": {"suspend": False}})
        jobs.pod("suspended")
        found = jobs.until("suspended", lambda answer: answer["status"].get("active"))
        (condition,) = conditions(found)
        assert (condition["status"], condition["reason"], condition["message"]) == (
            "False",
            "JobResumed",
            "Job resumed",
        )
        assert found["status"]["startTime"]

    def test_lets_its_pods_go_and_does_not_count_them(self, api, jobs):
        jobs.make("stops")
        jobs.pod("stops")
        jobs.until("stops", lambda answer: answer["status"].get("active"))
        api.patch(f"{jobs.path}/stops", {"spec": {"suspend": True}})
        found = jobs.until("stops", reasons)
        assert reasons(found) == {"Suspended": "JobSuspended"}
        api.until(f"{jobs.path}/stops", lambda answer: not answer["status"].get("active"))
        assert jobs.pods("stops") == []
        assert "failed" not in found["status"]


@pytest.mark.core
class TestDelete:
    def test_with_its_pods(self, api, jobs):
        jobs.make("with")
        name = jobs.pod("with")["metadata"]["name"]
        api.delete(f"{jobs.path}/with", {"propagationPolicy": "Background"})
        api.until(f"{jobs.home}/pods/{name}", lambda answer: answer.status == 404)

    def test_pods_are_orphaned_by_default(self, api, jobs):
        jobs.make("without")
        name = jobs.pod("without")["metadata"]["name"]
        api.delete(f"{jobs.path}/without")
        api.until(f"{jobs.path}/without", lambda answer: answer.status == 404)
        left = api.until(f"{jobs.home}/pods/{name}", lambda answer: "finalizers" not in answer["metadata"])
        assert "ownerReferences" not in left["metadata"]
        assert "deletionTimestamp" not in left["metadata"]


TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def test_table(api, jobs):
    jobs.make("table", suspend=True)
    jobs.until("table", conditions)
    table = api.get(f"{jobs.path}/table", accept=TABLE).body
    named = [column["name"] for column in table["columnDefinitions"]]
    assert named == [
        *("Name", "Status", "Completions", "Duration", "Age", "Containers", "Images", "Selector")
    ]
    cells = table["rows"][0]["cells"]
    assert (cells[:4], cells[5:7]) == (["table", "Suspended", "0/1", ""], ["c", "python:3.11"])
    assert cells[7].startswith("batch.kubernetes.io/controller-uid=")


def test_an_exceeded_quota_is_an_event(api, jobs, home):
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    api.post(f"{home}/resourcequotas", quota)
    api.until(f"{home}/resourcequotas/none", lambda answer: answer["status"].get("hard"))
    jobs.make("refused")
    fields = "involvedObject.name=refused,involvedObject.kind=Job"
    deadline = time.monotonic() + 60
    while not (found := api.get(f"{home}/events", fieldSelector=fields)["items"]):
        assert time.monotonic() < deadline
    assert (found[0]["type"], found[0]["reason"]) == ("Warning", "FailedCreate")
    assert "exceeded quota: none" in found[0]["message"]
    api.delete(f"{home}/resourcequotas/none")
    jobs.pod("refused")
