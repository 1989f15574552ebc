"""Builders of jobs: arguments in, resources out. Pure."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from dask_k8s_client.aliases import JSON, Env, Tolerations
from dask_k8s_client.specs.cluster import IMAGE, WORKER_COMMAND, make_cluster_spec
from dask_k8s_client.specs.pods import env_list, unprivileged
from dask_k8s_crds.resources import API_VERSION, DASK_JOBS


def make_job_spec(  # noqa: PLR0913  # the users' signature
    name: str,
    command: str | Sequence[str],
    *,
    image: str = IMAGE,
    n_workers: int | None = None,
    resources: Mapping[str, Any] | None = None,
    env: Env | None = None,
    worker_command: str | Sequence[str] = WORKER_COMMAND,
    cluster_name: str | None = None,
    scheduler_resources: Mapping[str, Any] | None = None,
    scheduler_node_selector: Mapping[str, str] | None = None,
    scheduler_tolerations: Tolerations | None = None,
    worker_node_selector: Mapping[str, str] | None = None,
    worker_tolerations: Tolerations | None = None,
    run_as_user: int | None = None,
    **spec: Any,
) -> JSON:
    """A ``DaskJob`` resource, ready to be changed and passed to ``run_job`` or ``kubectl apply``.

    Args:
        name: Name of the job.
        command: What the client runs, as a string or a list; ``Client()`` finds the scheduler there.
        image: Container image of the client, and of scheduler and workers.
        n_workers: Workers of the job's cluster; 1 if not given.
        resources: ``limits`` and ``requests`` of each worker; never of the client or the scheduler.
        env: Environment of client, scheduler and workers: a dict, or a list as in a Pod.
        worker_command: What starts a worker; its name and dashboard port are added.
        cluster_name: Run on this cluster, which is there and stays, instead of one that is made for the job.
        scheduler_resources: ``limits`` and ``requests`` of the scheduler.
        scheduler_node_selector: Labels of the nodes where the scheduler may run.
        scheduler_tolerations: Taints of nodes that do not keep it away, as in a Pod.
        worker_node_selector: The same for workers.
        worker_tolerations: The same for workers.
        run_as_user: Have all, the client too, run as the user with this number, as for ``make_cluster_spec``.
        **spec: Further fields as they are in YAML, such as ``backoffLimit=3``.

    Raises:
        ValueError, TypeError: an argument that makes no sense; the message begins with its name.
    """
    words = shlex.split(command) if isinstance(command, str) else list(command)
    if not words or not all(isinstance(word, str) for word in words):
        raise ValueError(f"command: a command is needed, as a string or a list of strings, not {command!r}")
    container: JSON = {"name": "job", "image": image, "args": words}
    if variables := env_list(env):
        container["env"] = variables
    runs_on: JSON = {"clusterName": cluster_name}
    if cluster_name is None:
        cluster = make_cluster_spec(
            name,
            image,
            n_workers,
            resources,
            env,
            worker_command,
            scheduler_resources=scheduler_resources,
            scheduler_node_selector=scheduler_node_selector,
            scheduler_tolerations=scheduler_tolerations,
            worker_node_selector=worker_node_selector,
            worker_tolerations=worker_tolerations,
            run_as_user=run_as_user,
        )
        runs_on = {"cluster": {"spec": cluster["spec"]}}
    return {
        "apiVersion": API_VERSION,
        "kind": DASK_JOBS.kind,
        "metadata": {"name": name},
        "spec": {
            "job": {"spec": unprivileged({"containers": [container]}, run_as_user)},
            **runs_on,
            **spec,
        },
    }
