"""Images composed of wheels, on a real Kubernetes: what they hold, and that it runs with what they print."""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

CHART = Path(__file__).parents[1] / "dask-k8s-operator"
CLUSTER = Path(__file__).parents[2] / "examples" / "announcement" / "my-cluster.yaml"
CORE, DEFAULT, PLUGIN = "DASK_K8S_CORE_IMAGE", "DASK_K8S_OPERATOR_IMAGE", "DASK_K8S_PLUGIN_IMAGE"
WAIT = "--timeout=120s"

DASHBOARD = """
apiVersion: example.org/v1
kind: DaskDashboard
metadata: {name: public}
spec: {cluster: my-cluster}
"""


@pytest.fixture
def start(here) -> Callable[..., None]:
    """Have containers run commands of an image, each named for its first word."""

    def pod(name: str, image: str, *commands: tuple[str, ...], account: str = "default") -> None:
        containers = [{"name": each[0], "image": image, "args": each} for each in commands]
        spec = {"serviceAccountName": account, "restartPolicy": "Never", "containers": containers}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        here("create", "-f", "-", input=json.dumps(body))

    return pod


@pytest.fixture
def printed(start, here, namespace) -> Callable[[str], tuple[list[str], list[dict]]]:
    """What an image says of itself: the plugins by name, and its manifests for the test's namespace."""

    def ask(image: str) -> tuple[list[str], list[dict]]:
        scope = (f"--namespace={namespace}", f"--controller-namespace={namespace}")
        start("says", image, ("plugins",), ("manifests", *scope))
        here("wait", "pod/says", "--for=jsonpath={.status.phase}=Succeeded", WAIT)
        listed, documents = (here("logs", "says", "-c", each) for each in ("plugins", "manifests"))
        names = [line.split()[0] for line in listed.splitlines() if not line.startswith(" ")]
        return names, list(yaml.load_all(documents, Loader=yaml.CSafeLoader))

    return ask


def expected(namespace: str, *without: str) -> list[dict]:
    """The manifests of what is installed beside the tests: controller, autoscaler and job."""
    scope = (f"--namespace={namespace}", f"--controller-namespace={namespace}")
    skipped = [f"--skip-plugin={name}" for name in without]
    command = [sys.executable, "-m", "dask_k8s_controller", "manifests", *scope, *skipped]
    return list(yaml.load_all(subprocess.check_output(command), Loader=yaml.CSafeLoader))


def rules(made: list[dict]) -> list[dict]:
    return next(
        each["rules"]
        for each in made
        if each["metadata"]["name"] == "dask-k8s-controller" and "rules" in each
    )


def test_core_alone(image, printed, start, here, namespace):
    core = image(CORE)
    names, made = printed(core)
    assert names == ["dask-k8s-controller"]
    assert made == expected(namespace, "dask-k8s-autoscaler", "dask-k8s-job")

    # The manifests that it prints are enough to run it; the CRDs and the namespace exist.
    roles = [each for each in made if each["kind"] not in {"CustomResourceDefinition", "Namespace"}]
    here("apply", "-f", "-", input=yaml.safe_dump_all(roles))
    start("controller", core, ("run", f"--namespace={namespace}"), account="dask-k8s-controller")
    here("apply", "-f", str(CLUSTER))
    here("wait", "daskcluster/my-cluster", "--for=condition=Ready", WAIT)


def test_with_autoscaler_and_job(image, printed, namespace):
    names, made = printed(image(DEFAULT))
    assert names == ["dask-k8s-autoscaler", "dask-k8s-controller", "dask-k8s-job"]
    assert made == expected(namespace)


@pytest.mark.alone  # its kind bears the name that the template's tests use, too
def test_with_a_plugin_of_others(run, image, printed, here, kubectl, namespace):
    """The template of plugins, installed as `docs/install.md` says."""
    name, _, tag = image(PLUGIN).rpartition(":")
    names, made = printed(f"{name}:{tag}")
    assert names == ["dask-dashboard", "dask-k8s-autoscaler", "dask-k8s-controller", "dask-k8s-job"]
    ours = rules(expected(namespace))
    more = [rule for rule in rules(made) if rule not in ours]
    assert {resource for rule in more for resource in rule["resources"]} == {
        "daskdashboards",
        "daskdashboards/finalizers",
        "daskdashboards/status",
    }

    (crd,) = (each for each in made if each["metadata"]["name"] == "daskdashboards.example.org")
    values = {
        "image": {"name": name, "tag": tag},
        "crds": {"install": False},
        "watchNamespaces": [namespace],
        "fullnameOverride": namespace,
        "rbac": {"extraRules": more},
    }
    install = ("install", "op", str(CHART), "--namespace", namespace, "--values", "-")
    with ExitStack() as at_the_end:
        kubectl("apply", "-f", "-", input=yaml.safe_dump(crd))
        at_the_end.callback(kubectl, "delete", "crd", crd["metadata"]["name"], "--wait=false")
        kubectl("wait", "crd", crd["metadata"]["name"], "--for=condition=Established", WAIT)
        at_the_end.callback(run, "uninstall", "op", "--namespace", namespace, "--ignore-not-found")
        run(*install, input=yaml.safe_dump(values))
        here("apply", "-f", str(CLUSTER))
        here("apply", "-f", "-", input=DASHBOARD)
        here("wait", "daskdashboard/public", "--for=condition=Ready", WAIT)
        assert here("get", "service", "public-dashboard", "-o", "jsonpath={.spec.type}") == "NodePort"
