"""Names and addresses of everything that belongs to a cluster. No other module formats a name."""

import re
from hashlib import sha256

CLUSTER_NAME_MAX = 53
"""The name of a Service has at most 63 characters, of which "-scheduler" takes 10."""
CLUSTER_NAME_PATTERN = "^[a-z]([-a-z0-9]*[a-z0-9])?$"
CLUSTER_NAME_RULE = (
    f"must be at most {CLUSTER_NAME_MAX} characters, only a-z, 0-9 and '-', "
    "start with a letter and end with a letter or digit"
)
WORKER_GROUP_NAME_MAX = 63
"""The name of a group is a label value on its pods."""
WORKER_GROUP_NAME_RULE = f"must be at most {WORKER_GROUP_NAME_MAX} characters"
OBJECT_NAME_MAX = 253
"""The API server's limit for the name of any object."""
OBJECT_NAME_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character"
)
_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"

AGENT_KEY = "dask-k8s-controller-agent-key"
"""The Secret in the controller's namespace with the key from which the tokens of agents are derived."""

SCHEDULER_PORT = 8786
DASHBOARD_PORT = 8787
CLUSTER_DOMAIN = "cluster.local"


def is_object_name(name: str) -> bool:
    """Whether any object may have this name."""
    return len(name) <= OBJECT_NAME_MAX and re.fullmatch(_SUBDOMAIN, name) is not None


def is_cluster_name(name: str) -> bool:
    """Whether a DaskCluster may have this name."""
    return len(name) <= CLUSTER_NAME_MAX and re.fullmatch(CLUSTER_NAME_PATTERN, name) is not None


def scheduler(cluster: str) -> str:
    """Return the name of the scheduler's Pod and Service."""
    return f"{cluster}-scheduler"


def scheduler_successor(cluster: str, uid: str) -> str:
    """Return the name of a scheduler pod whose usual name is still held by the terminating pod `uid`."""
    return f"{scheduler(cluster)}-{_digest(uid, 5)}"


def agent(cluster: str, *, token: str, file: str) -> str:
    """Return the name of the Secret with this token and this file of the scheduler's agent.

    It contains a digest of each, so that no two contents have the same name.
    """
    return f"{agent_with_token(cluster, token)}{_digest(file, 10)}"


def agent_with_token(cluster: str, token: str) -> str:
    """Return what the names of all Secrets with this token begin with, whatever the agent's file is."""
    return f"{cluster}-agent-{_digest(token, 10)}-"


def default_group(cluster: str) -> str:
    """Return the name of the worker group that is created with the cluster."""
    return worker_group(cluster, "default")


def worker_group(cluster: str, name: str) -> str:
    """Return the full name of a worker group from its short name within the cluster."""
    return f"{cluster}-{name}"


def worker(group: str, uid: str, ordinal: int) -> str:
    """Return the name of worker pod number `ordinal` of the group with this uid.

    The name is deterministic, so that the API server refuses to create the same worker twice.
    """
    return f"{group}-worker-{_digest(f'{uid}/{ordinal}', 10)}"


def runner(job: str) -> str:
    """Return the name of the batch/v1 Job that runs the client of a DaskJob."""
    return f"{job}-runner"


def host_port(host: str, port: int) -> str:
    """Return ``host:port`` as URLs have it: IPv6 addresses are in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def scheduler_host(cluster: str, namespace: str, domain: str = CLUSTER_DOMAIN) -> str:
    """Return the DNS name of the scheduler's Service."""
    return f"{scheduler(cluster)}.{namespace}.svc.{domain}"


def scheduler_address(
    cluster: str, namespace: str, *, port: int = SCHEDULER_PORT, domain: str = CLUSTER_DOMAIN
) -> str:
    """Return the address at which workers and clients inside Kubernetes reach the scheduler."""
    return f"tcp://{host_port(scheduler_host(cluster, namespace, domain), port)}"


def dashboard_address(
    cluster: str, namespace: str, *, port: int = DASHBOARD_PORT, domain: str = CLUSTER_DOMAIN
) -> str:
    """Return the URL of the scheduler's dashboard inside Kubernetes."""
    return f"http://{host_port(scheduler_host(cluster, namespace, domain), port)}"


def _digest(text: str, length: int) -> str:
    return sha256(text.encode()).hexdigest()[:length]
