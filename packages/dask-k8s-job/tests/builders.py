"""Objects as the API server sends them, and worlds that hold them, for tables of cases. No I/O."""

from dask_k8s_controller import Key
from dask_k8s_controller.testing import FakeWorld, objects
from dask_k8s_controller.testing.objects import NOW, ago
from dask_k8s_crds import DaskJob, labels
from dask_k8s_crds.resources import DASK_JOBS
from dask_k8s_job import desired
from dask_k8s_job.observe import Observed
from dask_k8s_job.plugin import PLUGIN

__all__ = ["NOW", "ago"]

KEY = Key(DASK_JOBS, "ns", "demo")
TEMPLATE = {"containers": [{"name": "c", "image": "dask"}]}
CLUSTER_SPEC = {
    "scheduler": {"spec": TEMPLATE, "service": {"ports": [{"name": "tcp-comm", "port": 8786}]}},
    "worker": {"replicas": 3, "spec": TEMPLATE},
}
ADDRESS = "tcp://demo-scheduler.ns.svc.cluster.local:8786"


def metadata(name, uid, owner=None, **more):
    owners = [{"controller": True, "blockOwnerDeletion": True, **owner}] if owner else None
    defaults = {"uid": uid, "creationTimestamp": ago(3600), "generation": 1, "ownerReferences": owners}
    return objects.metadata(name, **defaults | more)


OF_JOB = {"apiVersion": "kubernetes.dask.org/v1", "kind": "DaskJob", "name": "demo", "uid": "job"}
OF_RUNNER = {"apiVersion": "batch/v1", "kind": "Job", "name": "demo-runner", "uid": "runner"}


def job(status=None, template=None, metadata_=None, **spec):
    if "clusterName" not in spec:
        spec = {"cluster": {"spec": CLUSTER_SPEC}, **spec}
    return {
        "apiVersion": "kubernetes.dask.org/v1",
        "kind": "DaskJob",
        "metadata": metadata("demo", "job", **(metadata_ or {})),
        "spec": {"job": {"spec": {**TEMPLATE, **(template or {})}}, **spec},
        "status": status or {},
    }


RECORDED = {"runnerUid": "runner", "clusterUid": "cluster"}
"""The uids in the status of a job whose runner may start."""


def made_from(made, *, digest, **annotations):
    """Annotate what the controller made for the job without any changes."""
    made["metadata"]["annotations"] = {labels.TEMPLATE_DIGEST: digest, **annotations}
    return made


def cluster(*, ready=True, degraded=None, owner=OF_JOB, name="demo", replicas=0, **more):
    conditions = [{"type": "SchedulerReady", "status": str(ready), "reason": "S", "message": "not yet"}]
    if degraded:
        conditions.append({"type": "Degraded", "status": "True", "reason": degraded, "message": "oh"})
    body = {
        "apiVersion": "kubernetes.dask.org/v1",
        "kind": "DaskCluster",
        "metadata": metadata(name, "cluster", owner, **more),
        "spec": {**CLUSTER_SPEC, "worker": {**CLUSTER_SPEC["worker"], "replicas": replicas}},
        "status": {"conditions": conditions, "schedulerAddress": ADDRESS},
    }
    digest = desired.cluster_digest(DaskJob.parse(job()))
    return made_from(body, digest=digest, **{labels.JOB_REPLICAS: str(replicas)})


def runner(*ends, suspended=False, failed=0, started=60, labels_=None, **spec):
    conditions = [
        {"type": kind, "status": "True", "reason": reason, "message": "m", "lastTransitionTime": ago(10)}
        for kind, reason in ends
    ]
    status = {"failed": failed, "conditions": conditions, **({"startTime": ago(started)} if started else {})}
    body = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata("demo-runner", "runner", OF_JOB, labels=labels_ or {}),
        "spec": {"suspend": suspended, "backoffLimit": desired.UNLIMITED_RETRIES, **spec},
        "status": status,
    }
    return made_from(body, digest=desired.runner_digest(DaskJob.parse(job())))


def pod(phase="Running", name="demo-runner-abcde", created=50, trouble=None, **more):
    own = {"creationTimestamp": ago(created), "ownerReferences": [{**OF_RUNNER, "controller": True}]}
    body = objects.pod(name, phase=phase, component=labels.JOB_RUNNER, **own | more)
    return {**body, "status": {"phase": phase, "message": trouble}}


def failed_create(seconds, message, uid="runner"):
    """An Event that is so many seconds old."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": metadata(f"demo-runner.{seconds}", f"event-{seconds}"),
        "involvedObject": {"kind": "Job", "name": "demo-runner", "uid": uid},
        "reason": "FailedCreate",
        "message": message,
        "lastTimestamp": ago(seconds),
    }


def world(body, *, clusters=(), runners=(), pods=(), events=()):
    return FakeWorld(body, *clusters, *runners, *pods, *events, plugins=[PLUGIN])


def observe(body, **children):
    made = world(body, **children)
    model = DaskJob.parse(body)
    return model, Observed.of(made.get(KEY), model, made)
