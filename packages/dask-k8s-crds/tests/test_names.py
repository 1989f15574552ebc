import pytest

from dask_k8s_crds import labels, names


@pytest.mark.parametrize(
    "name, expected",
    [
        pytest.param(names.scheduler("c"), "c-scheduler", id="scheduler"),
        pytest.param(names.agent("c", token="t", file="f"), "c-agent-e3b98a4da3-252f10c836", id="agent"),
        pytest.param(names.default_group("c"), "c-default", id="default-group"),
        pytest.param(names.worker_group("c", "gpu"), "c-gpu", id="worker-group"),
        pytest.param(names.worker("c-gpu", "uid", 0), "c-gpu-worker-662917a6d2", id="worker"),
        pytest.param(names.runner("j"), "j-runner", id="runner"),
        pytest.param(names.scheduler_successor("c", "uid"), "c-scheduler-17b78", id="successor"),
        pytest.param(names.scheduler_host("c", "ns"), "c-scheduler.ns.svc.cluster.local", id="host"),
        pytest.param(names.scheduler_host("c", "ns", "k8s.corp"), "c-scheduler.ns.svc.k8s.corp", id="domain"),
        pytest.param(
            names.scheduler_address("c", "ns"), "tcp://c-scheduler.ns.svc.cluster.local:8786", id="address"
        ),
        pytest.param(
            names.dashboard_address("c", "ns"), "http://c-scheduler.ns.svc.cluster.local:8787", id="dashboard"
        ),
    ],
)
def test_names(name, expected):
    assert name == expected


def test_workers_of_a_group_have_names_of_their_own():
    assert len({names.worker("g", uid, ordinal) for uid in ("u", "v") for ordinal in range(1000)}) == 2000


def test_children_of_the_longest_cluster_fit():
    cluster = "c" * names.CLUSTER_NAME_MAX
    assert names.is_cluster_name(cluster)
    assert len(names.scheduler(cluster)) == 63
    assert len(names.default_group(cluster)) <= names.WORKER_GROUP_NAME_MAX
    assert names.is_object_name(names.agent(cluster, token="t", file="f"))


def test_an_agent_is_named_after_its_content():
    """And what two names have in common is the token, not the file."""
    named = {names.agent("c", token=token, file=file) for token in "tu" for file in "fg"}
    assert len(named) == 4
    assert {name.startswith(names.agent_with_token("c", "t")) for name in named} == {True, False}
    assert sum(name.startswith(names.agent_with_token("c", "t")) for name in named) == 2


@pytest.mark.parametrize("name", ["", "a.b", "A", "1a", "a-", "a\n", "c" * 54])
def test_what_is_no_name_of_a_cluster(name):
    assert not names.is_cluster_name(name)


def test_labels():
    assert labels.selector(labels.worker("c", "c-gpu")) == (
        "dask.org/cluster-name=c,dask.org/workergroup-name=c-gpu,dask.org/component=worker"
    )
    assert labels.scheduler("c") == {"dask.org/cluster-name": "c", "dask.org/component": "scheduler"}
    assert labels.agent("c") == {"dask.org/cluster-name": "c", "dask.org/component": "agent"}
    assert labels.autoscaler("c") == {"dask.org/cluster-name": "c", "dask.org/component": "autoscaler"}
    assert labels.job_runner("c") == {"dask.org/cluster-name": "c", "dask.org/component": "job-runner"}
    assert labels.worker_group("c") == {"dask.org/cluster-name": "c", "dask.org/component": "workergroup"}


def test_inherited_annotations_leave_out_those_of_kopf_and_kubectl():
    kept = {"dask.org/a": "1", "example.org/kubectl.kubernetes.io": "2"}
    others = {
        "kopf.zalando.org/last-handled-configuration": "x",
        "kubectl.kubernetes.io/last-applied-configuration": "y",
    }
    assert labels.inherited(kept | others) == kept
