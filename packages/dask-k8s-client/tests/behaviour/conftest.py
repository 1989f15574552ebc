"""Fixtures of the behavioural tests: a controller, a namespace, clusters that start quickly."""

import os
import secrets
import sysconfig
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
import yaml
from dask import config

from dask_k8s_client import KubeCluster, make_cluster_spec
from dask_k8s_controller.testing import ControllerProcess
from dask_k8s_local.pytest_plugin import NamespacedKubectl

from . import commands

# The commands of the environment that the tests run in come first.
PATH = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
HERE = Path(__file__).parent
DEADLINE = 180
"""Seconds to wait for anything: pods with Dask start slowly on a loaded machine."""

# What a user may do.
ROLE = HERE.parents[3] / "examples/user-role.yaml"

LIGHT_WORKER = [
    *("dask", "worker", "--no-nanny", "--nthreads", "1", "--memory-limit", "0"),
    *("--name", "$(DASK_WORKER_NAME)", "--no-dashboard"),
]
"""A worker that starts in half the time of one with a nanny and a dashboard."""

# The patch version of Python in the images may differ.
VERSIONS = "ignore:Mismatched versions:distributed.versions.VersionMismatchWarning"


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings(VERSIONS))


@pytest.fixture(scope="module", autouse=True)
def patience():
    """Set the default limit for starts, here and in the programs that tests start."""
    with pytest.MonkeyPatch.context() as patch, config.set({"kubernetes.resource-timeout": DEADLINE}):
        patch.setenv("DASK_KUBERNETES__RESOURCE_TIMEOUT", str(DEADLINE))
        yield


class Kubectl(NamespacedKubectl):
    """kubectl in one namespace."""

    def delete(self, *targets):
        """Delete objects without waiting until they are gone."""
        self("delete", *targets, "--wait=false", "--ignore-not-found")


@pytest.fixture(scope="session")
def kubectl_in(kubectl):
    """`kubectl_in("namespace")`."""
    return partial(Kubectl, kubectl)


@pytest.fixture(scope="session")
def served(kubectl, crds) -> Iterator[str]:
    """A namespace with a controller, shared by all tests, whose clusters have different names."""
    with (
        kubectl.new_namespace(f"client-{secrets.token_hex(4)}") as here,
        ControllerProcess(kubectl.kubeconfig, f"--namespace={here.namespace}", "--log-format=plain"),
    ):
        yield here.namespace


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
def dask(here, caplog):
    """`dask("get", "foo")` runs `dask kubernetes` in the namespace with a controller, in this process."""

    def run(*args, **options):
        printed = commands.call("-n", here, *args, **options)
        assert not commands.NOISE.search(caplog.text), caplog.text
        return printed

    return run


@pytest.fixture
def start(here):
    """Like `dask`, for a process that runs until it receives a signal; a context manager."""
    return partial(commands.started, "-n", here)


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
    """Return the spec, changed so that the cluster starts and ends quickly.

    The scheduler is ready as soon as it answers. A worker with the default command is one process with one
    thread, and without a dashboard. Workers that lose their scheduler would not react to SIGTERM.
    """
    scheduler, worker = (spec["spec"][section]["spec"] for section in ("scheduler", "worker"))
    scheduler["containers"][0]["readinessProbe"] |= {"initialDelaySeconds": 0, "periodSeconds": 1}
    container = worker["containers"][0]
    if container["args"][:3] == ["dask", "worker", "--name"]:
        container["args"] = LIGHT_WORKER
    for pod in (scheduler, worker):
        pod.setdefault("terminationGracePeriodSeconds", 1)
    return spec


@pytest.fixture(scope="session")
def standing(served, kubectl_in):
    """A cluster with one worker for all tests that do not change it."""
    kubectl = kubectl_in(served)
    kubectl.apply(quick(make_cluster_spec("standing", n_workers=1)))
    kubectl.wait("daskcluster/standing", "condition=Ready")
    # A worker is ready before it has logged that.
    kubectl.poll(
        lambda: "Registered to" in kubectl("logs", "-l", "dask.org/workergroup-name=standing-default")
    )
    return "standing"


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
def standing_cluster(here, standing):
    """`standing_cluster()` connects to the cluster that is there; it is closed after the test."""
    with ExitStack() as stack:
        yield lambda **arguments: stack.enter_context(
            KubeCluster.from_name(standing, namespace=here, **arguments)
        )


@pytest.fixture
def quick_spec():
    """The function `quick`, for tests that create clusters themselves."""
    return quick
