"""KubeCluster's arguments and configuration: how they are completed and validated."""

import getpass
from datetime import timedelta

import dask
import pytest
import yaml

from dask_k8s_client import CreateMode, KubeCluster, ValidationError, make_cluster_spec
from dask_k8s_client.connection.connect_modes import ConnectMode
from dask_k8s_client.options import Options, fill_name

TOLERATIONS = [{"key": "gpu", "operator": "Exists"}]


CACHE = {"name": "cache", "emptyDir": {}}
MOUNT = {"name": "cache", "mountPath": "/cache"}


def pod(options, part):
    return options.manifest["spec"][part]["spec"]


def container(options, part):
    return pod(options, part)["containers"][0]


def test_defaults():
    options = Options.from_arguments({})
    assert options.namespace is None
    assert options.create_mode is CreateMode.CREATE_OR_CONNECT
    assert options.shutdown_on_close is None
    assert options.resource_timeout == 60
    assert options.connect is ConnectMode.AUTO
    assert options.dashboard_port == 0
    assert options.jupyter is False
    assert options.manifest["spec"]["worker"]["replicas"] == 0
    assert container(options, "worker")["image"] == "ghcr.io/dask/dask:latest"


@pytest.mark.parametrize(
    "key, value, seen",
    [
        pytest.param("name", "configured", lambda o: o.name, id="name"),
        pytest.param("namespace", "configured", lambda o: o.namespace, id="namespace"),
        pytest.param("image", "mine:1", lambda o: container(o, "scheduler")["image"], id="image"),
        pytest.param("count.start", 7, lambda o: o.manifest["spec"]["worker"]["replicas"], id="count"),
        pytest.param(
            "resources",
            {"limits": {"cpu": "1"}},
            lambda o: container(o, "worker")["resources"],
            id="resources",
        ),
        pytest.param(
            "env",
            {"A": "b"},
            lambda o: {each["name"]: each["value"] for each in container(o, "worker")["env"]},
            id="env",
        ),
        pytest.param(
            "worker-command", "mine", lambda o: container(o, "worker")["args"][0], id="worker-command"
        ),
        pytest.param(
            "scheduler-service-type",
            "NodePort",
            lambda o: o.manifest["spec"]["scheduler"]["service"]["type"],
            id="service type",
        ),
        pytest.param("scheduler-forward-port", 8888, lambda o: o.dashboard_port, id="forward port"),
        pytest.param("scheduler-jupyter", True, lambda o: o.jupyter, id="jupyter"),
        pytest.param("connect", "nodeport", lambda o: o.connect, id="connect"),
        pytest.param(
            "port-forward-cluster-ip",
            True,
            lambda o: o.connect is ConnectMode.PORT_FORWARD,
            id="port-forward",
        ),
        pytest.param("labels", {"a": "b"}, lambda o: o.manifest["metadata"]["labels"], id="labels"),
        pytest.param(
            "annotations", {"a": "b"}, lambda o: o.manifest["metadata"]["annotations"], id="annotations"
        ),
        pytest.param(
            "service-account-name",
            "mine",
            lambda o: pod(o, "scheduler")["serviceAccountName"],
            id="service account",
        ),
        pytest.param(
            "image-pull-secrets",
            ["mine"],
            lambda o: [each["name"] for each in pod(o, "worker")["imagePullSecrets"]],
            id="pull secrets",
        ),
        pytest.param(
            "priority-class-name",
            "high",
            lambda o: pod(o, "worker")["priorityClassName"],
            id="priority class",
        ),
        pytest.param("volumes", [CACHE], lambda o: pod(o, "worker")["volumes"], id="volumes"),
        pytest.param(
            "volume-mounts", [MOUNT], lambda o: container(o, "scheduler")["volumeMounts"], id="mounts"
        ),
        pytest.param(
            "scheduler-resources",
            {"limits": {"cpu": "1"}},
            lambda o: container(o, "scheduler")["resources"],
            id="scheduler resources",
        ),
        pytest.param(
            "scheduler-node-selector", {"a": "b"}, lambda o: pod(o, "scheduler")["nodeSelector"], id="nodes"
        ),
        pytest.param(
            "scheduler-tolerations", TOLERATIONS, lambda o: pod(o, "scheduler")["tolerations"], id="taints"
        ),
        pytest.param(
            "worker-node-selector", {"a": "b"}, lambda o: pod(o, "worker")["nodeSelector"], id="worker nodes"
        ),
        pytest.param(
            "worker-tolerations", TOLERATIONS, lambda o: pod(o, "worker")["tolerations"], id="worker taints"
        ),
        pytest.param(
            "run-as-user", 1000, lambda o: pod(o, "worker")["securityContext"]["runAsUser"], id="user"
        ),
        pytest.param("create-mode", "CONNECT_ONLY", lambda o: o.create_mode.value, id="create mode"),
        pytest.param("shutdown-on-close", False, lambda o: o.shutdown_on_close, id="shutdown"),
        pytest.param("resource-timeout", 5, lambda o: o.resource_timeout, id="timeout"),
        pytest.param("idle-timeout", 600, lambda o: o.manifest["spec"]["idleTimeout"], id="idle"),
        pytest.param(
            "custom-cluster-spec", make_cluster_spec("other"), lambda o: o.manifest, id="custom spec"
        ),
    ],
)
def test_configuration(key, value, seen):
    with dask.config.set({f"kubernetes.{key}": value}):
        assert seen(Options.from_arguments({})) == value


