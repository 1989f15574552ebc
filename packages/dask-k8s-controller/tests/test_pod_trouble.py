"""What keeps a pod from running, read from statuses as kubelets and the API server write them."""

import pytest

from dask_k8s_controller.dask.findings import Finding
from dask_k8s_controller.dask.pods.view import trim

from .builders import pod

UNSCHEDULABLE = "0/3 nodes are available: 3 Insufficient memory. preemption: 0/3 nodes are available"
PULL = 'Back-off pulling image "registry.invalid/dask:1"'
CRASH = "back-off 40s restarting failed container=dask pod=p_ns(1d1b)"
RUNNING = {"running": {"startedAt": "2026-11-23T11:59:00Z"}}


def waiting(reason, message="", **more):
    state = {"reason": reason} | ({"message": message} if message else {})
    return {"name": "dask", "image": "dask:1", "ready": False, "state": {"waiting": state}, **more}


def terminated(code, reason="Error"):
    return {"terminated": {"exitCode": code, "reason": reason, "finishedAt": "2026-11-23T11:59:00Z"}}


def status(*containers, phase="Pending", **more):
    return {"phase": phase, "containerStatuses": list(containers), **more}


def conditions(*found):
    return {
        "conditions": [dict(zip(("type", "status", "reason", "message"), one, strict=False)) for one in found]
    }


