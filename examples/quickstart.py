"""Start a local Kubernetes, the controller and a Dask cluster; compute on it, scale it, and delete it.

    nox -s quickstart

It runs the commands that a new user runs, shows what they print, and removes everything at the end.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import takewhile
from pathlib import Path
from threading import Thread

import dask.array as da
from distributed import Client
from rich.console import Console
from rich.panel import Panel
from rich.syntax import Syntax

from dask_k8s_client import KubeCluster, make_job_spec, run_job

EVERYTHING = "daskclusters,daskworkergroups,daskautoscalers,daskjobs,pods,services"
OF_OURS = ("-l", "dask.org/cluster-name=my-cluster")
console = Console(highlight=False)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Print what is being done, and how long it took."""
    start = time.perf_counter()
    with console.status(title):
        yield
    console.print(f"[green]✓[/] {title} [dim]{time.perf_counter() - start:.1f} s[/]")


def run(*command: str, stdin: str | None = None) -> str:
    """Run a command and return what it prints; if it fails, show its output and stop."""
    result = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if result.returncode:
        console.print(f"[red]✗ {' '.join(command)}[/]\n{result.stdout}{result.stderr}")
        raise SystemExit(1)
    return result.stdout


def show(*command: str) -> None:
    """Run a command, and print the command and its output."""
    console.print(f"\n[bold]$ {' '.join(command)}[/]", soft_wrap=True)
    printed = run(*command).rstrip()
    console.print(printed or "(nothing)", markup=False, soft_wrap=True, style=None if printed else "dim")
    console.print()


@contextmanager
def kubernetes(folder: Path) -> Iterator[None]:
    """Run a local Kubernetes, which KUBECONFIG names."""
    environment = {"XDG_STATE_HOME": str(folder), "KUBECONFIG": str(folder / "kubeconfig")}
    os.environ |= environment
    run("dask-k8s-local", "up", "--detach", "--kubeconfig", environment["KUBECONFIG"])
    try:
        yield
    finally:
        run("dask-k8s-local", "down")


