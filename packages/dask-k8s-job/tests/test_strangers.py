"""Objects in another namespace, or of another kind, that claim to belong to a job do not."""

import asyncio

import pytest

from dask_k8s_controller import Key
from dask_k8s_crds.resources import DASK_JOBS, JOBS, PODS
from dask_k8s_job.plugin import jobs_for_pod
from dask_k8s_job.reconcile import reconcile

from .builders import KEY, OF_JOB, OF_RUNNER, cluster, job, pod, runner, world


def moved(body, **changes):
    """An object in another namespace, or with another owner."""
    return body | {"metadata": body["metadata"] | changes}


def owner(reference, **changes):
    return {"ownerReferences": [{**reference, "controller": True, **changes}]}


CLAIMS = [
    pytest.param({"namespace": "elsewhere"}, id="in another namespace"),
    pytest.param(owner(OF_JOB, kind="DaskCluster"), id="owned by another kind"),
    pytest.param(owner(OF_JOB, apiVersion="example.org/v1"), id="owned by another group"),
    pytest.param(owner(OF_JOB, uid="another"), id="owned by another job of the name"),
]


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_runner_that_claims_the_job_does_not_end_it(claim):
    own = job(status={"jobStatus": "Running"})
    claims = moved(runner(("Complete", "CompletionsReached")), uid="stranger", **claim)
    there = world(own, clusters=[cluster()], runners=[claims])
    asyncio.run(reconcile(KEY, there))
    assert there.statuses[-1].get("jobStatus") not in {"Successful", "Failed"}
    assert not [write for write in there.writes if write.startswith("delete") or "elsewhere" in write]


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_cluster_that_claims_the_job_is_not_used(claim):
    there = world(job(status={"jobStatus": "JobCreated"}), clusters=[moved(cluster(), **claim)])
    asyncio.run(reconcile(KEY, there))
    assert not [write for write in there.writes if write.startswith("create Job ")]


@pytest.mark.parametrize(
    "claim, keys",
    [
        pytest.param({}, [Key(DASK_JOBS, "ns", "demo")], id="its own"),
        pytest.param({"namespace": "elsewhere"}, [], id="in another namespace"),
        pytest.param(
            owner(OF_RUNNER, kind="ReplicaSet", apiVersion="apps/v1"), [], id="owned by another kind"
        ),
        pytest.param(owner(OF_RUNNER, uid="another"), [], id="owned by another runner of the name"),
    ],
)
def test_a_pod_triggers_the_job_of_its_own_runner(claim, keys):
    body = moved(pod(), **claim)
    there = world(job(), runners=[runner()], pods=[body])
    metadata = body["metadata"]
    record = there.get(Key(PODS, metadata["namespace"], metadata["name"]))
    assert jobs_for_pod(record, there) == keys
    assert there.get(Key(JOBS, "ns", "demo-runner")) is not None