def test_arguments_come_before_configuration():
    configured = {"count.start": 7, "scheduler-jupyter": True, "idle-timeout": "1 hour"}
    with dask.config.set({f"kubernetes.{key}": value for key, value in configured.items()}):
        options = Options.from_arguments({"n_workers": 0, "jupyter": False, "idle_timeout": 0})
    assert options.manifest["spec"]["idleTimeout"] == 0
    assert options.manifest["spec"]["worker"]["replicas"] == 0
    assert options.jupyter is False


@pytest.mark.parametrize(
    "arguments, field, value",
    [
        pytest.param({"resource_timeout": "2 minutes"}, "resource_timeout", 120, id="duration"),
        pytest.param(
            {"create_mode": "CREATE_ONLY"}, "create_mode", CreateMode.CREATE_ONLY, id="mode by name"
        ),
        pytest.param({"resource_timeout": timedelta(minutes=1)}, "resource_timeout", 60, id="timedelta"),
        pytest.param({"scheduler_forward_port": "8888"}, "dashboard_port", 8888, id="port as text"),
    ],
)
def test_forms(arguments, field, value):
    assert getattr(Options.from_arguments(arguments), field) == value


@pytest.mark.parametrize(
    "template, name",
    [
        pytest.param("my-cluster", "my-cluster", id="plain"),
        pytest.param("dask-{TEAM}", "dask-big-data", id="environment"),
        pytest.param("x-{LONG}", f"x-{'a' * 37}", id="cut"),
    ],
)
def test_name(template, name):
    assert fill_name(template, {"TEAM": "Big.Data_", "LONG": "a" * 99}) == name


def test_name_by_default(monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "Jane.Doe@example.org")
    first, second = Options.from_arguments({}).name, Options.from_arguments({}).name
    assert first != second
    assert first.startswith("dask-jane-doe-example-org-")
    assert len(first) == len("dask-jane-doe-example-org-") + 10


