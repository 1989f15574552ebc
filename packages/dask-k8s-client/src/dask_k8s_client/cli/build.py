"""Resources from the command line's words, the same whether they are printed or created. No requests."""

from collections.abc import Mapping, Sequence
from typing import Any

import click
from click.core import ParameterSource

from dask_k8s_client.aliases import JSON
from dask_k8s_client.durations import whole_seconds
from dask_k8s_client.options import Options
from dask_k8s_client.parts.autoscaling import wish
from dask_k8s_client.refusals import admit
from dask_k8s_client.specs.additions import make_loose_autoscaler
from dask_k8s_client.specs.job import make_job_spec
from dask_k8s_crds import DaskJob


def cluster(name: str, namespace: str | None, words: Mapping[str, Any]) -> Options:
    """A cluster as KubeCluster would create it, but for the number of workers that is not said."""
    given = _given(words) | {"name": name, "namespace": namespace, "create_mode": "CREATE_ONLY"}
    return Options.of(given)


def cluster_from(manifest: Mapping[str, Any], namespace: str | None) -> Options:
    """A cluster that somebody wrote down."""
    return Options.of({"custom_cluster_spec": manifest, "namespace": namespace, "create_mode": "CREATE_ONLY"})


def job(name: str, command: Sequence[str], words: Mapping[str, Any]) -> JSON:
    """A job whose command runs once, and again only as often as was said."""
    given = _given(words)
    retries, ttl, own = given.pop("retries"), given.pop("ttl", None), given.pop("cluster", None)
    if own is not None:
        given.pop("n_workers")
        if said := [each for each in ("n_workers", "resources", "worker_command") if is_said(each)]:
            raise click.UsageError(
                f"--cluster runs the job on a cluster that is there; {options(said)} is for one of its own"
            )
    if ttl is not None:
        given["ttlSecondsAfterFinished"] = whole_seconds("ttl", ttl)
    manifest = make_job_spec(name, command, cluster_name=own, backoffLimit=retries, **given)
    # A pod for each try, so that what a failed one has printed is still there.
    manifest["spec"]["job"]["spec"]["restartPolicy"] = "Never"
    admit(DaskJob, manifest)
    return manifest


def autoscaler(cluster: str, minimum: int, maximum: int | None) -> JSON:
    """An autoscaler for a cluster, which need not be there yet."""
    return make_loose_autoscaler(cluster, wish(cluster, minimum=minimum, maximum=maximum))


def is_said(parameter: str) -> bool:
    """It stands on the command line, and is not a default."""
    source = click.get_current_context().get_parameter_source(parameter)
    return source not in (ParameterSource.DEFAULT, None)


def options(parameters: Sequence[str]) -> str:
    """As they stand on the command line."""
    return ", ".join(f"--{each.replace('_', '-')}" for each in parameters)


def _given(words: Mapping[str, Any]) -> dict[str, Any]:
    given = {key: value for key, value in words.items() if value is not None and value is not False}
    env = dict(given.pop("env", ()))
    return given | ({"env": env} if env else {})
