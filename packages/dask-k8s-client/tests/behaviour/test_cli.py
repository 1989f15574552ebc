"""`dask kubernetes` as people type it, against a Kubernetes with a controller."""

import json
import os
import re
import shutil
import signal
import subprocess
import sysconfig
import time
import urllib.request
from contextlib import contextmanager

import pytest
from click.testing import CliRunner
from distributed import Client

from dask_k8s_client import make_cluster_spec
from dask_k8s_client.cli.main import kubernetes

DASK = shutil.which("dask", path=f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}")
NOISE = re.compile("Traceback|ResourceWarning|never retrieved")


@pytest.fixture
def environment(kubeconfig):
    """The environment of commands; they warn of resources that they leave open, which fails the test."""
    return {**os.environ, "PYTHONWARNINGS": "default::ResourceWarning"}


@pytest.fixture
def dask(here, environment):
    """`dask("get", "foo")` returns stdout; with the expected exit code `fails`, stderr."""

    def run(*args, fails=None, input=None):
        command = [DASK, "kubernetes", "-n", here, *args]
        done = subprocess.run(
            command, check=False, input=input, env=environment, capture_output=True, text=True
        )
        assert done.returncode == (fails or 0), done.stderr
        assert not NOISE.search(done.stderr), done.stderr
        return done.stderr if fails else done.stdout

    return run


