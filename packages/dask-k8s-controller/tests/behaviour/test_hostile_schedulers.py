"""What a user's scheduler may answer: nothing of it does more than a condition."""

import pytest

from .conftest import merged

# A server that answers each request with these bytes; `sleep` never answers.
SERVER = """
import pickle, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Bomb:
    def __reduce__(self):
        import os
        return (os._exit, (1,))

class Answer(BaseHTTPRequestHandler):
    def do_POST(self):
        {act}
    do_GET = do_POST

    def say(self, body, status=200):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

ThreadingHTTPServer(("0.0.0.0", 8787), Answer).serve_forever()
"""


def served(cluster, act):
    """A cluster whose scheduler does this when it is asked."""
    manifest = cluster()
    [container] = manifest["spec"]["scheduler"]["spec"]["containers"]
    changed = merged(container, {"command": ["python", "-c", SERVER.format(act=act)]})
    manifest["spec"]["scheduler"]["spec"]["containers"] = [changed]
    return manifest


@pytest.mark.parametrize(
    "act, reason",
    [
        pytest.param("self.say(pickle.dumps(Bomb()))", "BadAnswer", id="a pickle bomb"),
        pytest.param("self.say(b'<html>' * 100)", "BadAnswer", id="garbage", marks=pytest.mark.core),
        pytest.param("self.say(b'{\"gone\": 5}')", "BadAnswer", id="another type"),
        pytest.param("self.say(b'', 401)", "Unauthorized", id="it refuses the token"),
        pytest.param("self.say(b'', 404)", "AgentMissing", id="it has no agent"),
        pytest.param("time.sleep(3600)", "SchedulerSilent", id="no answer"),
    ],
)
def test_workers_stay_and_a_condition_says_why(world, cluster, act, reason):
    world.apply(served(cluster, act))
    world.wait("pod/demo-scheduler", "condition=Ready")  # before it runs, nobody has data
    workers = world.workers("demo-default", 2)
    world.scale("daskworkergroup/demo-default", 1)
    progressing = world.condition("daskworkergroup/demo-default", "Progressing", reason)
    assert "1 worker stays until" in progressing["message"]
    assert "scheduler pod demo-scheduler at " in progressing["message"]
    assert world.names("pods", "dask.org/component=worker") == workers
    # It is as well as before, and does what it can do without the scheduler.
    world.scale("daskworkergroup/demo-default", 3)
    world.workers("demo-default", 3)