@contextmanager
def controller() -> Iterator[None]:
    """Run the controller as a process."""
    command = [sys.executable, "-m", "dask_k8s_controller", "run", "--all-namespaces"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        log = process.stderr or []
        began = list(takewhile(lambda line: "Ready" not in line, log))
        if process.poll() is not None:
            console.print(f"[red]✗ the controller did not start[/]\n{''.join(began)}")
            raise SystemExit(1)
        reader = Thread(target=lambda: began.extend(log))  # a full pipe would stop the controller
        reader.start()
        try:
            yield
        finally:
            process.terminate()
            reader.join()


def compute(cluster: KubeCluster) -> None:
    """Compute on the workers, and check the result."""
    with Client(cluster):
        numbers = da.arange(1_000_000, chunks=50_000)
        total = int((numbers**2).sum().compute())
    expected = sum(number**2 for number in range(1_000_000))
    if total != expected:
        raise SystemExit(f"the workers computed {total} instead of {expected}")


def main() -> None:
    """Go through all steps."""
    began = time.perf_counter()
    console.print(Panel.fit("[bold]Dask on Kubernetes[/]: the quickstart", border_style="blue"))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dask-k8s-quickstart-")))
        with step("Start Kubernetes in a Python process"):
            stack.enter_context(kubernetes(folder))
        with step("Install the resources DaskCluster, DaskWorkerGroup, DaskAutoscaler and DaskJob"):
            run("kubectl", "apply", "--filename", "-", stdin=run("dask-k8s-crds"))
        with step("Start the controller"):
            stack.enter_context(controller())
        use_it()
        run_a_job()
    console.print(f"[bold green]Done[/] [dim]{time.perf_counter() - began:.1f} s[/]")
    console.print(
        "Next: `dask-k8s-local up` starts a local Kubernetes that keeps running, and docs/install.md "
        "explains how to install the controller on your own Kubernetes."
    )


def use_it() -> None:
    """Create a cluster, compute on it, scale it, and delete it."""
    code = 'cluster = KubeCluster(name="my-cluster", n_workers=2)'
    console.print(Syntax(code, "python", background_color="default"))
    with step("Create a cluster with 2 workers"):
        cluster = KubeCluster(name="my-cluster", n_workers=2, quiet=True)
    with cluster:
        with step("Sum a million squares on the workers"):
            compute(cluster)
        with step('Add a worker group: cluster.add_worker_group(name="highmem", n_workers=1)'):
            cluster.add_worker_group(name="highmem", n_workers=1)
            wait_for("daskworkergroup/my-cluster-highmem", 1)
        with step("Scale up: cluster.scale(4)"):
            cluster.scale(4)
            wait_for("daskworkergroup/my-cluster-default", 4)
        show("kubectl", "get", EVERYTHING, *OF_OURS)
        run("kubectl", "wait", "daskcluster/my-cluster", "--for=condition=Ready", "--timeout=60s")
        show("kubectl", "get", "daskcluster", "my-cluster")
        with step("Scale down without losing data: cluster.scale(1)"):
            cluster.scale(1)
            wait_for("daskworkergroup/my-cluster-default", 1)
        adapt(cluster)
        with step("Delete the cluster: kubectl delete daskcluster my-cluster"):
            run("kubectl", "delete", "daskcluster", "my-cluster")
            run("kubectl", "wait", "pod,service", *OF_OURS, "--for=delete")
    show("kubectl", "get", EVERYTHING, *OF_OURS)


def adapt(cluster: KubeCluster) -> None:
    """Scale the cluster to its work."""
    with step('Autoscale: cluster.adapt(minimum=0, maximum=3, interval="1 s", target_duration="1 s")'):
        cluster.adapt(minimum=0, maximum=3, interval="1 s", target_duration="1 s")
        # The default keeps idle workers for longer than a demonstration lasts.
        calm = {"spec": {"scaleDown": {"stabilizationSeconds": 2, "maxStepPercent": 100}}}
        run("kubectl", "patch", "daskautoscaler", "my-cluster", "--type=merge", "--patch", json.dumps(calm))
    with Client(cluster) as client:
        with step("Submit work and wait for 3 workers"):
            work = client.map(snooze, [1.0] * 30, pure=False)
            wait_for("daskworkergroup/my-cluster-default", 3)
        show("kubectl", "get", "daskautoscalers,daskworkergroups")
        with step("Release the work and wait for 0 workers"):
            client.gather(work)
            del work
            wait_for("daskworkergroup/my-cluster-default", 0)


def run_a_job() -> None:
    """Run a program to completion on a cluster of its own."""
    code = "from dask.distributed import Client; print(Client().submit(sum, range(10)).result())"
    console.print(
        Syntax(f'job = ["python", "-c", \'{code}\']', "python", background_color="default", word_wrap=True)
    )
    printed: list[str] = []
    with step('Run a job: run_job(make_job_spec("my-job", job, n_workers=2))'):
        spec = make_job_spec("my-job", ["python", "-c", code], n_workers=2)
        outcome = run_job(spec, log=printed.append)
    if not outcome.succeeded or printed[-1:] != ["45"]:
        raise SystemExit(f"the job printed {printed}: {outcome.message}")
    show("kubectl", "get", "daskjobs")
    with step("Delete the job: kubectl delete daskjob my-job"):
        run("kubectl", "delete", "daskjob", "my-job")


def snooze(seconds: float) -> float:
    """Keep a worker busy."""
    time.sleep(seconds)
    return seconds


def wait_for(group: str, workers: int) -> None:
    """Wait until a group has this number of ready workers, and none that is retiring."""
    for field, value in {"readyReplicas": workers, "retiring": 0}.items():
        run("kubectl", "wait", group, f"--for=jsonpath={{.status.{field}}}={value}", "--timeout=60s")


if __name__ == "__main__":
    main()
