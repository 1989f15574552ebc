"""The command line without a Kubernetes: its output, its errors, and how it describes objects."""

import asyncio
import json
import shutil
import subprocess
import sysconfig
from datetime import UTC, datetime

import click
import dask.config
import pytest
import yaml
from aiohttp import web
from click.testing import CliRunner

from dask_k8s_client import make_cluster_spec, make_job_spec
from dask_k8s_client.cli import running, tables
from dask_k8s_client.cli.main import COMMANDS, Lazy, kubernetes
from dask_k8s_crds import DaskAutoscaler, DaskCluster, DaskJob

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
DASK = shutil.which("dask", path=sysconfig.get_path("scripts"))


def call(*args, input=None):
    return CliRunner().invoke(kubernetes, args, input=input, catch_exceptions=False)


def printed(*args):
    done = call(*args)
    assert done.exit_code == 0, done.output
    return yaml.safe_load(done.stdout)


@pytest.mark.parametrize("name", COMMANDS)
def test_list_of_commands_says_what_they_say(name):
    command = Lazy().get_command(None, name)
    assert command.name == name
    assert command.help.startswith(COMMANDS[name].help.removesuffix("."))
    assert COMMANDS[name].help in " ".join(call("--help").output.split())


def test_commands_are_completed():
    found = kubernetes.shell_complete(click.Context(kubernetes), "de")
    assert [each.value for each in found] == ["describe", "delete"]


@pytest.mark.parametrize(
    "args, expected",
    [
        pytest.param(["foo"], make_cluster_spec("foo", n_workers=3), id="a name"),
        pytest.param(["--name", "foo"], make_cluster_spec("foo", n_workers=3), id="as it was"),
        pytest.param(
            ["foo", "--n-workers", "0", "-e", "A=b=c", "--env", "B=", "--jupyter"],
            make_cluster_spec("foo", n_workers=0, env={"A": "b=c", "B": ""}, jupyter=True),
            id="environment",
        ),
        pytest.param(
            [
                *("foo", "--image", "mine", "--worker-command", "work hard", "--idle-timeout", "1 hour"),
                *("--scheduler-service-type", "NodePort", "--resources", '{"limits": {"memory": "4Gi"}}'),
            ],
            make_cluster_spec(
                "foo",
                "mine",
                3,
                {"limits": {"memory": "4Gi"}},
                None,
                "work hard",
                "NodePort",
                "1 hour",
            ),
            id="everything",
        ),
        pytest.param(
            ["foo", "--scheduler-resources", "{requests: {cpu: 1}}"],
            make_cluster_spec("foo", n_workers=3, scheduler_resources={"requests": {"cpu": 1}}),
            id="the scheduler's own",
        ),
    ],
)
def test_gen_cluster(args, expected):
    assert printed("gen", "cluster", *args) == expected
    DaskCluster.admit(expected)


def test_gen_heeds_configuration():
    with dask.config.set({"kubernetes.image": "ours"}):
        found = printed("gen", "cluster", "foo")
    assert found["spec"]["worker"]["spec"]["containers"][0]["image"] == "ours"


def test_gen_job():
    found = printed("gen", "job", "foo", "-e", "A=b", "--retries", "2", "--ttl", "1 h", "--", "work", "-v")
    expected = make_job_spec(
        "foo", ["work", "-v"], n_workers=3, env={"A": "b"}, backoffLimit=2, ttlSecondsAfterFinished=3600
    )
    expected["spec"]["job"]["spec"]["restartPolicy"] = "Never"
    assert found == expected
    DaskJob.admit(found)


def test_gen_job_on_a_cluster():
    found = printed("gen", "job", "foo", "--cluster", "bar", "--", "work")
    assert found["spec"]["clusterName"] == "bar"
    assert "cluster" not in found["spec"]


def test_gen_autoscaler():
    found = printed("gen", "autoscaler", "foo", "--maximum", "3")
    assert found["spec"] == {"cluster": "foo", "minimum": 0, "maximum": 3}
    assert "ownerReferences" not in found["metadata"]
    DaskAutoscaler.admit(found)


