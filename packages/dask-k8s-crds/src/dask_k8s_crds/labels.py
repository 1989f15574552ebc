"""Labels and annotations of our objects, and which annotations their children inherit."""

from collections.abc import Mapping

JOB_NAME = "batch.kubernetes.io/job-name"
"""Set by Kubernetes on the pods of a Job."""
CLUSTER_NAME = "dask.org/cluster-name"
COMPONENT = "dask.org/component"
WORKER_GROUP_NAME = "dask.org/workergroup-name"

SCHEDULER = "scheduler"
WORKER = "worker"
WORKER_GROUP = "workergroup"
AUTOSCALER = "autoscaler"
AGENT = "agent"
JOB_RUNNER = "job-runner"

ISTIO_DEFAULT: Mapping[str, str] = {"sidecar.istio.io/inject": "false"}
"""A default that users may override; it is therefore in no selector."""

LEGACY_COMMANDS = "kubernetes.dask.org/legacy-commands"
"""Set by users: "keep" runs `dask-scheduler` and `dask-worker` unchanged, for images older than 2022.10."""
RESTARTED_AT = "kubernetes.dask.org/restartedAt"
"""Set by users on a cluster or a group: another value has the workers replaced. Children do not inherit it,
since then the scheduler would be replaced, too."""
CLUSTER_REPLICAS = "kubernetes.dask.org/cluster-replicas"
"""On the default group: the `replicas` of the cluster that were last applied to the group."""
JOB_REPLICAS = "kubernetes.dask.org/job-replicas"
"""On the cluster of a job: the `replicas` that the job last applied to the cluster."""
IDLE_SINCE = "kubernetes.dask.org/idle-since"
"""On a group: the `idleSince` of the cluster for which the group was scaled to zero."""
TEMPLATE_DIGEST = "kubernetes.dask.org/template-digest"
"""On a pod: a digest of its template. The pod is outdated if the current template has another one."""
LAST_APPLIED = "kubernetes.dask.org/given"  # codespell:ignore given
"""On the children that we create: the labels, annotations and fields that we last applied."""
DRAINING_SINCE = "kubernetes.dask.org/draining-since"
"""On an outdated worker: when it began to drain."""
FAILURES = "kubernetes.dask.org/failures"
"""On a worker that replaces one that exited: how many of its predecessors exited in a row."""
BOOKKEEPING = (
    CLUSTER_REPLICAS,
    JOB_REPLICAS,
    IDLE_SINCE,
    TEMPLATE_DIGEST,
    LAST_APPLIED,
    DRAINING_SINCE,
    FAILURES,
)
"""Annotations that the controller sets; children never inherit them."""
COOLDOWN_UNTIL = "kubernetes.dask.org/cooldown-until"
"""Set by users on a DaskAutoscaler: no worker is removed before this time, in seconds since 1970."""

QUEUE_NAME = "kueue.x-k8s.io/queue-name"
"""Set by users, and by Kueue in namespaces with a default queue: the object waits in this queue."""
_QUEUE_PREFIX = "kueue.x-k8s.io/"

_NOT_INHERITED = ("kopf.zalando.org", "kubectl.kubernetes.io")
"""Prefixes of the annotations with which kopf and kubectl keep their own state."""


def scheduler(cluster: str) -> dict[str, str]:
    """Return the labels of the scheduler's pod and service."""
    return {CLUSTER_NAME: cluster, COMPONENT: SCHEDULER}


def worker_group(cluster: str) -> dict[str, str]:
    """Return the labels of a worker group."""
    return {CLUSTER_NAME: cluster, COMPONENT: WORKER_GROUP}


def worker(cluster: str, group: str) -> dict[str, str]:
    """Return the labels of a worker's pod."""
    return {CLUSTER_NAME: cluster, WORKER_GROUP_NAME: group, COMPONENT: WORKER}


def autoscaler(cluster: str) -> dict[str, str]:
    """Return the labels of the autoscaler that a client creates."""
    return {CLUSTER_NAME: cluster, COMPONENT: AUTOSCALER}


def agent(cluster: str) -> dict[str, str]:
    """Return the labels of the secret that contains the scheduler's agent."""
    return {CLUSTER_NAME: cluster, COMPONENT: AGENT}


def job_runner(cluster: str) -> dict[str, str]:
    """Return the labels of the runner of a job, and of its pods."""
    return {CLUSTER_NAME: cluster, COMPONENT: JOB_RUNNER}


def selector(labels: Mapping[str, str]) -> str:
    """Return a label selector as kubectl and the API accept it: `a=b,c=d`."""
    return ",".join(f"{key}={value}" for key, value in labels.items())


def without_queue(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels that children inherit: all but those of Kueue.

    Kueue would suspend a child that has them, and the controller, which starts the child, would not.
    """
    return {key: value for key, value in labels.items() if not key.startswith(_QUEUE_PREFIX)}


def inherited(annotations: Mapping[str, str]) -> dict[str, str]:
    """Return the annotations that children inherit: all but those of kopf and kubectl, and `RESTARTED_AT`."""
    return {
        key: value
        for key, value in annotations.items()
        if key != RESTARTED_AT and not key.startswith(_NOT_INHERITED)
    }


def replaces_pods(annotation: str) -> bool:
    """Return whether another value of an annotation of a pod template asks for new pods.

    ``kubectl rollout restart`` and Helm charts have pods of a Deployment replaced with such annotations, for
    example when a ConfigMap has changed that the pods read when they start.
    """
    return (
        annotation == "rollme"
        or annotation.startswith("checksum/")
        or annotation.rpartition("/")[2] == "restartedAt"
    )


def replacing(annotations: Mapping[str, str]) -> dict[str, str]:
    """Return the annotations of a pod template whose change asks for new pods."""
    return {key: value for key, value in annotations.items() if replaces_pods(key)}
