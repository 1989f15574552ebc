"""Probes against real containers."""

import pytest

from dask_k8s_local.resources import PODS

SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if os.path.exists(os.path.expanduser("~/ok")) else 503)
        self.end_headers()
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""
CONNECT = "import socket; socket.create_connection(('localhost', 8000))"
PORTS = [{"name": "http", "containerPort": 8000}]
QUICK = {"periodSeconds": 0.05, "failureThreshold": 1}


def server(here, **container):
    return here.run("python", "-c", SERVER, container={"ports": PORTS, **container})


def set_ok(here, *, ok=True):
    home = next((here.directory / "pods").iterdir()) / "home"
    (home / "ok").touch() if ok else (home / "ok").unlink()


def is_ready(pod):
    return {one["type"]: one["status"] for one in pod["status"].get("conditions") or ()}.get(
        "Ready"
    ) == "True"


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param({"httpGet": {"port": "http", "path": "/health"}}, id="http-named-port"),
        pytest.param({"httpGet": {"port": 8000}}, id="http-number"),
        pytest.param({"exec": {"command": ["sh", "-c", "test -e ~/ok"]}}, id="exec"),
    ],
)
async def test_readiness(here, handler):
    server(here, readinessProbe={**handler, **QUICK})
    status = await here.container(lambda status: "running" in status["state"])
    assert status["started"]
    assert not status["ready"]
    set_ok(here)
    await here.until(is_ready)
    set_ok(here, ok=False)
    pod = await here.until(lambda pod: not is_ready(pod))
    ready = next(one for one in pod["status"]["conditions"] if one["type"] == "Ready")
    assert (ready["reason"], ready["message"]) == (
        "ContainersNotReady",
        "containers with unready status: [main]",
    )


async def test_tcp(here):
    server(here, readinessProbe={"tcpSocket": {"port": "http"}, **QUICK})
    await here.until(is_ready)
    address = here.pod()["status"]["podIP"]
    refused = f"Readiness probe failed: dial tcp {address}:8000: connect: connection refused"
    assert refused in here.events("Unhealthy")


async def test_liveness(here):
    started = {"exec": {"command": ["python", "-c", CONNECT]}, **QUICK, "failureThreshold": 1000}
    server(here, livenessProbe={"httpGet": {"port": "http"}, **QUICK}, startupProbe=started)
    status = await here.container(lambda status: status["restartCount"] == 1)
    assert status["lastState"]["terminated"]["exitCode"] == 143
    assert "Container main failed liveness probe, will be restarted" in here.events("Killing")
    assert "Liveness probe failed: HTTP probe failed with statuscode: 503" in here.events("Unhealthy")


async def test_startup_holds_the_others_back(here):
    never = {"exec": {"command": ["false"]}, **QUICK}
    startup = {"httpGet": {"port": "http"}, **QUICK, "failureThreshold": 1000}
    server(here, startupProbe=startup, livenessProbe=never)
    status = await here.container(lambda status: "running" in status["state"])
    assert not status["started"]
    set_ok(here)
    await here.container(lambda status: status["restartCount"] == 1)


async def test_startup_fails(here):
    server(here, startupProbe={"exec": {"command": ["false"]}, **QUICK})
    await here.container(lambda status: status["restartCount"] == 1)
    assert "Container main failed startup probe, will be restarted" in here.events("Killing")


async def test_timeout(here, until):
    probe = {"exec": {"command": ["sleep", "10"]}, **QUICK, "timeoutSeconds": 0.1}
    here.run("sleep", "100", container={"readinessProbe": probe})
    await until(lambda: here.events("Unhealthy"))
    expected = 'Readiness probe failed: command timed out: "sleep 10" timed out after 0.1s'
    assert here.events("Unhealthy") == [expected]


async def test_readiness_gate(here):
    gate = "example.com/gate"
    here.run("sleep", "100", readinessGates=[{"conditionType": gate}])
    await here.phase("Running")
    pod = here.pod()
    assert not is_ready(pod)
    conditions = [*pod["status"]["conditions"], {"type": gate, "status": "True"}]
    here.store.update(PODS, {**pod, "status": {**pod["status"], "conditions": conditions}})
    pod = await here.until(is_ready)
    assert conditions[-1] in pod["status"]["conditions"]


async def test_post_start(here):
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "echo hook > ~/hook"]}}}
    script = "until grep -q hook ~/hook; do sleep 0.02; done"
    here.run("sh", "-c", script, restartPolicy="Never", container={"lifecycle": hook})
    await here.phase("Succeeded")
