"""Jobs built from arguments."""

import pytest

from dask_k8s_client import ValidationError, make_cluster_spec, make_job_spec, run_job
from dask_k8s_client.exceptions import admit
from dask_k8s_crds import DaskJob


def test_on_a_cluster_of_its_own():
    job = make_job_spec(
        "foo", "python -c 'a b'", image="mine", n_workers=2, env={"A": 1}, resources={"limits": {"cpu": 1}}
    )
    admit(DaskJob, job)
    assert job["kind"] == "DaskJob"
    assert job["metadata"] == {"name": "foo"}
    assert job["spec"]["job"]["spec"]["containers"] == [
        {
            "name": "job",
            "image": "mine",
            "args": ["python", "-c", "a b"],
            "env": [{"name": "A", "value": "1"}],
        }
    ]
    cluster = make_cluster_spec("foo", "mine", 2, {"limits": {"cpu": 1}}, {"A": 1})
    assert job["spec"]["cluster"] == {"spec": cluster["spec"]}


def test_where_its_cluster_may_run():
    """As for a cluster."""
    placed = {
        "scheduler_resources": {"limits": {"memory": "1Gi"}},
        "scheduler_node_selector": {"pool": "steady"},
        "scheduler_tolerations": [{"key": "steady", "operator": "Exists"}],
        "worker_node_selector": {"pool": "spot"},
        "worker_tolerations": [{"key": "spot", "operator": "Exists"}],
        "run_as_user": 1000,
    }
    job = make_job_spec("foo", "work", **placed)
    admit(DaskJob, job)
    assert job["spec"]["job"]["spec"]["securityContext"]["runAsUser"] == 1000
    assert job["spec"]["cluster"] == {"spec": make_cluster_spec("foo", **placed)["spec"]}


def test_resources_of_the_runner():
    resources = {"limits": {"memory": "1Gi"}}
    job = make_job_spec("foo", "work", runner_resources=resources)
    admit(DaskJob, job)
    assert job["spec"]["job"]["spec"]["containers"][0]["resources"] == resources
    assert job["spec"]["cluster"] == make_job_spec("foo", "work")["spec"]["cluster"]
    with pytest.raises(ValueError, match="runner_resources: unknown key 'limit'"):
        make_job_spec("foo", "work", runner_resources={"limit": {}})


COMMON = {
    "service_account_name": "reader",
    "image_pull_secrets": "registry",
    "priority_class_name": "high",
    "volumes": [{"name": "cache", "emptyDir": {}}],
    "volume_mounts": [{"name": "cache", "mountPath": "/cache"}],
}


def test_what_all_pods_have_in_common():
    job = make_job_spec("foo", "work", labels={"team": "a"}, annotations={"note": "b"}, **COMMON)
    admit(DaskJob, job)
    assert job["metadata"] == {"name": "foo", "labels": {"team": "a"}, "annotations": {"note": "b"}}
    cluster = job["spec"]["cluster"]["spec"]
    for spec in (job["spec"]["job"]["spec"], cluster["scheduler"]["spec"], cluster["worker"]["spec"]):
        assert spec["serviceAccountName"] == "reader"
        assert spec["imagePullSecrets"] == [{"name": "registry"}]
        assert spec["priorityClassName"] == "high"
        assert spec["volumes"] == COMMON["volumes"]
        assert spec["containers"][0]["volumeMounts"] == COMMON["volume_mounts"]
    with pytest.raises(TypeError, match="image_pull_secrets: must be names of Secrets"):
        make_job_spec("foo", "work", image_pull_secrets=[{"name": "registry"}])


def test_on_a_cluster_that_is_there():
    job = make_job_spec("foo", ["work"], cluster_name="bar", backoffLimit=3)
    admit(DaskJob, job)
    assert job["spec"].keys() == {"job", "clusterName", "backoffLimit"}
    assert "env" not in job["spec"]["job"]["spec"]["containers"][0]


@pytest.mark.parametrize("command", ["", [], [1]], ids=["empty", "no-arguments", "a-number"])
def test_a_command_is_needed(command):
    with pytest.raises(ValueError, match="command: a command is needed"):
        make_job_spec("foo", command)


NAMED = make_job_spec("foo", "work")


@pytest.mark.parametrize(
    "job, arguments, message",
    [
        pytest.param(NAMED | {"metadata": {}}, {}, "job: metadata.name: Required value", id="no-name"),
        pytest.param(make_cluster_spec("foo"), {}, "kind", id="a-cluster"),
        pytest.param(make_job_spec("foo", "work", backofLimit=3), {}, "backofLimit", id="misspelt"),
        pytest.param("/nowhere/x.yaml", {}, "job: cannot read /nowhere/x.yaml", id="no-file"),
        pytest.param(
            NAMED | {"metadata": {"name": "foo", "namespace": "a"}},
            {"namespace": "b"},
            "'a'",
            id="two-places",
        ),
        pytest.param(NAMED, {"timeout": "soon"}, "timeout: must be a duration", id="no-duration"),
    ],
)
def test_refused_before_kubernetes_is_asked(job, arguments, message):
    with pytest.raises(ValueError, match=message):
        run_job(job, **arguments)


def test_what_is_refused_is_a_validation_error():
    with pytest.raises(ValidationError):
        admit(DaskJob, make_job_spec("Foo", "work"))
