"""From nothing to a Dask cluster on Kubernetes: start one, compute on it, scale it, take it down.

    nox -s quickstart

Starts a Kubernetes in a Python process and the controller beside it, does everything a first user does,
and leaves nothing behind. With `KUBECONFIG` set by hand it is the same on any Kubernetes: see the README.
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
    """Say what is being done, and how long it took."""
    start = time.perf_counter()
    with console.status(title):
        yield
    console.print(f"[green]✓[/] {title} [dim]{time.perf_counter() - start:.1f} s[/]")


def run(*command: str, stdin: str | None = None) -> str:
    """Run a command and return what it prints; what it complains of is shown if it fails."""
    result = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if result.returncode:
        console.print(f"[red]✗ {' '.join(command)}[/]\n{result.stdout}{result.stderr}")
        raise SystemExit(1)
    return result.stdout


def show(*command: str) -> None:
    """Run a command in front of the user."""
    console.print(f"\n[bold]$ {' '.join(command)}[/]", soft_wrap=True)
    printed = run(*command).rstrip()
    console.print(printed or "(nothing)", markup=False, soft_wrap=True, style=None if printed else "dim")
    console.print()


@contextmanager
def kubernetes(folder: Path) -> Iterator[None]:
    """Have a Kubernetes of our own, and be logged in to it."""
    environment = {"XDG_STATE_HOME": str(folder), "KUBECONFIG": str(folder / "kubeconfig")}
    os.environ |= environment
    run("dask-k8s-local", "up", "--detach", "--kubeconfig", environment["KUBECONFIG"])
    try:
        yield
    finally:
        run("dask-k8s-local", "down")


@contextmanager
def controller() -> Iterator[None]:
    """Run the controller beside us, as a pod would run it."""
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
    """Do something real on the workers, and check it."""
    with Client(cluster):
        numbers = da.arange(1_000_000, chunks=50_000)
        total = int((numbers**2).sum().compute())
    expected = sum(number**2 for number in range(1_000_000))
    if total != expected:
        raise SystemExit(f"the workers say {total}, it is {expected}")


def main() -> None:
    """Go through all steps."""
    began = time.perf_counter()
    console.print(Panel.fit("[bold]Dask on Kubernetes[/], from nothing", border_style="blue"))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dask-k8s-quickstart-")))
        with step("a Kubernetes in a Python process"):
            stack.enter_context(kubernetes(folder))
        with step("the kinds DaskCluster, DaskWorkerGroup, DaskAutoscaler and DaskJob"):
            run("kubectl", "apply", "--filename", "-", stdin=run("dask-k8s-crds"))
        with step("the controller"):
            stack.enter_context(controller())
        use_it()
        run_a_job()
    console.print(f"[bold green]Done[/] [dim]{time.perf_counter() - began:.1f} s[/]")


def use_it() -> None:
    """Do what a first user does."""
    code = 'cluster = KubeCluster(name="my-cluster", n_workers=2)'
    console.print(Syntax(code, "python", background_color="default"))
    with step("KubeCluster with 2 workers"):
        cluster = KubeCluster(name="my-cluster", n_workers=2, quiet=True)
    with cluster:
        with step("the sum of a million squares on its workers"):
            compute(cluster)
        with step('a second group: cluster.add_worker_group(name="highmem", n_workers=1)'):
            cluster.add_worker_group(name="highmem", n_workers=1)
            wait_for("daskworkergroup/my-cluster-highmem", 1)
        with step("more workers: cluster.scale(4)"):
            cluster.scale(4)
            wait_for("daskworkergroup/my-cluster-default", 4)
        show("kubectl", "get", EVERYTHING, *OF_OURS)
        run("kubectl", "wait", "daskcluster/my-cluster", "--for=condition=Ready", "--timeout=60s")
        show("kubectl", "get", "daskcluster", "my-cluster")
        with step("fewer workers, and none takes its data with it: cluster.scale(1)"):
            cluster.scale(1)
            wait_for("daskworkergroup/my-cluster-default", 1)
        adapt(cluster)
        with step("kubectl delete daskcluster my-cluster"):
            run("kubectl", "delete", "daskcluster", "my-cluster")
            run("kubectl", "wait", "pod,service", *OF_OURS, "--for=delete")
    show("kubectl", "get", EVERYTHING, *OF_OURS)


def adapt(cluster: KubeCluster) -> None:
    """Let the work decide how many workers there are."""
    with step('cluster.adapt(minimum=0, maximum=3, interval="1 s", target_duration="1 s")'):
        cluster.adapt(minimum=0, maximum=3, interval="1 s", target_duration="1 s")
        # A cluster in earnest keeps its workers for a while.
        calm = {"spec": {"scaleDown": {"stabilizationSeconds": 2, "maxStepPercent": 100}}}
        run("kubectl", "patch", "daskautoscaler", "my-cluster", "--type=merge", "--patch", json.dumps(calm))
    with Client(cluster) as client:
        with step("work makes workers appear"):
            work = client.map(snooze, [1.0] * 30, pure=False)
            wait_for("daskworkergroup/my-cluster-default", 3)
        show("kubectl", "get", "daskautoscalers,daskworkergroups")
        with step("calm makes them go"):
            client.gather(work)
            del work
            wait_for("daskworkergroup/my-cluster-default", 0)


def run_a_job() -> None:
    """Have a client run to completion, on a cluster for the length of it."""
    code = "from dask.distributed import Client; print(Client().submit(sum, range(10)).result())"
    console.print(
        Syntax(f'job = ["python", "-c", \'{code}\']', "python", background_color="default", word_wrap=True)
    )
    printed: list[str] = []
    with step('run_job(make_job_spec("my-job", job, n_workers=2))'):
        spec = make_job_spec("my-job", ["python", "-c", code], n_workers=2)
        outcome = run_job(spec, log=printed.append)
    if not outcome.succeeded or printed[-1:] != ["45"]:
        raise SystemExit(f"the job says {printed}: {outcome.message}")
    show("kubectl", "get", "daskjobs")
    with step("kubectl delete daskjob my-job"):
        run("kubectl", "delete", "daskjob", "my-job")


def snooze(seconds: float) -> float:
    """Keep a worker busy."""
    time.sleep(seconds)
    return seconds


def wait_for(group: str, workers: int) -> None:
    """Wait until a group has so many workers that are ready, and none on its way out."""
    for field, value in {"readyReplicas": workers, "retiring": 0}.items():
        run("kubectl", "wait", group, f"--for=jsonpath={{.status.{field}}}={value}", "--timeout=60s")


if __name__ == "__main__":
    main()
