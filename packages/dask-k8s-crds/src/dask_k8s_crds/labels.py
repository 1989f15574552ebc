"""Labels and annotations: what marks our objects, and what their children inherit. Names only."""

from collections.abc import Mapping

CLUSTER_NAME = "dask.org/cluster-name"
COMPONENT = "dask.org/component"
WORKER_GROUP_NAME = "dask.org/workergroup-name"

SCHEDULER = "scheduler"
WORKER = "worker"
WORKER_GROUP = "workergroup"
AUTOSCALER = "autoscaler"
AGENT = "agent"
JOB_RUNNER = "job-runner"

# A default that users may override, and so never part of a selector.
ISTIO_DEFAULT: Mapping[str, str] = {"sidecar.istio.io/inject": "false"}

# "keep" starts `dask-scheduler` and `dask-worker` as they are written, for images older than 2022.10.
LEGACY_COMMANDS = "kubernetes.dask.org/legacy-commands"
# On the default group: the last of the cluster's replicas that reached it.
CLUSTER_REPLICAS = "kubernetes.dask.org/cluster-replicas"
# On a group: the `idleSince` of the cluster for which its workers were sent away.
IDLE_SINCE = "kubernetes.dask.org/idle-since"
# On a pod: a digest of what it was made from; with another one than is wanted now it is outdated.
TEMPLATE_DIGEST = "kubernetes.dask.org/template-digest"
# On what we make: which labels, annotations and fields it was given, to tell them from everybody else's.
LAST_APPLIED = "kubernetes.dask.org/given"
# On an outdated worker: since when it has been handing over what it holds.
DRAINING_SINCE = "kubernetes.dask.org/draining-since"
# On a worker that took the place of one that ended by itself: how many did so one after another.
FAILURES = "kubernetes.dask.org/failures"
BOOKKEEPING = (CLUSTER_REPLICAS, IDLE_SINCE, TEMPLATE_DIGEST, LAST_APPLIED, DRAINING_SINCE, FAILURES)
# On a DaskAutoscaler, by its users: no worker is removed before this time, in seconds since 1970.
COOLDOWN_UNTIL = "kubernetes.dask.org/cooldown-until"

_NOT_INHERITED = ("kopf.zalando.org", "kubectl.kubernetes.io")


def scheduler(cluster: str) -> dict[str, str]:
    """Of the scheduler's pod and service."""
    return {CLUSTER_NAME: cluster, COMPONENT: SCHEDULER}


def worker_group(cluster: str) -> dict[str, str]:
    """Of a worker group."""
    return {CLUSTER_NAME: cluster, COMPONENT: WORKER_GROUP}


def worker(cluster: str, group: str) -> dict[str, str]:
    """Of a worker's pod."""
    return {CLUSTER_NAME: cluster, WORKER_GROUP_NAME: group, COMPONENT: WORKER}


def autoscaler(cluster: str) -> dict[str, str]:
    """Of the autoscaler that a client makes."""
    return {CLUSTER_NAME: cluster, COMPONENT: AUTOSCALER}


def agent(cluster: str) -> dict[str, str]:
    """Of the secret that the scheduler's agent comes in."""
    return {CLUSTER_NAME: cluster, COMPONENT: AGENT}


def job_runner(cluster: str) -> dict[str, str]:
    """Of the runner of a job, and of its pods."""
    return {CLUSTER_NAME: cluster, COMPONENT: JOB_RUNNER}


def selector(labels: Mapping[str, str]) -> str:
    """As kubectl and the API take it: `a=b,c=d`."""
    return ",".join(f"{key}={value}" for key, value in labels.items())


def inherited(annotations: Mapping[str, str]) -> dict[str, str]:
    """Return the annotations that children get too; kopf's and kubectl's own stay where they are."""
    return {key: value for key, value in annotations.items() if not key.startswith(_NOT_INHERITED)}
