"""Fixtures of the behavioural tests: a controller, a namespace, clusters that start quickly."""

import json
import os
import secrets
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Thread

import dask.config
import pytest
import yaml

from dask_k8s_client import KubeCluster, make_cluster_spec

# The commands of the environment that the tests run in come first.
PATH = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
COMMANDS = ("kubectl", "dask-k8s-crds", "dask-k8s-controller")
KUBECTL, CRDS, CONTROLLER = (shutil.which(name, path=PATH) for name in COMMANDS)
HERE = Path(__file__).parent
DEADLINE = 180
"""Seconds to wait for anything: pods with Dask start slowly on a loaded machine."""

# What a user may do.
ROLE = HERE.parents[3] / "examples/user-role.yaml"

# The patch version of Python in the images may differ.
VERSIONS = "ignore:Mismatched versions:distributed.versions.VersionMismatchWarning"


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings(VERSIONS))


@pytest.fixture(scope="module", autouse=True)
def patience():
    """Set the default limit for starts, here and in the programs that tests start."""
    with pytest.MonkeyPatch.context() as patch, dask.config.set({"kubernetes.resource-timeout": DEADLINE}):
        patch.setenv("DASK_KUBERNETES__RESOURCE_TIMEOUT", str(DEADLINE))
        yield


class Kubectl:
    """kubectl in one namespace."""

    def __init__(self, kubeconfig, cache, namespace=None):
        self.namespace = namespace
        self._environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "KUBECACHEDIR": str(cache)}
        self._where = ["-n", namespace] if namespace else []

    def __call__(self, *args, input=None, check=True):
        command = [KUBECTL, *self._where, *args]
        done = subprocess.run(
            command, check=False, env=self._environment, input=input, text=True, capture_output=True
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def get(self, target):
        return json.loads(self("get", target, "-o", "json"))

    def names(self, resource, selector=""):
        return self("get", resource, "-l", selector, "-o", "name").split()

    def wait(self, target, what):
        self("wait", target, f"--for={what}", f"--timeout={DEADLINE}s")

    def apply(self, body):
        self("apply", "-f", "-", input=json.dumps(body))


@pytest.fixture(scope="session")
def kubectl_in(kubernetes, tmp_path_factory):
    """`kubectl_in("namespace")`, or without one."""
    return partial(Kubectl, kubernetes.kubeconfig, tmp_path_factory.mktemp("kubectl"))


@pytest.fixture(scope="session")
def crds(kubectl_in) -> None:
    """Dask's resources."""
    printed = subprocess.run([CRDS], check=True, capture_output=True, text=True).stdout
    for args in (("apply", "-f", "-"), ("wait", "--for=condition=Established", "-f", "-")):
        kubectl_in()(*args, input=printed)


@pytest.fixture(scope="session")
def served(kubernetes, kubectl_in, crds) -> Iterator[str]:
    """A namespace with a controller, shared by all tests, whose clusters have different names."""
    namespace = f"client-{secrets.token_hex(4)}"
    kubectl = kubectl_in(namespace)
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    kubectl.wait("serviceaccount/default", "create")
    with controller(kubernetes.kubeconfig, namespace):
        yield namespace
    kubectl("delete", "namespace", namespace, "--wait=false")


@contextmanager
def controller(kubeconfig, namespace):
    """Run a controller as a process."""
    command = [CONTROLLER, "run", "--namespace", namespace, "--log-format", "plain"]
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        said = []
        for line in process.stderr:
            said.append(line)
            if "Ready" in line:
                break
        else:
            pytest.fail("".join(said))
        reader = Thread(target=said.extend, args=(process.stderr,))
        reader.start()
        yield
        process.terminate()
        reader.join()
    assert "Traceback" not in "".join(said), "".join(said)


@pytest.fixture
def kubeconfig(kubernetes, monkeypatch) -> Path:
    """In the environment."""
    monkeypatch.setenv("KUBECONFIG", str(kubernetes.kubeconfig))
    return kubernetes.kubeconfig


@pytest.fixture
def here(kubeconfig, served) -> str:
    """The namespace with a controller."""
    return served


@pytest.fixture
def kube(kubectl_in, here) -> Kubectl:
    return kubectl_in(here)


@pytest.fixture
def elsewhere(kubeconfig, kubectl_in, crds, namespace) -> Kubectl:
    """A namespace of this test without a controller."""
    return kubectl_in(namespace)


@pytest.fixture
def account_with(kube):
    """`account_with("name")`: a service account that has the documented role, or some of its rules."""

    def make(name, keep=lambda rule: True):
        role = yaml.safe_load(ROLE.read_text(encoding="utf-8"))
        role["metadata"]["name"] = name
        role["rules"] = [rule for rule in role["rules"] if keep(rule)]
        kube.apply(role)
        kube("create", "serviceaccount", name)
        kube("create", "rolebinding", name, f"--role={name}", f"--serviceaccount={kube.namespace}:{name}")
        return name

    return make


@pytest.fixture
def login(kubernetes, kube, account_with, tmp_path, monkeypatch):
    """A kubeconfig with nothing but the token of an account that has the documented role in the namespace.

    The local Kubernetes lets everybody do everything.
    """
    if kubernetes.is_local:
        return
    config = yaml.safe_load(kubernetes.kubeconfig.read_text(encoding="utf-8"))
    name = account_with(f"user-{secrets.token_hex(4)}")
    token = kube("create", "token", name, "--duration=10m").strip()
    for user in config["users"]:
        user["user"] = {"token": token}
    for context in config["contexts"]:
        context["context"]["namespace"] = kube.namespace
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(path))


def quick(spec):
    """Return the spec with a readiness probe that succeeds as soon as the scheduler is ready."""
    container = spec["spec"]["scheduler"]["spec"]["containers"][0]
    container["readinessProbe"] |= {"initialDelaySeconds": 0, "periodSeconds": 1}
    return spec


@pytest.fixture
def make(here):
    """Make clusters, `make("name", n_workers=1)`, that are closed after the test unless asynchronous."""
    made = []

    def build(name, *, spec=None, asynchronous=False, **arguments):
        own = {key: arguments.pop(key) for key in ("n_workers", "env", "resources") if key in arguments}
        cluster = KubeCluster(
            custom_cluster_spec=quick(spec or make_cluster_spec(name, **{"n_workers": 1} | own)),
            namespace=here,
            asynchronous=asynchronous,
            **arguments,
        )
        if not asynchronous:
            made.append(cluster)
        return cluster

    yield build
    for cluster in made:
        cluster.close(timeout=60)


@pytest.fixture
def quick_spec():
    """The function `quick`, for tests that create clusters themselves."""
    return quick
