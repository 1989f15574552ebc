"""Why a scheduler has not started: statuses as Kubernetes writes them, and the diagnosis."""

import re

import pytest

from dask_k8s_client.diagnosis import CONTROLLER_PATIENCE, diagnose
from dask_k8s_client.observed import Observed

FIRST, SECOND = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"
HEALTHY = {"type": "Degraded", "status": "False", "reason": "Healthy"}
SEEN = {"phase": "Running", "conditions": [HEALTHY, {"type": "SchedulerReady", "status": "True"}]}


def cluster(status=SEEN, **metadata):
    return {"metadata": {"name": "foo", "namespace": "ns", "uid": "c1", **metadata}, "status": status}


def degraded(reason, message="text"):
    return cluster(
        {"conditions": [{"type": "Degraded", "status": "True", "reason": reason, "message": message}]}
    )


def not_reachable(reason, message, trouble=None):
    found = [condition("SchedulerReady", "False", reason, message)]
    if trouble:
        found.append(condition("Degraded", "True", trouble, "text"))
    return cluster({"conditions": found})


def pod(
    container=None,
    *,
    phase="Pending",
    conditions=(),
    name="foo-scheduler",
    made="2026-01-01T00:00:00Z",
    **more,
):
    status = {"phase": phase, "conditions": list(conditions), **more.pop("status", {})}
    if container is not None:
        status["containerStatuses"] = [{"name": "scheduler", "restartCount": 0, **container}]
    metadata = {"name": name, "uid": name, "creationTimestamp": made, **more}
    containers = [{"name": "log-shipper"}, {"name": "scheduler", "args": ["dask", "scheduler"]}]
    return {"metadata": metadata, "spec": {"containers": containers}, "status": status}


def waiting(reason, message="", **more):
    return {"state": {"waiting": {"reason": reason, "message": message}}, **more}


def event(message, type="Warning", uid="foo-scheduler", reason="Failed"):
    return {"involvedObject": {"uid": uid}, "type": type, "reason": reason, "message": message}


def condition(type, status, reason="", message=""):
    return {"type": type, "status": status, "reason": reason, "message": message}


def seen(pods, events=()):
    return Observed(cluster(), pods, events)


