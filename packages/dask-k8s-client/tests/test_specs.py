"""Builders: manifests compared with golden/, and refused arguments."""

import copy
import inspect
import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from dask_k8s_client import make_cluster_spec, make_scheduler_spec, make_worker_spec
from dask_k8s_client.arguments import ClusterSpecArguments
from dask_k8s_client.specs.manifests import make_autoscaler, make_group
from dask_k8s_client.specs.pods import change_worker
from dask_k8s_crds import manifests

GOLDEN = Path(__file__).parent / "golden"
# GOLDEN=update writes the files again; then `git diff` is the test.
UPDATE = os.environ.get("GOLDEN") == "update"

OWNER = {"metadata": {"name": "foo", "uid": "00000000-0000-0000-0000-000000000001"}}
CUSTOM = {
    "metadata": {"labels": {"team": "blue"}},
    "replicas": 5,
    "daskResources": {"GPU": 1},
    "spec": {
        "imagePullSecrets": [{"name": "registry"}],
        "containers": [
            {"name": "sidecar", "image": "logs"},
            {"name": "worker", "image": "mine:1", "command": ["run"], "args": ["dask", "worker"]},
        ],
    },
}
MANIFESTS = {
    "announcement": make_cluster_spec("my-cluster", n_workers=3, env={"FOO": "bar"}),
    "minimal": make_cluster_spec("foo"),
    "everything": make_cluster_spec(
        "foo",
        image="example.org/dask:1",
        n_workers=2,
        resources={"requests": {"memory": "2Gi"}, "limits": {"memory": "2Gi", "nvidia.com/gpu": 1}},
        env=[{"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        worker_command=["python", "-m", "distributed.cli.dask_worker"],
        scheduler_service_type="NodePort",
        jupyter=True,
        idle_timeout="1.5 hours",
        scheduler_resources={"requests": {"cpu": "500m"}},
        scheduler_node_selector={"pool": "steady"},
        scheduler_tolerations=[{"key": "steady", "operator": "Exists"}],
        worker_node_selector={"pool": "gpu"},
        worker_tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    ),
    "restricted": make_cluster_spec("foo", run_as_user=1000),
    "group": make_group(OWNER, "highmem", make_worker_spec(resources={"limits": {"memory": "64Gi"}})),
    "group-like-custom": make_group(OWNER, "like", change_worker(CUSTOM, n_workers=2)),
    "group-unlike-custom": make_group(
        OWNER,
        "unlike",
        change_worker(
            CUSTOM,
            n_workers=2,
            image="mine:2",
            resources={"limits": {"cpu": "1"}},
            env={"A": 1},
            worker_command="dask cuda worker --rmm-pool-size 'a b'",
            node_selector={"pool": "gpu"},
            tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists"}],
        ),
    ),
    "autoscaler": make_autoscaler(OWNER, {"minimum": 1, "maximum": 100}),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifest(name):
    path = GOLDEN / f"{name}.yaml"
    if UPDATE:
        path.write_text(yaml.safe_dump(MANIFESTS[name], sort_keys=False), encoding="utf-8")
    assert MANIFESTS[name] == yaml.safe_load(path.read_text(encoding="utf-8"))


def test_arguments_are_those_of_a_cluster():
    """KubeCluster fills in the same arguments from the configuration."""
    _, *parameters = inspect.signature(make_cluster_spec).parameters
    assert {*parameters} == {*ClusterSpecArguments.__annotations__}


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifest_is_admitted(name):
    models = {model.resource.kind: model for model in manifests.MODELS}
    assert models[MANIFESTS[name]["kind"]].problems(MANIFESTS[name]) == []


@pytest.mark.parametrize("name", MANIFESTS)
def test_no_two_parts_are_one_object(name):
    """So changing one does not change another, and YAML needs no aliases."""
    assert "&id" not in yaml.safe_dump(MANIFESTS[name])


def test_announcement_differs_from_ours_only_in_what_changed_since():
    """Compare with the announcement's YAML, apart from commands, dashboards, probes and the idle timeout."""
    ours = copy.deepcopy(MANIFESTS["announcement"])
    assert ours["spec"].pop("idleTimeout") == 0  # which has no effect
    theirs = yaml.safe_load(
        (Path(__file__).parent / "data" / "announcement.yaml").read_text(encoding="utf-8")
    )
    for part in ("scheduler", "worker"):
        container = theirs["spec"][part]["spec"]["containers"][0]
        first, *rest = container["args"]
        container["args"] = [*first.split("-"), *rest]
    scheduler = theirs["spec"]["scheduler"]["spec"]["containers"][0]
    assert scheduler["args"][2:] == ["--host", "0.0.0.0"]  # only IPv4
    del scheduler["args"][2:]
    probe = scheduler["readinessProbe"]
    assert probe.pop("initialDelaySeconds") == 5
    scheduler["startupProbe"] = probe | {"periodSeconds": 1, "failureThreshold": 300}
    worker = theirs["spec"]["worker"]
    assert worker.pop("cluster") == "my-cluster"
    worker["spec"]["containers"][0]["args"] += ["--dashboard", "--dashboard-address", "8788"]
    worker["spec"]["containers"][0]["ports"] = [
        {"name": "http-dashboard", "containerPort": 8788, "protocol": "TCP"}
    ]
    assert ours == theirs


def test_keys_that_code_for_dask_kubernetes_edits():
    """They are there even if nothing was passed."""
    spec = make_cluster_spec(name="foo", image="x/y:1", n_workers=1, env={})["spec"]
    assert spec["idleTimeout"] == 0
    for section in ("scheduler", "worker"):
        (container,) = spec[section]["spec"]["containers"]
        assert (container["resources"], container["env"]) == (None, [])
    (container,) = make_worker_spec()["spec"]["containers"]
    assert (container["resources"], container["env"]) == (None, [])


@pytest.mark.parametrize(
    "timeout, seconds",
    [
        pytest.param(60, 60, id="number"),
        pytest.param("1 hour", 3600, id="text"),
        pytest.param(timedelta(minutes=2), 120, id="timedelta"),
        pytest.param(0.2, 1, id="short is not never"),
        pytest.param("1500 ms", 2, id="rounded up"),
        pytest.param(0, 0, id="never"),
        pytest.param("0 s", 0, id="never as text"),
    ],
)
def test_idle_timeout(timeout, seconds):
    assert make_cluster_spec("foo", idle_timeout=timeout)["spec"]["idleTimeout"] == seconds


def test_resources_are_for_workers_only():
    spec = make_cluster_spec("foo", resources={"limits": {"nvidia.com/gpu": 1}})["spec"]
    assert "nvidia.com/gpu" in json.dumps(spec["worker"])
    assert "nvidia.com/gpu" not in json.dumps(spec["scheduler"])


def test_scheduler_may_have_its_own():
    spec = make_scheduler_spec("foo", resources={"limits": {"cpu": "1"}})
    assert spec["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "1"}}


def test_arguments_are_not_changed():
    env = [{"name": "FOO", "value": "bar"}]
    spec = make_cluster_spec("foo", env=env)
    spec["spec"]["worker"]["spec"]["containers"][0]["env"][0]["value"] = "other"
    assert env == [{"name": "FOO", "value": "bar"}]
    assert spec["spec"]["scheduler"]["spec"]["containers"][0]["env"] == env


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        pytest.param({"resources": {"limit": {}}}, ValueError, "resources: unknown key 'limit'", id="typo"),
        pytest.param({"resources": "2Gi"}, TypeError, "resources: must be a dict", id="resources"),
        pytest.param({"resources": {"limits": "2Gi"}}, TypeError, "'limits' must be a dict", id="limits"),
        pytest.param({"n_workers": -1}, ValueError, "n_workers: must not be negative", id="negative"),
        pytest.param({"n_workers": 1.5}, TypeError, "n_workers: must be an integer", id="half a worker"),
        pytest.param({"n_workers": True}, TypeError, "n_workers: must be an integer", id="yes"),
        pytest.param({"run_as_user": 0}, ValueError, "run_as_user: 0 is root", id="root"),
        pytest.param({"run_as_user": "1000"}, TypeError, "run_as_user: must be an integer", id="user"),
        pytest.param({"env": {"A": True}}, TypeError, "env: the value of A must be a string", id="env"),
        pytest.param({"worker_command": ""}, ValueError, "worker_command", id="no command"),
        pytest.param({"worker_command": [1]}, ValueError, "worker_command", id="number"),
        pytest.param({"idle_timeout": -1}, ValueError, "idle_timeout: must be a duration", id="idle"),
        pytest.param({"idle_timeout": timedelta(days=-1)}, ValueError, "idle_timeout: must", id="past"),
        pytest.param({"idle_timeout": "soon"}, ValueError, "idle_timeout: must be a duration", id="soon"),
        pytest.param({"idle_timeout": float("inf")}, ValueError, "idle_timeout: must be a", id="for ever"),
    ],
)
def test_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        make_cluster_spec("foo", **arguments)