@pytest.mark.parametrize(
    "status, trouble",
    [
        pytest.param({}, None, id="no status yet"),
        pytest.param(status(), None, id="no containers yet"),
        pytest.param(status(waiting("ContainerCreating")), None, id="being created"),
        pytest.param(status(waiting("PodInitializing")), None, id="init containers run"),
        pytest.param(
            status({"name": "dask", "ready": True, "state": RUNNING}, phase="Running"), None, id="running"
        ),
        pytest.param(
            {"phase": "Pending"} | conditions(("PodScheduled", "False", "Unschedulable", UNSCHEDULABLE)),
            ("Unschedulable", UNSCHEDULABLE),
            id="no node fits",
        ),
        pytest.param(
            {"phase": "Pending"} | conditions(("PodScheduled", "False", "SchedulingGated", "wait")),
            None,
            id="scheduling is gated",
        ),
        pytest.param(
            status(waiting("ErrImagePull", "not found")),
            ("ImagePullBackOff", 'container dask: image "dask:1": not found'),
            id="image not found",
        ),
        pytest.param(
            status(waiting("ImagePullBackOff", PULL)),
            ("ImagePullBackOff", f'container dask: image "dask:1": {PULL}'),
            id="image not found, back-off",
        ),
        pytest.param(
            status(waiting("InvalidImageName", image="")),
            ("ImagePullBackOff", 'container dask: image "dask:1": InvalidImageName'),
            id="image's name is no name: from the spec",
        ),
        pytest.param(
            status(waiting("CrashLoopBackOff", CRASH, lastState=terminated(1)), phase="Running"),
            ("CrashLoopBackOff", "container dask keeps ending with exit code 1 (Error)"),
            id="crash loop",
        ),
        pytest.param(
            status(
                waiting("CrashLoopBackOff", CRASH, lastState=terminated(137, "OOMKilled")), phase="Running"
            ),
            ("CrashLoopBackOff", "container dask keeps ending with exit code 137 (OOMKilled)"),
            id="out of memory again and again",
        ),
        pytest.param(
            status({"name": "dask", "state": terminated(1), "restartCount": 1}, phase="Running"),
            None,
            id="ended once and about to be restarted",
        ),
        pytest.param(
            status(waiting("CreateContainerConfigError", 'secret "x" not found')),
            ("CreateContainerConfigError", 'container dask: secret "x" not found'),
            id="its secret is missing",
        ),
        pytest.param(
            status(waiting("RunContainerError", 'exec: "dask": not found')),
            ("RunContainerError", 'container dask: exec: "dask": not found'),
            id="its command is missing",
        ),
        pytest.param(
            {
                "phase": "Pending",
                "initContainerStatuses": [
                    waiting("CrashLoopBackOff", lastState=terminated(2)) | {"name": "init"}
                ],
                "containerStatuses": [waiting("PodInitializing")],
            },
            ("CrashLoopBackOff", "container init keeps ending with exit code 2 (Error)"),
            id="an init container",
        ),
        pytest.param(
            status({"name": "dask", "state": terminated(1)}, phase="Failed"),
            ("PodFailed", "exit code 1 (Error)"),
            id="failed",
        ),
        pytest.param(
            {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."},
            ("Evicted", "The node was low on resource: memory."),
            id="evicted",
        ),
        pytest.param(
            {"phase": "Failed", "reason": "UnexpectedAdmissionError"},
            ("UnexpectedAdmissionError", "the pod failed"),
            id="refused by its node",
        ),
        pytest.param(
            status({"name": "dask", "state": terminated(0, "Completed")}, phase="Succeeded"), None, id="done"
        ),
    ],
)
def test_trouble(status, trouble):
    found = trim(pod("p") | {"status": status}).trouble
    assert found == (Finding(*trouble) if trouble else None)


@pytest.mark.parametrize(
    "status, expected",
    [
        pytest.param({}, ("Pending", False, False), id="no status yet"),
        pytest.param(
            {"phase": "Running"} | conditions(("Ready", "True")), ("Running", True, False), id="ready"
        ),
        pytest.param(
            {"phase": "Running"} | conditions(("Ready", "False")), ("Running", False, False), id="unready"
        ),
        pytest.param({"phase": "Succeeded"}, ("Succeeded", False, True), id="done"),
        pytest.param({"phase": "Failed"}, ("Failed", False, True), id="failed"),
        pytest.param({"phase": "Unknown"}, ("Unknown", False, False), id="on a node that is lost"),
    ],
)
def test_phase(status, expected):
    found = trim(pod("p") | {"status": status})
    assert (found.phase, found.ready, found.finished) == expected


def test_a_pod_without_labels():
    body = pod("p")
    del body["metadata"]["labels"]
    assert trim(body).component == ""


def scheduler(*states, phase="Running", names=("scheduler",), ports=()):
    body = pod("c-scheduler", phase=phase, component="scheduler")
    body["spec"]["containers"] = [{"name": name, "ports": list(ports)} for name in ("sidecar", *names)]
    body["status"]["containerStatuses"] = [
        {"name": name, "state": {state: {}}} for name, state in zip(("sidecar", *names), states, strict=False)
    ]
    return body


@pytest.mark.parametrize(
    "body, running",
    [
        pytest.param(scheduler("running", "running"), True, id="it runs"),
        pytest.param(scheduler("waiting", "running"), True, id="a sidecar crashes"),
        pytest.param(scheduler("running", "waiting"), False, id="it crashes"),
        pytest.param(scheduler("running", "terminated"), False, id="it has ended"),
        pytest.param(scheduler(), True, id="no containers are reported"),
        pytest.param(scheduler("running", "running", phase="Pending"), False, id="it has not begun"),
        pytest.param(scheduler("running", names=()), True, id="the first, if none is named for it"),
    ],
)
def test_whether_a_scheduler_runs(body, running):
    assert trim(body).running is running


def test_where_its_agent_answers():
    ports = [{"name": "tcp-comm", "containerPort": 1}, {"name": "http-dashboard", "containerPort": 9000}]
    assert trim(scheduler(ports=ports)).dashboard_port == 9000
    assert trim(scheduler()).dashboard_port == 8787


@pytest.mark.parametrize(
    "component, own, ip",
    [
        ("worker", True, "10.0.0.1"),
        ("worker", False, ""),
        ("scheduler", False, "10.0.0.1"),
    ],
    ids=["a worker", "a worker in its node's network: others have that address too", "a scheduler there"],
)
def test_addresses(component, own, ip):
    body = pod("p", component=component)
    body["spec"]["hostNetwork"] = not own
    body["status"]["podIP"] = "10.0.0.1"
    assert trim(body).ip == ip