def test_name_of_nobody(monkeypatch):
    def nobody():
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert Options.from_arguments({}).name.startswith("dask-anonymous-")


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        pytest.param({"name": "a" * 54}, ValidationError, "metadata.name", id="long"),
        pytest.param({"name": "foo.bar"}, ValidationError, "metadata.name", id="dots"),
        pytest.param({"name": "Foo"}, ValidationError, "metadata.name", id="capitals"),
        pytest.param({"name": "a-{NOTHING}"}, ValidationError, "NOTHING", id="template"),
        pytest.param({"create_mode": "MAYBE"}, ValueError, "create_mode: 'MAYBE' is none of", id="mode"),
        pytest.param({"resources": {"limit": {}}}, ValueError, "'limit'", id="resources"),
        pytest.param({"n_workers": -1}, ValueError, "n_workers", id="workers"),
        pytest.param({"connect": "vpn"}, ValueError, "connect: 'vpn' is none of 'auto'", id="connect"),
        pytest.param(
            {"scheduler_resources": {"limit": {}}}, ValueError, "^scheduler_resources: unknown", id="its own"
        ),
        pytest.param(
            {"worker_node_selector": {"gpu": True}},
            ValidationError,
            r"spec\.worker\.spec\.nodeSelector\.gpu",
            id="node selector",
        ),
        pytest.param(
            {"scheduler_tolerations": "gpu"},
            ValidationError,
            r"spec\.scheduler\.spec\.tolerations",
            id="tolerations",
        ),
        pytest.param({"idle_timeout": "never"}, ValueError, "idle_timeout: must be a duration", id="idle"),
        pytest.param({"idle_timeout": 2**31}, ValidationError, r"spec\.idleTimeout", id="idle for too long"),
        pytest.param({"resource_timeout": -1}, ValueError, "resource_timeout: must be a", id="timeout"),
        pytest.param(
            {"custom_cluster_spec": {"spec": {}}}, ValidationError, "metadata.name: Required", id="no name"
        ),
        pytest.param(
            {"custom_cluster_spec": make_cluster_spec("foo") | {"kind": "Pod"}},
            ValidationError,
            "kind: Unsupported value",
            id="kind",
        ),
        pytest.param(
            {"custom_cluster_spec": {"metadata": {"name": "foo"}, "spec": {}}},
            ValidationError,
            r"spec\.scheduler",
            id="incomplete",
        ),
        pytest.param(
            {"custom_cluster_spec": "/nowhere/x.yaml"}, ValidationError, "/nowhere/x.yaml", id="no file"
        ),
        pytest.param(
            {
                "custom_cluster_spec": make_cluster_spec("foo")
                | {"metadata": {"name": "foo", "namespace": "a"}},
                "namespace": "b",
            },
            ValidationError,
            "metadata.namespace",
            id="two namespaces",
        ),
    ],
)
def test_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        Options.from_arguments(arguments)


def test_refused_before_anything_is_started(monkeypatch):
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    with pytest.raises(ValidationError):
        KubeCluster(name="foo.bar")


def test_custom_spec_from_a_file(tmp_path):
    path = tmp_path / "cluster.yaml"
    spec = make_cluster_spec("from-file", n_workers=4)
    path.write_text(f"# mine\n---\n{yaml.safe_dump(spec)}", encoding="utf-8")
    for file in (path, str(path)):
        options = Options.from_arguments({"custom_cluster_spec": file, "name": "ignored"})
        assert options.name == "from-file"
        assert options.manifest == spec


@pytest.mark.parametrize(
    "text",
    [pytest.param("a: [", id="broken"), pytest.param("", id="empty"), pytest.param("a\n---\nb", id="two")],
)
def test_file_that_is_no_spec(tmp_path, text):
    path = tmp_path / "cluster.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValidationError, match=r"cluster\.yaml"):
        Options.from_arguments({"custom_cluster_spec": path})


def test_custom_spec_is_copied():
    spec = make_cluster_spec("foo")
    options = Options.from_arguments({"custom_cluster_spec": spec})
    options.manifest["metadata"]["name"] = "bar"
    assert spec["metadata"]["name"] == "foo"


def test_jupyter_of_a_custom_spec_is_seen():
    spec = make_cluster_spec("foo")
    spec["spec"]["scheduler"]["spec"]["containers"][0]["args"].append("--jupyter")
    assert Options.from_arguments({"custom_cluster_spec": spec}).jupyter


@pytest.mark.parametrize("key", ["count.max", "worker-template", "deploy-mode"])
def test_configuration_without_effect_is_reported(key):
    with dask.config.set({f"kubernetes.{key}": "x"}), pytest.warns(UserWarning, match=key):
        Options.from_arguments({})
