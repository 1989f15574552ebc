"""`local`: a Kubernetes on this machine with the controller in it. Both run as separate programs."""

import asyncio
import platform
import signal
import subprocess
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from typing import NoReturn

import click
import yaml

from dask_k8s_client.api.access import Login
from dask_k8s_client.api.requests import Api, Objects, Selector
from dask_k8s_client.api.watching import until
from dask_k8s_client.arguments import JSON
from dask_k8s_client.cli.running import reporting_errors
from dask_k8s_client.logs import container_log
from dask_k8s_client.observed import is_ready
from dask_k8s_crds.resources import PODS, Resource

_MODULES = ("dask_k8s_local", "dask_k8s_controller", "dask_k8s_autoscaler", "dask_k8s_job")
_SERVER = (sys.executable, "-m", "dask_k8s_local.cli")
_CONTROLLER = (sys.executable, "-m", "dask_k8s_controller")
_NAME, _NAMESPACE, _PORT = "dask-k8s-controller", "dask-operator", 8080
_START_SECONDS = 60.0

_RESOURCES = (
    Resource("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions"),
    Resource("", "v1", "Namespace", "namespaces"),
    Resource("", "v1", "ServiceAccount", "serviceaccounts"),
)
"""What to create of the controller's manifests. Roles are left out: here every pod may do everything."""


@click.group(no_args_is_help=True)
def local() -> None:
    """Have a Kubernetes on this machine, to try it all: no root, no Docker, Linux only.

    Its pods are processes of this Python environment. Not for production.
    """
    if missing := [each.replace("_", "-") for each in _MODULES if find_spec(each) is None]:
        brings = "`pip install 'dask-k8s-client[local]'` brings what it needs"
        raise click.ClickException(f"{', '.join(missing)} is not installed here; {brings}")


@local.command()
@click.option("--detach", is_flag=True, help="Start it in the background.")
def up(*, detach: bool) -> None:
    """Start it, with the controller in it, and stay until Ctrl-C."""
    (_leave_running if detach else _stay)()


@local.command()
def status() -> None:
    """Show whether it runs (exit code 0) or not (1), and where."""
    sys.exit(subprocess.call([*_SERVER, "status"]))


@local.command()
def down() -> None:
    """End it, with all clusters in it."""
    sys.exit(subprocess.call([*_SERVER, "down"]))


def _stay() -> NoReturn:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with subprocess.Popen([*_SERVER, "up"], stdout=subprocess.PIPE, text=True) as server:
        try:
            if kubeconfig := _kubeconfig(server.stdout or ()):
                _install_controller(kubeconfig, end="Ctrl-C")
            server.communicate()
        except KeyboardInterrupt:
            click.echo("\nEnding all pods.")
        finally:
            server.terminate()  # it receives Ctrl-C from the terminal, but no other signals
            server.communicate()
    sys.exit(server.returncode)


def _leave_running() -> None:
    done = subprocess.run([*_SERVER, "up", "--detach"], stdout=subprocess.PIPE, text=True, check=False)
    kubeconfig = _kubeconfig(done.stdout.splitlines())
    if done.returncode or kubeconfig is None:
        sys.exit(done.returncode or 1)
    try:
        _install_controller(kubeconfig, end="`dask kubernetes local down`")
    except BaseException:
        subprocess.run([*_SERVER, "down"], stdout=subprocess.DEVNULL, check=False)
        raise


def _kubeconfig(lines: Iterable[str]) -> str | None:
    """Return the path of the kubeconfig from the output of the server; None if it is not there."""
    before = "export KUBECONFIG="
    return next((line.partition(before)[2].strip() for line in lines if before in line), None)


def _install_controller(kubeconfig: str, *, end: str) -> None:
    """Install the controller, and print how to use it; `end` is what ends it."""
    with reporting_errors():
        asyncio.run(_install(kubeconfig))
    click.echo(
        f"A small Kubernetes on this machine, with Dask's controller in it. Not for production.\n"
        f"Images mean nothing here: pods run in {sys.prefix} (Python {platform.python_version()}).\n\n"
        f"    export KUBECONFIG={kubeconfig}\n\n"
        f"Then kubectl, `dask kubernetes create my-cluster` and KubeCluster work with it.\n"
        f"{end} ends it, with all clusters."
    )


async def _install(kubeconfig: str) -> None:
    """Install the custom resources and the controller as a pod, and wait until it is ready."""
    process = await asyncio.create_subprocess_exec(*_CONTROLLER, "manifests", stdout=subprocess.PIPE)
    printed, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError("the controller does not start")
    # The loader in pure Python would take seconds for the CRDs.
    manifests = yaml.load_all(printed, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    async with Api.connected(Login(kubeconfig)) as api:
        for each in manifests:
            for resource in _RESOURCES:
                if each["kind"] == resource.kind:
                    await api.create(resource, each["metadata"].get("namespace"), each)
        await api.create(PODS, _NAMESPACE, _pod())
        await _until_ready(api)


def _pod() -> JSON:
    address = f"0.0.0.0:{_PORT}"
    container = {
        "name": "controller",
        "image": _NAME,
        "command": [*_CONTROLLER, "run", "--all-namespaces", "--health-address", address],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": _PORT}, "periodSeconds": 1},
    }
    spec = {"serviceAccountName": _NAME, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": _NAME}, "spec": spec}


async def _until_ready(api: Api) -> None:
    def ready(objects: Objects) -> bool | None:
        return (_NAME in objects and is_ready(objects[_NAME])) or None

    try:
        async with asyncio.timeout(_START_SECONDS):
            await until(api, PODS, _NAMESPACE, Selector.named(_NAME), ready)
    except TimeoutError:
        log = await container_log(api, _NAMESPACE, _NAME, "controller", 20)
        late = f"the controller is not ready after {_START_SECONDS:.0f} s"
        raise TimeoutError(f"{late}. The last lines of its log:\n\n{log}") from None
