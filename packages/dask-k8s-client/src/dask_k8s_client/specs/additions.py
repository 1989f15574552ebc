"""Builders of what joins a cluster that is there: worker groups, an autoscaler. Pure."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from dask_k8s_client.aliases import JSON, Env, Tolerations
from dask_k8s_client.specs.pods import checked_count, checked_resources, env_list, worker_args
from dask_k8s_crds import labels, names, resources


def make_group(cluster: Mapping[str, Any], name: str, worker: Mapping[str, Any]) -> JSON:
    """A ``DaskWorkerGroup`` of a cluster that is there; ``worker`` as ``make_worker_spec`` gives it.

    The cluster owns it from the start, so it goes with the cluster even if no controller has seen it. Without
    ``blockOwnerDeletion``: some API servers want a permission for that which users do not have.
    """
    own = cluster["metadata"]["name"]
    return {
        "apiVersion": resources.API_VERSION,
        "kind": resources.DASK_WORKER_GROUPS.kind,
        "metadata": {
            "name": names.worker_group(own, name),
            "labels": labels.worker_group(own),
            "ownerReferences": [_owner(cluster)],
        },
        "spec": {"cluster": own, "worker": copy.deepcopy(dict(worker))},
    }


def make_autoscaler(cluster: Mapping[str, Any], spec: Mapping[str, Any]) -> JSON:
    """A ``DaskAutoscaler`` of a cluster that is there, and goes with it; it has the cluster's name."""
    made = make_loose_autoscaler(cluster["metadata"]["name"], spec)
    return made | {"metadata": made["metadata"] | {"ownerReferences": [_owner(cluster)]}}


def make_loose_autoscaler(cluster: str, spec: Mapping[str, Any]) -> JSON:
    """A ``DaskAutoscaler`` of a cluster that need not be there yet; the controller ties them together."""
    return {
        "apiVersion": resources.API_VERSION,
        "kind": resources.DASK_AUTOSCALERS.kind,
        "metadata": {"name": cluster, "labels": labels.autoscaler(cluster)},
        "spec": {"cluster": cluster, **{key: value for key, value in spec.items() if value is not None}},
    }


def like_worker(  # noqa: PLR0913  # what a user may want different, each by its own name
    worker: Mapping[str, Any],
    *,
    n_workers: int,
    image: str | None = None,
    resources: Mapping[str, Any] | None = None,
    env: Env | None = None,
    worker_command: str | Sequence[str] | None = None,
    node_selector: Mapping[str, str] | None = None,
    tolerations: Tolerations | None = None,
) -> JSON:
    """A ``worker`` section like that of a cluster, but for what is given.

    So a further group has the image, pull secrets and volumes of the cluster it joins, however that was made.
    """
    section = copy.deepcopy(
        {key: worker[key] for key in ("metadata", "daskResources", "spec") if key in worker}
    )
    containers: list[JSON] = section["spec"]["containers"]
    container = next((each for each in containers if each.get("name") == "worker"), containers[0])
    if image is not None:
        container["image"] = image
    if resources is not None:
        container["resources"] = checked_resources(resources)
    if env is not None:
        container["env"] = env_list(env)
    if worker_command is not None:
        container.pop("command", None)
        container["args"] = worker_args(worker_command)
    if node_selector is not None:
        section["spec"]["nodeSelector"] = dict(node_selector)
    if tolerations is not None:
        section["spec"]["tolerations"] = copy.deepcopy(list(tolerations))
    return {"replicas": checked_count("n_workers", n_workers), **section}


def _owner(cluster: Mapping[str, Any]) -> JSON:
    metadata = cluster["metadata"]
    owner = {"apiVersion": resources.API_VERSION, "kind": resources.DASK_CLUSTERS.kind, "controller": True}
    return {**owner, "name": metadata["name"], "uid": metadata["uid"]}