@pytest.mark.parametrize(
    "args, namespace",
    [
        pytest.param(["gen", "cluster", "foo"], None, id="none"),
        pytest.param(["-n", "a", "gen", "cluster", "foo"], "a", id="before"),
        pytest.param(["gen", "cluster", "foo", "-n", "b"], "b", id="after"),
        pytest.param(["-n", "a", "gen", "cluster", "foo", "--namespace", "b"], "b", id="both"),
    ],
)
def test_namespace_may_stand_anywhere(args, namespace):
    assert printed(*args)["metadata"].get("namespace") == namespace


def test_json():
    assert json.loads(call("gen", "cluster", "foo", "-o", "json").stdout)["kind"] == "DaskCluster"


@pytest.mark.parametrize(
    "args, message",
    [
        pytest.param(["nope"], "nope", id="no such command"),
        pytest.param(["gen", "cluster"], "NAME", id="no name"),
        pytest.param(["gen", "cluster", "foo", "-e", "A"], "'A' is not NAME=VALUE", id="env"),
        pytest.param(["gen", "cluster", "foo", "--resources", "[1"], "not JSON; an example", id="not json"),
        pytest.param(["gen", "cluster", "foo", "--resources", "{a: 1}"], "unknown key 'a'", id="resources"),
        pytest.param(["gen", "cluster", "foo", "--idle-timeout", "soon"], "not 'soon'", id="duration"),
        pytest.param(["gen", "cluster", "foo", "--n-workers", "-1"], "n-workers", id="negative"),
        pytest.param(["gen", "job", "foo"], "COMMAND", id="no command"),
        pytest.param(
            ["gen", "job", "foo", "--cluster", "bar", "--n-workers", "2", "--", "work"],
            "--n-workers is for one of its own",
            id="workers of another's cluster",
        ),
        pytest.param(
            ["gen", "autoscaler", "foo", "--minimum", "2", "--maximum", "1"],
            "1 is less than the minimum, 2",
            id="bounds",
        ),
        pytest.param(["adapt", "foo", "--minimum", "2", "--maximum", "1"], "less than", id="adapt"),
        pytest.param(["create"], "either NAME or --filename", id="nothing to create"),
        pytest.param(["create", "foo", "-f", "-"], "either NAME or --filename", id="two to create"),
        pytest.param(
            ["create", "-f", "-", "--image", "x", "-e", "A=b"], "--image, --env would", id="said twice"
        ),
        pytest.param(["create", "-f", "/nowhere.yaml"], "/nowhere.yaml", id="no file"),
        pytest.param(["list", "--kubeconfig", "/nowhere"], "/nowhere", id="no kubeconfig"),
        pytest.param(["logs", "foo", "-f", "--tail", "3"], "exclude each other", id="tail"),
        pytest.param(["scale", "foo", "many"], "many", id="no number"),
    ],
)
def test_what_is_not_understood(args, message):
    done = call(*args)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr


@pytest.mark.parametrize(
    "args, input, message",
    [
        pytest.param(["gen", "cluster", "Foo"], None, "metadata.name: Invalid value", id="name"),
        pytest.param(["create", "-f", "-"], "a: [", "stdin is not YAML", id="not yaml"),
        pytest.param(["create", "-f", "-"], "", "stdin must hold one DaskCluster", id="empty"),
        pytest.param(["create", "-f", "-"], "a: 1", "stdin: metadata.name: Required value", id="no name"),
        pytest.param(
            ["create", "-f", "-"],
            yaml.safe_dump(make_job_spec("foo", "work")),
            'kind: Unsupported value: "DaskJob"',
            id="a job",
        ),
        pytest.param(
            ["create", "-f", "-", "-n", "b"],
            yaml.safe_dump(make_cluster_spec("foo") | {"metadata": {"name": "foo", "namespace": "a"}}),
            "stdin: metadata.namespace: is 'a', but namespace='b' was passed",
            id="two namespaces",
        ),
    ],
)
def test_what_cannot_be(args, input, message):
    done = call(*args, input=input)
    assert (done.exit_code, done.stdout) == (1, "")
    assert message in done.stderr


