"""`dask kubernetes` as people type it, against a Kubernetes with a controller."""

import json
import re

import pytest

from dask_k8s_client import make_cluster_spec

from .commands import call


def client_of_a_job(name, cluster):
    """The client of a job remains for its logs when its cluster is deleted; this one never starts."""
    labels = {"dask.org/cluster-name": cluster, "dask.org/component": "job-runner"}
    container = {"name": "job", "image": "ghcr.io/dask/dask:latest", "args": ["true"]}
    spec = {"containers": [container], "nodeSelector": {"disktype": "none-has-it"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


@pytest.mark.core
def test_life_of_a_cluster(dask, kube, quick_spec):
    spec = quick_spec(make_cluster_spec("lives", n_workers=1))
    said = dask("create", "-f", "-", "--wait", input=json.dumps(spec))
    assert said == (
        "daskcluster.kubernetes.dask.org/lives created\ndaskcluster.kubernetes.dask.org/lives is ready\n"
    )
    assert "there is a DaskCluster lives" in dask("create", "lives", fails=1)

    assert dask("scale", "lives", "2") == "daskcluster.kubernetes.dask.org/lives scaled to 2\n"
    kube.wait("daskcluster/lives", "jsonpath={.status.workers}=2/2")
    assert re.search(r"^lives +\S+ +Running +2/2 +\d+[sm]$", dask("list"), re.MULTILINE)

    assert "adapts: 2 to 3 workers" in dask("adapt", "lives", "--minimum", "2", "--maximum", "3")
    assert kube.get("daskautoscaler/lives")["spec"]["maximum"] == 3
    text = dask("describe", "lives")
    for pattern in (
        r"Phase +Running",
        r"Workers +2/2 ready",
        r"Scheduler +tcp://lives-scheduler\.",
        r"SchedulerReady +True",
        r"Scaled by lives, 2 to 3 workers",
        r"lives-default +2/2",
        r"lives-scheduler +scheduler +0 .* Ready",
        r"lives-default-worker-\w+ +worker +0 .* Ready",
    ):
        assert re.search(pattern, text), text

    kube.apply(client_of_a_job("of-lives", "lives"))
    assert dask("delete", "lives", "--wait") == "daskcluster.kubernetes.dask.org/lives deleted\n"
    assert kube.names("pods", "dask.org/cluster-name=lives") == {"of-lives"}
    kube.delete("pod/of-lives")


@pytest.mark.parametrize(
    "args",
    [
        pytest.param(
            ("cluster", "dry", "-e", "A=yes", "--resources", '{"limits": {"memory": "1Gi"}}'), id="cluster"
        ),
        pytest.param(("autoscaler", "dry", "--maximum", "3"), id="autoscaler"),
        pytest.param(("job", "dry", "--", "python", "-c", "print('a: b')"), id="job"),
    ],
)
def test_what_gen_prints_is_accepted(kube, args):
    printed = call("gen", *args)
    assert "dry created (server dry run)" in kube("apply", "--dry-run=server", "-f", "-", input=printed)


def test_a_cluster_that_does_not_start(dask, kube):
    """The message contains the reason and what to do next."""
    said = dask("create", "imageless", "--image", "registry.invalid/dask/nope:1", "--wait", fails=1)
    assert re.search(r"registry\.invalid/dask/nope:1", said)
    assert "`dask kubernetes delete imageless" in said
    kube.wait("daskcluster/imageless", "condition=Degraded")
    assert re.search(r"Pending \(\w*Image\w*\)", dask("get", "imageless"))
    kube.delete("daskcluster/imageless")


def test_a_rollout(dask, kube, quick_spec):
    """It is reported while it goes on and when it is stuck; the additional worker counts."""
    kube.apply(quick_spec(make_cluster_spec("rolls", n_workers=2)))
    kube.wait("daskcluster/rolls", "condition=Ready")
    nowhere = {"spec": {"worker": {"spec": {"nodeSelector": {"disktype": "none-has-it"}}}}}
    kube.patch("daskcluster/rolls", nowhere)
    kube.wait("daskcluster/rolls", "jsonpath={.status.updatedReplicas}=1")
    assert "Waiting for rollout: 1 of 3 workers are updated" in dask("get", "rolls")
    kube.delete("daskcluster/rolls")


def test_clusters_of_all_namespaces(dask, here, standing):
    found = json.loads(dask("list", "-A", "-o", "json"))["items"]
    assert (here, standing) in {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in found}


@pytest.mark.parametrize(
    "args, message",
    [
        pytest.param(("get", "standin"), "Did you mean standing?", id="cluster"),
        pytest.param(
            ("scale", "standing", "1", "--group", "x"), "no worker group 'x', but: default", id="group"
        ),
    ],
)
def test_what_is_not_there(dask, standing, args, message):
    assert message in dask(*args, fails=1)


@pytest.mark.core
def test_logs(dask, standing):
    everybody = dask("logs", standing)
    assert re.search(rf"^{standing}-scheduler .*Scheduler at", everybody, re.MULTILINE)
    assert re.search(rf"^{standing}-default-worker-\w+ .*Registered to", everybody, re.MULTILINE)
    workers = dask("logs", standing, "--group", "default", "--tail", "1")
    assert re.fullmatch(rf"{standing}-default-worker-\w+ .*\n", workers)
