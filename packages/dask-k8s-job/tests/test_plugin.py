"""The controller knows of jobs where this package is installed, and has no trace of them elsewhere."""

import subprocess
import sys

import yaml

WITHOUT = ("--skip-plugin", "dask-k8s-job")


def printed(*args):
    return subprocess.check_output([sys.executable, "-m", "dask_k8s_controller", *args], text=True)


def test_it_is_listed():
    listed = printed("plugins")
    assert "dask-k8s-job  dask-k8s-job" in listed
    assert "    reconciles daskjobs.kubernetes.dask.org\n" in listed


def test_its_kind_and_its_rights():
    documents = list(yaml.safe_load_all(printed("manifests")))
    crds = [each["metadata"]["name"] for each in documents if each["kind"] == "CustomResourceDefinition"]
    assert "daskjobs.kubernetes.dask.org" in crds
    rights = {
        resource: set(rule["verbs"])
        for each in documents
        for rule in each.get("rules", ())
        for resource in rule["resources"]
    }
    assert rights["daskjobs"] == {"list", "watch", "delete"}
    assert rights["daskjobs/status"] == {"patch"}
    assert rights["daskjobs/finalizers"] == {"update"}
    assert rights["jobs"] == {"get", "list", "watch", "create", "patch", "delete"}
    assert rights["daskclusters"] >= {"get", "list", "watch", "create", "patch", "delete"}


def test_without_it():
    text = printed("manifests", *WITHOUT)
    assert "daskcluster" in text
    assert "daskjob" not in text.lower()
    assert "batch" not in text