@pytest.fixture
def config(tmp_path, unused_tcp_port):
    """A kubeconfig for a server on this machine, and its port."""
    path = tmp_path / "config"
    content = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "foo"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{unused_tcp_port}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path, unused_tcp_port


FORBIDDEN = {
    "kind": "Status",
    "reason": "Forbidden",
    "message": 'daskclusters.kubernetes.dask.org is forbidden: User "u" cannot list resource "daskclusters"',
}


@pytest.mark.parametrize(
    "args, answer, messages",
    [
        pytest.param(
            ["list"],
            (403, FORBIDDEN),
            ['cannot list resource "daskclusters"', "`kubectl auth can-i --list`"],
            id="forbidden",
        ),
        pytest.param(
            ["get", "foo"],
            (404, {}),
            ["cannot read the DaskCluster foo in the namespace foo", "dask-k8s-crds | kubectl apply"],
            id="unknown kind",
        ),
        pytest.param(
            ["list", "--context", "nope"], None, ["nope", "kubectl config get-contexts"], id="context"
        ),
        pytest.param(["list"], None, ["cannot reach the Kubernetes API at http://127.0.0.1"], id="nobody"),
    ],
)
async def test_what_kubernetes_refuses(config, args, answer, messages):
    """It ends with the reason and advice."""
    path, port = config

    async def handle(request):
        return web.json_response(answer[1], status=answer[0])

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    if answer:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    done = await asyncio.to_thread(call, "--kubeconfig", str(path), *args)
    await runner.cleanup()
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    assert [each for each in messages if each not in done.stderr] == []