INIT_SUCCEEDED = {
    "name": "init",
    "ready": True,
    "state": {"terminated": {"exitCode": 0, "reason": "Completed"}},
}
RUNNING = [condition("Ready", "True")]
READY = pod(phase="Running", conditions=RUNNING)
CRASHING = pod(
    waiting(
        "CrashLoopBackOff",
        "back-off 10s restarting failed container=scheduler",
        restartCount=2,
        lastState={"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
    ),
    phase="Running",
)
NOT_FOUND = (
    'failed to pull and unpack image "docker.io/dask/nope:latest": failed to resolve reference'
    ' "docker.io/dask/nope:latest": docker.io/dask/nope:latest: not found'
)

CASES = [
    pytest.param(seen((READY,)), None, None, "", id="ready"),
    pytest.param(
        Observed(not_reachable("ServiceMissing", "there is no service"), (READY,)),
        "ServiceMissing",
        False,
        "there is no service",
        id="ready, without a service",
    ),
    pytest.param(
        Observed(not_reachable("ServiceMissing", "there is no service", "WebhookFailed"), (READY,)),
        "WebhookFailed",
        False,
        "^text$",
        id="ready, and its service is refused",
    ),
    pytest.param(
        Observed(not_reachable("LoadBalancerPending", "no address"), (READY,)),
        None,
        None,
        "",
        id="ready, and a load balancer is not: a client may do without",
    ),
    pytest.param(
        Observed(not_reachable("SchedulerNotReady", "not ready yet"), None),
        "SchedulerNotReady",
        False,
        "",
        id="pods forbidden, not ready",
    ),
    pytest.param(
        Observed(cluster({"conditions": [condition("SchedulerReady", "True")]}), None),
        None,
        None,
        "",
        id="pods forbidden, ready",
    ),
    pytest.param(Observed(None, ()), "Deleted", True, "deleted while it was starting", id="gone"),
    pytest.param(
        Observed(cluster(deletionTimestamp="2026-01-01T00:00:00Z"), (READY,)), "Deleted", True, "", id="going"
    ),
    pytest.param(
        Observed(degraded("InvalidSpec", 'unknown field "spec.contaners"'), (READY,)),
        "InvalidSpec",
        True,
        "spec.contaners",
        id="refused, though the scheduler is ready",
    ),
    pytest.param(
        Observed(degraded("QuotaExceeded", "pods: 10/10"), ()), "QuotaExceeded", False, "10/10", id="quota"
    ),
    pytest.param(Observed(degraded("Forbidden"), ()), "Forbidden", True, "text$", id="controller may not"),
    pytest.param(
        Observed(degraded("Forbidden", "failed quota: q: must specify limits.memory for: scheduler"), ()),
        "Forbidden",
        True,
        "for: scheduler; pass scheduler_resources",
        id="a quota wants to know more",
    ),
    pytest.param(
        Observed(degraded("Forbidden", 'violates PodSecurity "restricted:latest": runAsNonRoot != true'), ()),
        "Forbidden",
        True,
        "!= true; the argument run_as_user",
        id="a namespace takes no privileged pods",
    ),
    pytest.param(seen((CRASHING,)), "CrashLoopBackOff", True, "137, OOMKilled", id="crash loop"),
    pytest.param(
        seen(
            (pod(waiting("CrashLoopBackOff", lastState={"terminated": {"exitCode": 1, "reason": "Error"}})),)
        ),
        "CrashLoopBackOff",
        True,
        r"\(exit code 1; restarts: 0\)",
        id="crash loop without a special reason",
    ),
    pytest.param(
        seen((pod({"state": {"terminated": {"exitCode": 2, "reason": "Error"}}}, phase="Failed"),)),
        "Ended",
        True,
        "exit code 2",
        id="over",
    ),
    pytest.param(
        seen(
            (
                pod(
                    {"state": {"terminated": {"exitCode": 2, "reason": "Error"}}},
                    phase="Failed",
                    status={"initContainerStatuses": [INIT_SUCCEEDED]},
                ),
            )
        ),
        "Ended",
        True,
        "exit code 2",
        id="over, after an init container that has succeeded",
    ),
    pytest.param(
        seen((pod(phase="Failed", status={"reason": "Evicted", "message": "low on memory"}),)),
        "Evicted",
        False,
        "low on memory",
        id="evicted",
    ),
    pytest.param(
        seen((pod(waiting("ErrImagePull", NOT_FOUND)),)),
        "ErrImagePull",
        True,
        "dask/nope",
        id="no such image",
    ),
    pytest.param(
        seen((pod(waiting("ImagePullBackOff", 'Back-off pulling image "x"')),), (event(NOT_FOUND),)),
        "ImagePullBackOff",
        True,
        "dask/nope",
        id="no such image, as only the event says",
    ),
    pytest.param(
        seen((pod(waiting("ErrImagePull", "429 Too Many Requests")),)),
        "ErrImagePull",
        False,
        "429",
        id="registry busy",
    ),
    pytest.param(
        seen((pod(waiting("InvalidImageName", "couldn't parse image name")),)),
        "InvalidImageName",
        True,
        "parse",
        id="no name of an image",
    ),
    pytest.param(
        seen((pod(waiting("CreateContainerConfigError", 'secret "s" not found')),)),
        "CreateContainerConfigError",
        False,
        'secret "s"',
        id="secret missing",
    ),
    pytest.param(
        seen(
            (
                pod(
                    conditions=[
                        condition("PodScheduled", "False", "Unschedulable", "0/3 nodes are available")
                    ]
                ),
            ),
        ),
        "Unschedulable",
        False,
        "0/3 nodes",
        id="no node",
    ),
    pytest.param(
        Observed(
            cluster(),
            (pod({"state": {"running": {}}}, phase="Running"),),
            (event("Readiness probe failed: HTTP 500"),),
        ),
        "NotReady",
        False,
        "HTTP 500",
        id="probe fails",
    ),
    pytest.param(
        seen((pod(waiting("ContainerCreating")),), (event("Pulling image x", "Normal", reason="Pulling"),)),
        "Pending",
        False,
        "Pulling image x",
        id="pulling",
    ),
    pytest.param(
        seen(
            (pod(waiting("ContainerCreating")),),
            (event('configmap "c" not found', reason="FailedMount"), event("of another pod", uid="old")),
        ),
        "Pending",
        False,
        "FailedMount: configmap",
        id="volume missing",
    ),
    pytest.param(seen(()), "NoScheduler", False, "has not made", id="seen, no pod"),
    pytest.param(
        Observed(cluster(status={}), ()), "NoController", False, "Dask Operator running", id="not seen"
    ),
    pytest.param(
        seen(
            (
                pod(phase="Running", conditions=RUNNING, name="old"),
                pod(waiting("ErrImagePull", "x"), made=SECOND),
            ),
        ),
        None,
        None,
        "",
        id="the oldest pod is the scheduler",
    ),
    pytest.param(
        seen(
            (
                pod(waiting("ErrImagePull", "x"), name="old", deletionTimestamp="x"),
                pod(phase="Failed", name="ended"),
                pod(phase="Running", conditions=RUNNING, made=SECOND),
            ),
        ),
        None,
        None,
        "",
        id="pods that terminate or have ended are not the scheduler",
    ),
    pytest.param(
        seen((pod(phase="Running", conditions=RUNNING, deletionTimestamp="x"),)),
        "NoScheduler",
        False,
        "",
        id="ready but going",
    ),
]


@pytest.mark.parametrize("observed, reason, final, text", CASES)
def test_diagnosis(observed, reason, final, text):
    diagnosis = diagnose(observed, waited=1)
    if reason is None:
        assert diagnosis is None
    else:
        assert (diagnosis.reason, diagnosis.final) == (reason, final)
        assert re.search(text, diagnosis.message), diagnosis.message


def test_controller_has_some_time():
    nothing = Observed(cluster(status={}), ())
    assert not diagnose(nothing, waited=CONTROLLER_PATIENCE - 1).final
    assert diagnose(nothing, waited=CONTROLLER_PATIENCE).final


def test_what_to_do_about_a_well_known_end():
    body = pod(waiting("CrashLoopBackOff", "", lastState={"terminated": {"exitCode": 0}}), phase="Running")
    body["spec"]["containers"][1]["args"] += ["--idle-timeout", "60"]
    assert "set spec.idleTimeout of the DaskCluster" in diagnose(seen((body,)), waited=1).message
