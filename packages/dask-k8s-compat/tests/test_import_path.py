"""Code that was written for dask-kubernetes finds what it imports, or an error that says what to do."""

import importlib
import os
import subprocess
import sys
import warnings
from importlib.metadata import entry_points, version
from itertools import product

import pytest

import dask_k8s_client
import dask_kubernetes
from dask_kubernetes import constants

OPERATOR = ("KubeCluster", "CreateMode", "make_cluster_spec", "make_scheduler_spec", "make_worker_spec")
EXCEPTIONS = ("CrashLoopBackOffError", "SchedulerStartupError", "ValidationError")
MODULES = ("operator", "operator.kubecluster", "operator.kubecluster.kubecluster")
PATHS = [
    *product([f"dask_kubernetes.{module}" for module in MODULES], OPERATOR),
    *product(["dask_kubernetes.exceptions"], EXCEPTIONS),
]
CLIENT = dask_k8s_client.KubeCluster


@pytest.mark.parametrize("module, name", PATHS)
def test_is_the_clients(module, name):
    assert getattr(importlib.import_module(module), name) is getattr(dask_k8s_client, name)


@pytest.mark.parametrize("module", ["operator", "operator.kubecluster", "operator.kubecluster.discovery"])
def test_is_found_by_the_same_name(module):
    (discovery,) = entry_points(group="dask_cluster_discovery", name="kubecluster")
    assert importlib.import_module(f"dask_kubernetes.{module}").discover is discovery.load()


@pytest.mark.parametrize(
    "name, advice",
    [
        pytest.param("HelmCluster", "use `from dask_kubernetes.operator import KubeCluster`", id="Helm"),
        pytest.param("make_pod_spec", "operator import make_cluster_spec`", id="spec of a pod"),
        pytest.param("make_pod_from_dict", "as custom_cluster_spec", id="pod"),
        pytest.param("clean_pod_template", "as custom_cluster_spec", id="template"),
    ],
)
def test_what_is_no_more(name, advice):
    with pytest.raises(ImportError, match=f"{name} .* no longer exists") as refusal:
        getattr(importlib.import_module("dask_kubernetes"), name)
    assert advice in str(refusal.value)


def test_version():
    assert dask_kubernetes.__version__ == version("dask-k8s-compat")


def test_constants():
    """The limits are those that the client checks."""
    valid, longest = constants.VALID_CLUSTER_NAME, constants.MAX_CLUSTER_NAME_LEN * "a"
    assert valid.match(longest)
    assert not valid.match(f"{longest}a")
    assert not valid.match("invalid.chars.in.name")
    assert constants.SCHEDULER_NAME_TEMPLATE.format(cluster_name="foo") == "foo-scheduler"
    dask_k8s_client.make_cluster_spec(longest)
    with pytest.raises(dask_k8s_client.ValidationError):
        CLIENT(name=f"{longest}a")


def test_the_path_before_the_operator_left_its_experiment():
    with pytest.warns(FutureWarning, match=r"import KubeCluster from there"):
        module = importlib.reload(importlib.import_module("dask_kubernetes.experimental"))
    assert module.KubeCluster is CLIENT


def test_at_the_top_it_is_the_operators_class():
    """Dagster's executor and old recipes import it there."""
    for _ in range(2):
        with pytest.warns(FutureWarning, match=r"use `from dask_kubernetes\.operator import KubeCluster`"):
            from dask_kubernetes import KubeCluster  # noqa: PLC0415
        assert issubclass(KubeCluster, CLIENT)


@pytest.fixture
def no_kubernetes(monkeypatch, tmp_path):
    """A cluster is not created, but refused with its name."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))


@pytest.fixture
def at_the_top():
    with pytest.warns(FutureWarning):
        return dask_kubernetes.KubeCluster


@pytest.mark.parametrize(
    "name, allowed",
    [
        pytest.param("my_job", "my-job", id="underscore"),
        pytest.param("__ASSET_JOB", "asset-job", id="Dagster's for assets"),
        pytest.param("job_{TEAM}", "job-big-data", id="template"),
    ],
)
def test_a_name_is_made_one_for_a_cluster(at_the_top, name, allowed, no_kubernetes, monkeypatch):
    monkeypatch.setenv("TEAM", "Big Data")
    with (
        pytest.warns(UserWarning, match=f"name: .* so the cluster is called '{allowed}'"),
        pytest.raises(RuntimeError, match="no Kubernetes to talk to"),
    ):
        at_the_top(name=name)


@pytest.mark.parametrize("name", ["my-job", None])
def test_an_allowed_name_stays_without_a_warning(at_the_top, name, no_kubernetes):
    with pytest.raises(RuntimeError, match="no Kubernetes to talk to"):
        at_the_top(name=name)


@pytest.mark.parametrize("name", ["invalid.chars.in.name", "a" * 54, "___"])
def test_other_names_are_refused(at_the_top, name):
    with pytest.raises(dask_k8s_client.ValidationError), warnings.catch_warnings(action="ignore"):
        at_the_top(name=name)


def test_the_template_of_a_pod_is_refused(at_the_top):
    with pytest.raises(TypeError, match="pass image, resources and env"):
        at_the_top({"spec": {"containers": []}})


def test_what_has_never_been():
    assert not hasattr(importlib.import_module("dask_kubernetes"), "nothing")


def test_beside_the_original(tmp_path):
    about = tmp_path / "dask_kubernetes-2025.7.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: dask-kubernetes\nVersion: 2025.7.0\n")
    done = subprocess.run(
        [sys.executable, "-c", "import dask_kubernetes.operator"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: dask-kubernetes 2025.7.0 and dask-k8s-compat are both installed")
    assert "pip uninstall dask-kubernetes" in last
