"""The fields of DaskJob."""

from typing import Literal, get_args

from pydantic import ConfigDict, Field, StrictBool

from dask_k8s_crds import names
from dask_k8s_crds.cluster import DaskClusterSpec
from dask_k8s_crds.conditions import Conditions
from dask_k8s_crds.custom_resource import Column, CustomResource
from dask_k8s_crds.model import Closed, Count, Positive, Status, Time
from dask_k8s_crds.resources import DASK_JOBS
from dask_k8s_crds.templates import PodFailurePolicy, RunnerSpec, TemplateMetadata
from dask_k8s_crds.validation_rules import (
    CLUSTER_NAME,
    FAILURE_POLICY,
    FIXED_CLUSTER,
    FIXED_CLUSTER_NAME,
    FIXED_FAILURE_POLICY,
    FIXED_RUNNER,
    ONE_CLUSTER,
    schema,
)

JobPhase = Literal["JobCreated", "ClusterCreated", "Running", "Successful", "Failed", "Suspended"]


class RunnerTemplate(Closed):
    """What the pod of the client, the runner, is made from."""

    metadata: TemplateMetadata = Field(
        default=TemplateMetadata(), description="Labels and annotations for the runner's pods."
    )
    spec: RunnerSpec = Field(description="As in a Pod; restartPolicy is OnFailure unless it says Never.")


class JobCluster(Closed):
    """A cluster that is made for the job."""

    metadata: TemplateMetadata = Field(
        default=TemplateMetadata(), description="Labels and annotations for the cluster."
    )
    spec: DaskClusterSpec = Field(description="As in a DaskCluster.")


class DaskJobSpec(Closed):
    """What a user asks of a job."""

    model_config = ConfigDict(
        json_schema_extra=schema(ONE_CLUSTER, FAILURE_POLICY, FIXED_CLUSTER, FIXED_CLUSTER_NAME)
    )

    job: RunnerTemplate = Field(description="The pod of the client, which runs to completion.")
    cluster: JobCluster | None = Field(
        default=None, description="A cluster for the length of the job. Either this or clusterName."
    )
    cluster_name: str | None = Field(
        default=None,
        max_length=names.CLUSTER_NAME_MAX,
        description="Name of a DaskCluster to run on, which is left alone afterwards; cannot be changed.",
    )
    backoff_limit: Count | None = Field(
        default=None,
        description=(
            "How many failures are forgiven, as in a Job. Without it, a runner with restartPolicy OnFailure "
            "is restarted until it exits with 0, and the first failure of one with Never fails the job."
        ),
    )
    active_deadline_seconds: Positive | None = Field(
        default=None,
        description=(
            "How long the runner may take, as in a Job. A cluster that does not start within the same time, "
            "or within 10 minutes where those are fewer, fails the job too."
        ),
    )
    ttl_seconds_after_finished: Count | None = Field(
        default=None, description="So many seconds after its end the DaskJob is deleted, and all of its own."
    )
    pod_failure_policy: PodFailurePolicy | None = Field(
        default=None,
        description="Which failures count, and which end the job, as in a Job; for restartPolicy Never.",
    )
    suspend: StrictBool = Field(
        default=False,
        description="true: neither runner nor cluster has pods; they start again when it is false.",
    )
    cluster_cleanup: Literal["Always", "OnSuccess", "Never"] = Field(
        default="Always",
        description="After which end its cluster is deleted; one that stays goes with the DaskJob.",
    )


class DaskJobStatus(Status):
    """What the controller says of a job."""

    job_status: str | None = Field(
        default=None, description=f"{', '.join(get_args(JobPhase))}; later versions may have others."
    )
    cluster_name: str | None = Field(default=None, description="The cluster that the job runs on.")
    job_runner_pod_name: str | None = Field(default=None, description="The newest pod of the runner.")
    start_time: Time | None = Field(default=None, description="When the runner was started.")
    end_time: Time | None = Field(default=None, description="When the job succeeded or failed.")
    failures: int | None = Field(default=None, description="Pods of the runner that have failed.")
    runner_uid: str | None = Field(
        default=None,
        description=(
            "The uid of the only Job that may run the client, recorded before it starts. Once set, it stays."
        ),
    )
    cluster_uid: str | None = Field(
        default=None,
        description=(
            "The uid of the job's own cluster, recorded before the runner starts on it; absent while the job "
            "is suspended."
        ),
    )
    observed_generation: int | None = None
    conditions: Conditions = ()


class DaskJob(CustomResource):
    """A client that runs to completion on a Dask cluster, which may be made for it."""

    resource = DASK_JOBS
    status_type = DaskJobStatus
    rules = (CLUSTER_NAME, FIXED_RUNNER, FIXED_FAILURE_POLICY)
    columns = (
        Column("Status", ".status.jobStatus"),
        Column("Number Of Workers", ".spec.cluster.spec.worker.replicas", "integer"),
    )

    spec: DaskJobSpec
