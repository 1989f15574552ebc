"""The names of everything made for a cluster. Each has its one maker here; nobody else formats a name."""

import re
from hashlib import sha256

from dask_k8s_crds.problems import InvalidObject, Problem

# A Service's name is at most 63 characters that start with a letter, and "-scheduler" takes 10.
CLUSTER_NAME_MAX = 53
CLUSTER_NAME_PATTERN = "^[a-z]([-a-z0-9]*[a-z0-9])?$"
CLUSTER_NAME_RULE = (
    f"must be at most {CLUSTER_NAME_MAX} characters, only a-z, 0-9 and '-', "
    "start with a letter and end with a letter or digit"
)
# The name of a group is the value of a label on its pods.
WORKER_GROUP_NAME_MAX = 63
WORKER_GROUP_NAME_RULE = f"must be at most {WORKER_GROUP_NAME_MAX} characters"
# What the API server asks of every object's name.
OBJECT_NAME_MAX = 253
OBJECT_NAME_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character"
)
_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"

SCHEDULER_PORT = 8786
DASHBOARD_PORT = 8787
CLUSTER_DOMAIN = "cluster.local"


def is_object_name(name: str) -> bool:
    """Whether any object may have this name."""
    return len(name) <= OBJECT_NAME_MAX and re.fullmatch(_SUBDOMAIN, name) is not None


def is_cluster_name(name: str) -> bool:
    """Whether a DaskCluster may have this name."""
    return len(name) <= CLUSTER_NAME_MAX and re.fullmatch(CLUSTER_NAME_PATTERN, name) is not None


def is_worker_group_name(name: str) -> bool:
    """Whether a DaskWorkerGroup may have this name."""
    return len(name) <= WORKER_GROUP_NAME_MAX and is_object_name(name)


def check_cluster_name(name: str) -> None:
    """Raise InvalidObject unless a DaskCluster may have this name."""
    if not is_cluster_name(name):
        problem = Problem("metadata.name", f'Invalid value: "{name}": {CLUSTER_NAME_RULE}')
        raise InvalidObject("DaskCluster", name, (problem,))


def scheduler(cluster: str) -> str:
    """Scheduler pod and service."""
    return f"{cluster}-scheduler"


def scheduler_successor(cluster: str, uid: str) -> str:
    """Scheduler pod while the pod `uid` holds the first name and does not terminate."""
    return f"{scheduler(cluster)}-{_digest(uid, 5)}"


def agent(cluster: str) -> str:
    """Secret with the scheduler's agent and its token."""
    return f"{cluster}-agent"


def default_group(cluster: str) -> str:
    """The worker group that comes with the cluster."""
    return worker_group(cluster, "default")


def worker_group(cluster: str, name: str) -> str:
    """A further worker group, by the name it has within its cluster."""
    return f"{cluster}-{name}"


def worker(group: str, uid: str, ordinal: int) -> str:
    """Worker pod number `ordinal` of the group `uid`.

    The same every time, so that the API server refuses a worker that was already made.
    """
    return f"{group}-worker-{_digest(f'{uid}/{ordinal}', 10)}"


def runner(job: str) -> str:
    """The batch/v1 Job of a DaskJob."""
    return f"{job}-runner"


def scheduler_host(cluster: str, namespace: str, domain: str = CLUSTER_DOMAIN) -> str:
    """DNS name of the scheduler's service."""
    return f"{scheduler(cluster)}.{namespace}.svc.{domain}"


def scheduler_address(
    cluster: str, namespace: str, *, port: int = SCHEDULER_PORT, domain: str = CLUSTER_DOMAIN
) -> str:
    """Where workers and clients inside Kubernetes reach the scheduler."""
    return f"tcp://{scheduler_host(cluster, namespace, domain)}:{port}"


def dashboard_address(
    cluster: str, namespace: str, *, port: int = DASHBOARD_PORT, domain: str = CLUSTER_DOMAIN
) -> str:
    """Where the scheduler's dashboard is reached inside Kubernetes."""
    return f"http://{scheduler_host(cluster, namespace, domain)}:{port}"


def _digest(text: str, length: int) -> str:
    return sha256(text.encode()).hexdigest()[:length]
