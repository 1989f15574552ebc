"""What is made for a job: whole manifests."""

import pytest

from dask_k8s_crds import DaskJob
from dask_k8s_job.desired import UNLIMITED_RETRIES, backoff_limit, cluster, runner

from .builders import ADDRESS, job

OWN_ADDRESS = [{"name": "c", "image": "dask", "env": [{"name": "DASK_SCHEDULER_ADDRESS", "value": "mine"}]}]
LABELLED = {
    "labels": {"a": "job", "b": "job", "dask.org/component": "mine"},
    "annotations": {"c": "job", "kubectl.kubernetes.io/last-applied-configuration": "x"},
}
CHILDREN = {
    "minimal": {},
    "named": {"clusterName": "another"},
    "limited": {
        "backoffLimit": 2,
        "activeDeadlineSeconds": 60,
        "template": {"restartPolicy": "Never", "containers": OWN_ADDRESS, "enableServiceLinks": True},
        "podFailurePolicy": {
            "rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1]}}]
        },
    },
    "labelled": {"metadata_": LABELLED},
}


@pytest.mark.parametrize("fields", CHILDREN.values(), ids=CHILDREN)
def test_children(golden, fields, request):
    body = job(**fields)
    if "metadata_" in fields:
        body["spec"]["job"]["metadata"] = {"labels": {"b": "runner"}, "annotations": {"d": "runner"}}
        body["spec"]["cluster"]["metadata"] = {"labels": {"b": "cluster"}, "annotations": {"e": "cluster"}}
    model = DaskJob.parse(body)
    name = request.node.callspec.id
    golden(f"children-{name}", {"cluster": cluster(model), "runner": runner(model, ADDRESS)})


@pytest.mark.parametrize(
    "policy, limit, expected",
    [
        pytest.param("OnFailure", None, UNLIMITED_RETRIES, id="restarted-until-it-succeeds"),
        pytest.param("Never", None, 0, id="the-first-failure-counts"),
        pytest.param("OnFailure", 0, 0, id="on-failure-and-a-limit"),
        pytest.param("Never", 3, 3, id="never-and-a-limit"),
    ],
)
def test_how_many_failures_are_forgiven(policy, limit, expected):
    body = job(template={"restartPolicy": policy}, **({} if limit is None else {"backoffLimit": limit}))
    assert backoff_limit(DaskJob.parse(body)) == expected


def test_labels_of_a_queue_do_not_pass_to_children():
    queue = {"labels": {"kueue.x-k8s.io/queue-name": "team-a", "team": "a"}}
    body = job(metadata_=queue)
    body["spec"]["job"]["metadata"] = queue
    model = DaskJob.parse(body)
    made = runner(model, ADDRESS)
    for metadata in (made["metadata"], made["spec"]["template"]["metadata"], cluster(model)["metadata"]):
        assert metadata["labels"]["team"] == "a"
        assert "kueue.x-k8s.io/queue-name" not in metadata["labels"]


def test_the_template_is_not_changed():
    body = job()
    model = DaskJob.parse(body)
    cluster(model)
    runner(model, ADDRESS)
    assert "env" not in model.spec.job.spec["containers"][0]
    assert model.spec.cluster.spec.worker.replicas == 3
