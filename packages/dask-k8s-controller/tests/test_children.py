"""What the children of a cluster and of a group look like, whole, beside what users wrote."""

import copy
from dataclasses import asdict

import pytest

from dask_k8s_controller.dask.cluster.desired import agent_secret, children
from dask_k8s_controller.dask.scheduler import agent_delivery
from dask_k8s_controller.dask.workergroup.desired import Desired, worker_names
from dask_k8s_crds import DaskCluster, DaskWorkerGroup

from .builders import cluster, group

KEEP = {"kubernetes.dask.org/legacy-commands": "keep"}
RESERVED = {"dask.org/cluster-name": "other", "dask.org/component": "x", "dask.org/workergroup-name": "y"}


def announced(image="ghcr.io/dask/dask:latest", **metadata):
    """The cluster of the announcement: removed commands in `args`, `resources: null`, `worker.cluster`."""
    body = cluster("my-cluster", **metadata)
    ports = [
        {"name": "tcp-comm", "port": 8786, "protocol": "TCP", "targetPort": "tcp-comm"},
        {"name": "http-dashboard", "port": 8787, "protocol": "TCP", "targetPort": "http-dashboard"},
    ]
    selector = {"dask.org/cluster-name": "my-cluster", "dask.org/component": "scheduler"}
    scheduler = {
        "name": "scheduler",
        "image": image,
        "args": ["dask-scheduler", "--host", "0.0.0.0"],
        "env": [{"name": "FOO", "value": "bar"}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": "http-dashboard"}},
        "resources": None,
    }
    worker = {
        "name": "worker",
        "image": image,
        "args": ["dask-worker", "--name", "$(DASK_WORKER_NAME)"],
        "env": [{"name": "FOO", "value": "bar"}],
        "resources": None,
    }
    body["spec"] = {
        "scheduler": {
            "service": {"ports": ports, "selector": selector, "type": "ClusterIP"},
            "spec": {"containers": [scheduler]},
        },
        "worker": {"cluster": "my-cluster", "replicas": 3, "spec": {"containers": [worker]}},
    }
    return body


def labelled():
    """Labels and annotations on every level, reserved ones and those of other tools among them."""
    body = cluster(
        labels={"team": "weather", "level": "cluster", "sidecar.istio.io/inject": "true"} | RESERVED,
        annotations={
            "note": "cluster",
            "kopf.zalando.org/last-handled-configuration": "{}",
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
        },
    )
    spec = body["spec"]
    spec["scheduler"]["metadata"] = {
        "labels": {"level": "scheduler"} | RESERVED,
        "annotations": {"note": "scheduler", "prometheus.io/port": "8787"},
    }
    spec["scheduler"]["service"] = {
        "type": "LoadBalancer",
        "selector": {"my": "selector"},
        "ports": [{"name": "tcp-comm", "port": 9000}, {"name": "http-dashboard", "port": 9001}],
    }
    spec["worker"]["metadata"] = {
        "labels": {"level": "worker"} | RESERVED,
        "annotations": {"note": "worker"},
    }
    return body


def group_of(body, **more):
    """The default group of a cluster, as the API server has it."""
    made = children(DaskCluster.parse(body), token="token").default_group
    return {**made, "metadata": {**made["metadata"], "uid": "uid-of-group", "generation": 1, **more}}


CLUSTERS = {
    "minimal": cluster(replicas=None),
    "announced": announced(),
    "announced-keep": announced(annotations=KEEP),
    "labelled": labelled(),
}


@pytest.mark.parametrize("name", CLUSTERS)
def test_children_of_a_cluster(name, golden):
    body = CLUSTERS[name]
    before = copy.deepcopy(body)
    parsed = DaskCluster.parse(body)
    made = asdict(children(parsed, token="token"))
    agent = agent_secret(parsed, "token")
    assert agent.pop("data") == agent_delivery.data("token")
    # The name depends on the file of the agent.
    *_, volume = made["scheduler"]["spec"]["volumes"]
    assert volume["secret"]["secretName"] == agent["metadata"]["name"]
    volume["secret"]["secretName"] = agent["metadata"]["name"] = "AGENT"
    golden(f"children-{name}", {"agent": agent, **made})
    assert body == before


@pytest.mark.parametrize("name", CLUSTERS)
def test_workers_of_its_default_group(name, golden):
    body = group_of(CLUSTERS[name])
    before = copy.deepcopy(body)
    parsed = DaskWorkerGroup.parse(body)
    desired = Desired(parsed, DaskCluster.parse(CLUSTERS[name]), "example.org")
    golden(f"workers-{name}", list(desired.pods(worker_names(parsed, 2, ()))))
    assert body == before


def test_a_successor_differs_from_the_usual_scheduler_in_its_name_only():
    parsed = DaskCluster.parse(cluster())
    usual = children(parsed, token="token").scheduler
    other = children(parsed, token="token", scheduler_name="c-scheduler-0abcd").scheduler
    assert other["metadata"].pop("name") == "c-scheduler-0abcd"
    assert usual["metadata"].pop("name") == "c-scheduler"
    assert other == usual


def test_children_share_nothing_with_the_cluster():
    body = cluster()
    made = children(DaskCluster.parse(body), token="token")
    for pod_spec in (made.scheduler["spec"], made.default_group["spec"]["worker"]["spec"]):
        pod_spec["containers"].clear()
    made.service["spec"]["ports"].clear()
    assert body["spec"] == cluster()["spec"]


def test_worker_names_follow_from_the_group_alone():
    parsed = DaskWorkerGroup.parse(group())
    first = worker_names(parsed, 5, ())
    assert first == worker_names(parsed, 5, ())
    assert len(set(first)) == 5
    assert all(name.startswith("c-default-worker-") for name in first)


def test_worker_names_differ_between_groups_of_the_same_name():
    earlier, later = (DaskWorkerGroup.parse(group(uid=uid)) for uid in ("uid-1", "uid-2"))
    assert not set(worker_names(earlier, 5, ())) & set(worker_names(later, 5, ()))


def test_taken_worker_names_are_passed_over():
    parsed = DaskWorkerGroup.parse(group())
    first = worker_names(parsed, 5, ())
    assert worker_names(parsed, 2, {first[0], first[2]}) == [first[1], first[3]]


def test_doubted_worker_names_are_tried_first():
    parsed = DaskWorkerGroup.parse(group())
    first = worker_names(parsed, 5, ())
    assert worker_names(parsed, 3, {first[3]}, doubted=[first[3], first[2]]) == [first[2], first[0], first[1]]
