"""What keeps a pod from running, read from statuses as kubelets and the API server write them."""

import pytest

from dask_k8s_controller.dask.findings import Finding
from dask_k8s_controller.dask.pods.view import trim
from dask_k8s_crds.scheduler_ports import DASHBOARD

from .builders import owned_by, pod

UNSCHEDULABLE = "0/3 nodes are available: 3 Insufficient memory. preemption: 0/3 nodes are available"
PULL = 'Back-off pulling image "registry.invalid/dask:1"'
CRASH = "back-off 40s restarting failed container=dask pod=p_ns(1d1b)"
RESTART = "the kubelet restarts it 40s after 2026-11-23T11:59:00Z"
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
            ("CrashLoopBackOff", f"container dask keeps ending with exit code 1 (Error); {RESTART}"),
            id="crash loop",
        ),
        pytest.param(
            status(waiting("CrashLoopBackOff", lastState=terminated(137, "OOMKilled")), phase="Running"),
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
            status({"name": "dask", "state": terminated(0, "Completed")}, phase="Succeeded"),
            ("PodCompleted", "exit code 0 (Completed)"),
            id="done",
        ),
        pytest.param(status(phase="Succeeded"), ("PodCompleted", "the pod ended"), id="done, somehow"),
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


SIDECAR = {"name": "sidecar", "state": RUNNING}


@pytest.mark.parametrize(
    "code, policy, finished",
    [
        (0, "Always", False),
        (0, "OnFailure", True),
        (0, "Never", True),
        (1, "OnFailure", False),
        (1, "Never", True),
    ],
)
@pytest.mark.parametrize("own", [False, True], ids=["the pod's policy", "the container's"])
def test_a_pod_whose_sidecar_runs_on_is_finished_when_dask_is_not_restarted(code, policy, finished, own):
    body = pod("p") | {
        "status": status({"name": "dask", "state": terminated(code)}, SIDECAR, phase="Running")
    }
    body["spec"]["restartPolicy"] = "Always" if own else policy
    body["spec"]["containers"][0] |= {"restartPolicy": policy} if own else {}
    body["spec"]["containers"].append({"name": "sidecar"})
    found = trim(body)
    assert (found.finished, found.running) == (finished, False)
    reason = "PodFailed" if code else "PodCompleted"
    assert found.trouble == (Finding(reason, f"exit code {code} (Error)") if finished else None)


def test_rules_for_restarts_are_left_to_the_kubelet():
    body = pod("p") | {"status": status({"name": "dask", "state": terminated(1)}, SIDECAR, phase="Running")}
    body["spec"]["containers"][0] |= {"restartPolicy": "Never", "restartPolicyRules": [{"action": "Restart"}]}
    assert not trim(body).finished


def run(seconds, code=0):
    end = {"startedAt": "2026-11-23T11:50:00Z", "finishedAt": f"2026-11-23T11:50:{seconds:02}Z"}
    return {"terminated": {"exitCode": code, **end}}


@pytest.mark.parametrize(
    "status, seconds",
    [
        pytest.param(status({"name": "dask", "state": run(9)}, phase="Succeeded"), 9, id="finished"),
        pytest.param(status({"name": "dask", "state": run(9, 1)}, phase="Failed"), None, id="failed"),
        pytest.param(
            status(waiting("CrashLoopBackOff", lastState=run(7)), phase="Running"), 7, id="in a back-off"
        ),
        pytest.param(
            status(waiting("CrashLoopBackOff", lastState=run(7, 1)), phase="Running"), None, id="crashed"
        ),
        pytest.param(
            status({"name": "dask", "state": RUNNING, "lastState": run(7)}, phase="Running"), None, id="again"
        ),
        pytest.param(
            status({"name": "dask", "state": run(7), "restartCount": 1}, phase="Running"),
            None,
            id="about to be restarted",
        ),
    ],
)
def test_how_long_a_container_ran_that_completed(status, seconds):
    assert trim(pod("p") | {"status": status}).completed_seconds == seconds


def test_a_pod_without_labels():
    body = pod("p")
    del body["metadata"]["labels"]
    assert trim(body).component == ""


def scheduler(*states, phase="Running", names=("scheduler",), ports=()):
    body = pod("c-scheduler", phase=phase, component="scheduler", owner=owned_by("DaskCluster", "c", "uid"))
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
    assert trim(scheduler(ports=ports)).ports.container_port(DASHBOARD, None) == 9000
    assert trim(scheduler()).ports.container_port(DASHBOARD, None) == 8787


def test_a_worker_keeps_no_ports():
    assert trim(pod("p", component="worker")).ports is None


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


def ended(code, args, message=""):
    """A worker that ends again and again."""
    body = pod("w", phase="Running")
    body["spec"]["containers"] = [{"name": "worker", "command": ["sh", "-c"], "args": [args]}]
    last = {"terminated": {"exitCode": code, "reason": "Error", "message": message}}
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    body["status"]["containerStatuses"] = [{"name": "worker", "state": waiting, "lastState": last}]
    return body


def test_what_to_do_about_a_well_known_end():
    trouble = trim(ended(127, "cd / && exec dask-worker --nthreads 1")).trouble
    assert trouble.message == (
        'container worker keeps ending with exit code 127 (Error): the command "dask-worker" does not exist '
        'in distributed 2026.6.0 and later: write "dask worker" instead'
    )


def test_a_message_of_a_container_is_only_searched():
    message = f"{'secret ' * 1000}No module named 'xgboost'"
    trouble = trim(ended(1, "dask worker", message)).trouble
    assert 'Python module "xgboost"' in trouble.message
    assert "secret" not in trouble.message


def test_what_to_do_about_a_worker_that_has_failed():
    body = pod("w", phase="Failed")
    body["spec"]["containers"] = [{"name": "worker", "args": ["dask-worker"]}]
    state = {"terminated": {"exitCode": 127, "reason": "Error"}}
    body["status"]["containerStatuses"] = [{"name": "worker", "state": state}]
    assert 'write "dask worker" instead' in trim(body).trouble.message