@pytest.fixture
def start(here, environment):
    """Like `dask`, for a command that runs until it receives a signal; a context manager."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # who is started where it is ignored ignores it

    @contextmanager
    def running(*args):
        command = [DASK, "kubernetes", "-n", here, *args]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
            try:
                yield process
            finally:
                process.kill()

    return running


def end(process, code):
    """Wait until the process has ended; return stderr."""
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert not NOISE.search(err), err
    return err


def line(process, pattern):
    """Wait for a line that matches."""
    for text in process.stdout:
        if found := re.search(pattern, text):
            return found
    return pytest.fail(process.stderr.read())


def short_lived(name, n_workers):
    """A cluster that starts and ends quickly."""
    spec = make_cluster_spec(name, n_workers=n_workers)
    for section in ("scheduler", "worker"):
        spec["spec"][section]["spec"]["terminationGracePeriodSeconds"] = 1
    probe = spec["spec"]["scheduler"]["spec"]["containers"][0]["readinessProbe"]
    probe |= {"initialDelaySeconds": 0, "periodSeconds": 1}
    return spec


@pytest.fixture(scope="module")
def standing(served, kubectl_in):
    """A cluster for tests that do not change it."""
    kubectl = kubectl_in(served)
    kubectl.apply(short_lived("standing", 1))
    kubectl.wait("daskcluster/standing", "condition=Ready")
    while "Registered to" not in kubectl("logs", "-l", "dask.org/workergroup-name=standing-default"):
        time.sleep(0.2)  # a worker is ready before it has said that
    yield "standing"
    kubectl("delete", "daskcluster/standing")


def client_of_a_job(name, cluster):
    """The client of a job remains for its logs when its cluster is deleted; this one never starts."""
    labels = {"dask.org/cluster-name": cluster, "dask.org/component": "job-runner"}
    container = {"name": "job", "image": "ghcr.io/dask/dask:latest", "args": ["true"]}
    spec = {"containers": [container], "nodeSelector": {"disktype": "none-has-it"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


def test_life_of_a_cluster(dask, kube):
    said = dask("create", "-f", "-", "--wait", input=json.dumps(short_lived("lives", 1)))
    assert said == (
        "daskcluster.kubernetes.dask.org/lives created\ndaskcluster.kubernetes.dask.org/lives is ready\n"
    )
    assert "there is a DaskCluster lives" in dask("create", "lives", fails=1)

    assert dask("scale", "lives", "2") == "daskcluster.kubernetes.dask.org/lives scaled to 2\n"
    kube.wait("daskcluster/lives", "jsonpath={.status.workers}=2/2")
    assert re.search(r"^lives +\S+ +Running +2/2 +\d+[sm]$", dask("list"), re.MULTILINE)

    assert "adapts: 2 to 3 workers" in dask("adapt", "lives", "--minimum", "2", "--maximum", "3")
    assert kube.get("daskautoscaler/lives")["spec"]["maximum"] == 3
    text = dask("describe", "lives")
    for pattern in (
        r"Phase +Running",
        r"Workers +2/2 ready",
        r"Scheduler +tcp://lives-scheduler\.",
        r"SchedulerReady +True",
        r"Scaled by lives, 2 to 3 workers",
        r"lives-default +2/2",
        r"lives-scheduler +scheduler +0 .* Ready",
        r"lives-default-worker-\w+ +worker +0 .* Ready",
    ):
        assert re.search(pattern, text), text

    kube.apply(client_of_a_job("of-lives", "lives"))
    assert dask("delete", "lives", "--wait") == "daskcluster.kubernetes.dask.org/lives deleted\n"
    assert kube.names("pods", "dask.org/cluster-name=lives") == {"of-lives"}
    kube("delete", "pod/of-lives")


@pytest.mark.parametrize(
    "args",
    [
        pytest.param(
            ("cluster", "dry", "-e", "A=yes", "--resources", '{"limits": {"memory": "1Gi"}}'), id="cluster"
        ),
        pytest.param(("autoscaler", "dry", "--maximum", "3"), id="autoscaler"),
        pytest.param(("job", "dry", "--", "python", "-c", "print('a: b')"), id="job"),
    ],
)
def test_what_gen_prints_is_accepted(kube, args):
    printed = CliRunner().invoke(kubernetes, ["gen", *args]).stdout
    assert "dry created (server dry run)" in kube("apply", "--dry-run=server", "-f", "-", input=printed)


def test_a_cluster_that_does_not_start(dask, kube):
    """The message contains the reason and what to do next."""
    said = dask("create", "imageless", "--image", "registry.invalid/dask/nope:1", "--wait", fails=1)
    assert re.search(r"registry\.invalid/dask/nope:1", said)
    assert "`dask kubernetes delete imageless" in said
    kube.wait("daskcluster/imageless", "condition=Degraded")
    assert re.search(r"Pending \(\w*Image\w*\)", dask("get", "imageless"))
    kube("delete", "daskcluster/imageless")


def test_a_rollout(dask, kube):
    """It is reported while it goes on and when it is stuck."""
    kube.apply(short_lived("rolls", 2))
    kube.wait("daskcluster/rolls", "condition=Ready")
    nowhere = {"spec": {"worker": {"spec": {"nodeSelector": {"disktype": "none-has-it"}}}}}
    kube("patch", "daskcluster/rolls", "--type=merge", "-p", json.dumps(nowhere))
    kube.wait("daskcluster/rolls", "jsonpath={.status.updatedReplicas}=1")
    assert "Waiting for rollout: 1 of 2 workers are updated" in dask("get", "rolls")
    kube("delete", "daskcluster/rolls")


def test_clusters_of_all_namespaces(dask, here, standing):
    found = json.loads(dask("list", "-A", "-o", "json"))["items"]
    assert (here, standing) in {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in found}


@pytest.mark.parametrize(
    "args, message",
    [
        pytest.param(("get", "standin"), "Did you mean standing?", id="cluster"),
        pytest.param(
            ("scale", "standing", "1", "--group", "x"), "no worker group 'x', but: default", id="group"
        ),
    ],
)
def test_what_is_not_there(dask, standing, args, message):
    assert message in dask(*args, fails=1)


def test_logs(dask, standing):
    everybody = dask("logs", standing)
    assert re.search(rf"^{standing}-scheduler .*Scheduler at", everybody, re.MULTILINE)
    assert re.search(rf"^{standing}-default-worker-\w+ .*Registered to", everybody, re.MULTILINE)
    workers = dask("logs", standing, "--group", "default", "--tail", "1")
    assert re.fullmatch(rf"{standing}-default-worker-\w+ .*\n", workers)


def test_logs_are_followed_to_the_end(start, kube):
    """Pods that come later are included."""
    kube.apply(short_lived("followed", 0))
    with start("logs", "followed", "-f") as process:
        line(process, "^followed-scheduler .*Scheduler at")
        kube("scale", "daskworkergroup/followed-default", "--replicas=1")
        line(process, r"^followed-default-worker-\w+ .*Registered to")
        kube("delete", "daskcluster/followed")
        end(process, 0)


def test_port_forward(start, standing, unused_tcp_port):
    with start("port-forward", standing, "--port", str(unused_tcp_port)) as process:
        address = line(process, r"Scheduler at (\S+)")[1]
        assert address == f"tcp://127.0.0.1:{unused_tcp_port}"
        with Client(address) as client:
            assert client.submit(sum, [1, 2]).result() == 3
        with start("port-forward", standing, "--port", str(unused_tcp_port)) as second:
            assert "Choose another port" in end(second, 1)
        process.send_signal(signal.SIGINT)
        end(process, 0)


def test_dashboard(start, kube):
    """It ends when the cluster is deleted."""
    kube.apply(short_lived("shown", 0))
    with start("dashboard", "shown", "--no-browser") as process:
        link = line(process, r"Dashboard at (http://\S+)/status")[1]
        with urllib.request.urlopen(f"{link}/health", timeout=60) as response:
            assert response.read() == b"ok"
        kube("delete", "daskcluster/shown")
        assert "the DaskCluster shown in the namespace" in end(process, 1)


def test_a_job(dask, standing):
    code = "from distributed import Client; c = Client(); print('sum', c.submit(sum, range(10)).result())"
    args = ("run", "typed", "--cluster", standing, "--", "python", "-c", code)
    assert dask(*args).splitlines()[-1] == "sum 45"
    assert "`kubectl delete daskjob typed" in dask(*args, fails=1)


def test_a_job_that_fails(dask, kube, standing):
    said = dask("run", "typed-fails", "--cluster", standing, "--", "sh", "-c", "echo no; exit 3", fails=1)
    assert "the job typed-fails in the namespace" in said
    assert "BackoffLimitExceeded" in said
    pod = re.search("kubectl logs (\\S+)", said)[1]
    assert kube("logs", pod) == "no\n"


def test_a_job_that_is_interrupted(start, kube, standing):
    with start(
        "run", "typed-long", "--cluster", standing, "--", "sh", "-c", "echo begun; sleep 600"
    ) as process:
        line(process, "begun")
        process.send_signal(signal.SIGINT)
        goes_on = r"the job typed-long goes on, `kubectl delete daskjob typed-long -n \S+` ends it"
        assert re.search(goes_on, end(process, 1))
    kube("wait", "daskjob/typed-long", "--for=jsonpath={.status.jobStatus}=Running", "--timeout=120s")
    kube("delete", "daskjob/typed-long")