def test_the_whole_output_of_a_process_that_fails(config):
    """No traceback, no warnings."""
    path, port = config
    command = [DASK, "kubernetes", "--kubeconfig", path, "list"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    message, advice = done.stderr.splitlines()
    assert message.startswith(f"Error: cannot reach the Kubernetes API at http://127.0.0.1:{port}: ")
    assert advice.startswith("`kubectl cluster-info` asks the same server")


OTHERS = [("here", "food"), ("here", "bar"), ("there", "baz")]


@pytest.mark.parametrize(
    "name, namespace, others, text",
    [
        pytest.param("foo", "here", OTHERS, "Did you mean food?", id="near"),
        pytest.param("xyz", "here", OTHERS, "here.\n`dask kubernetes list -n here` shows", id="far"),
        pytest.param("baz", "here", OTHERS, "There is one elsewhere: -n there", id="elsewhere"),
        pytest.param("foo", "empty", OTHERS, "It has none; `dask kubernetes list -A`", id="empty"),
        pytest.param("foo", "here", [], "`dask kubernetes create foo -n here`", id="nothing"),
    ],
)
def test_no_such_cluster(name, namespace, others, text):
    message = running.missing(name, namespace, others)
    assert message.startswith(f"there is no DaskCluster {name} in the namespace {namespace}.")
    assert text in message


@pytest.mark.parametrize(
    "then, text",
    [
        ("2026-11-26T12:00:00Z", "0s"),
        ("2026-11-26T12:00:09Z", "0s"),
        ("2026-11-26T11:58:30.5Z", "89s"),
        ("2026-11-26T11:55:00Z", "5m"),
        ("2026-11-26T02:00:00Z", "10h"),
        ("2026-11-20T12:00:00Z", "6d"),
        (None, "-"),
    ],
)
def test_age(then, text):
    assert tables.age(then, NOW) == text


def cluster(*conditions, **status):
    metadata = {"name": "foo", "namespace": "bar", "creationTimestamp": "2026-11-26T11:00:00Z"}
    found = [{"type": kind, "status": holds, **more} for kind, holds, more in conditions]
    return {"metadata": metadata, "status": status | ({"conditions": found} if found else {})}


@pytest.mark.parametrize(
    "body, text",
    [
        pytest.param(cluster(), "unseen by a controller", id="unseen"),
        pytest.param(cluster(phase="Running"), "Running", id="running"),
        pytest.param(
            cluster(("Degraded", "True", {"reason": "QuotaExceeded"}), phase="Pending"),
            "Pending (QuotaExceeded)",
            id="degraded",
        ),
        pytest.param(
            {"metadata": {"deletionTimestamp": "2026-11-26T12:00:00Z"}, "status": {"phase": "Running"}},
            "Terminating",
            id="going",
        ),
    ],
)
def test_state(body, text):
    assert tables.state(body).plain == text


MOVING = ("Progressing", "True", {"reason": "WorkersNotReady", "message": "2 of 3 workers are ready"})


@pytest.mark.parametrize(
    "body, text",
    [
        pytest.param(cluster(), None, id="unseen"),
        pytest.param(cluster(("Progressing", "False", {}), replicas=3, updatedReplicas=1), None, id="still"),
        pytest.param(
            cluster(MOVING, replicas=3, updatedReplicas=1),
            "Waiting for rollout: 1 of 3 workers are updated",
            id="rollout",
        ),
        pytest.param(
            cluster(("Degraded", "True", {}), replicas=3, updatedReplicas=1),
            "Waiting for rollout: 1 of 3 workers are updated",
            id="stuck",
        ),
        pytest.param(
            cluster(MOVING, replicas=3, updatedReplicas=3), "Waiting: 2 of 3 workers are ready", id="starting"
        ),
    ],
)
def test_waiting_for(body, text):
    assert tables.waiting_for(body) == text


def pod(name, *, component="worker", **status):
    metadata = {"name": name, "labels": {"dask.org/component": component}}
    return {"metadata": metadata, "spec": {}, "status": status}


def container(restarts=0, **state):
    return {"containerStatuses": [{"name": "worker", "restartCount": restarts, "state": state}]}


READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
NO_ROOM = {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}


@pytest.mark.parametrize(
    "status, restarts, text",
    [
        pytest.param({}, "0", "Pending", id="new"),
        pytest.param(READY, "0", "Ready", id="ready"),
        pytest.param({"phase": "Running"}, "0", "not ready", id="not ready"),
        pytest.param(NO_ROOM, "0", "Unschedulable", id="no room"),
        pytest.param(
            container(3, waiting={"reason": "CrashLoopBackOff"}), "3", "CrashLoopBackOff", id="crash"
        ),
        pytest.param(
            {"phase": "Succeeded", **container(terminated={"reason": "Completed"})},
            "0",
            "Succeeded",
            id="over",
        ),
    ],
)
def test_pod(status, restarts, text):
    [row] = tables.pod_rows([pod("a", **status)], NOW)
    assert (row[0], row[1], row[2], row[-1].plain) == ("a", "worker", restarts, text)


def test_very_many_pods():
    """The scheduler and the pods that are not ready come first."""
    many = [pod(f"w{number:03}", **READY) for number in range(98)]
    rows = tables.pod_rows([*many, pod("x-late"), pod("z-scheduler", component="scheduler", **READY)], NOW)
    assert [row[0] for row in rows[:3]] == ["z-scheduler", "x-late", "w000"]
    assert rows[-1][0] == "and 50 more"
    assert len(rows) == tables.PODS_SHOWN + 1


def event(second, name, message="no room"):
    return {
        "metadata": {},
        "type": "Warning",
        "reason": "FailedScheduling",
        "message": message,
        "lastTimestamp": f"2026-11-26T11:59:{second:02}Z",
        "involvedObject": {"kind": "Pod", "name": name},
    }


def test_events_that_say_the_same_come_once():
    rows = tables.event_rows([event(9, "b"), event(5, "c", "other"), event(1, "a"), event(2, "a")], NOW)
    assert [(row[0], row[3], row[4]) for row in rows] == [
        ("55s", "Pod/c", "other"),
        ("51s", "Pod/b and 1 more", "no room"),
    ]


def test_autoscaler_line():
    active = {"conditions": [{"type": "Active", "status": "True", "message": "all is well"}]}
    assert tables.autoscaler_line({"spec": {"minimum": 1, "maximum": 3}}) == "1 to 3 workers"
    assert tables.autoscaler_line({"spec": {}, "status": active}) == "0 workers and more: all is well"
