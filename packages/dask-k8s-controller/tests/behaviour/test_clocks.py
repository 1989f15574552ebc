"""The clock of the controller's machine is wrong by an hour."""

import sys
from datetime import datetime

import pytest

INTERPRETER = """#!{python}
import runpy, sys
from datetime import timedelta
from dask_k8s_controller.runtime.clock import Clock

right = Clock.machine_time
Clock.machine_time = lambda clock: right(clock) + timedelta(hours={hours})
sys.argv = sys.argv[2:]  # without `-m dask_k8s_controller`
runpy.run_module("dask_k8s_controller", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("hours", [-1, 1])
def test_an_ended_scheduler_is_replaced_after_ten_seconds(hours, world, run_controller, tmp_path, cluster):
    interpreter = tmp_path / "python"
    interpreter.write_text(INTERPRETER.format(python=sys.executable, hours=hours))
    interpreter.chmod(0o755)
    container = {"name": "dask", "image": "ghcr.io/dask/dask:latest", "command": ["false"]}
    spec = {"restartPolicy": "Never", "containers": [container]}
    ends = cluster("demo", {"spec": {"scheduler": {"spec": spec}, "worker": {"replicas": 0}}})
    run_controller(python=interpreter)
    world.apply(ends)
    (first,) = world.until("pods", lambda pods: len(pods) == 1)
    uid = first["metadata"]["uid"]
    (second,) = world.until("pods", lambda pods: len(pods) == 1 and pods[0]["metadata"]["uid"] != uid)
    created = [datetime.fromisoformat(pod["metadata"]["creationTimestamp"]) for pod in (first, second)]
    # To the second, and with the time that the end of a pod takes.
    assert 9 <= (created[1] - created[0]).total_seconds() < 60
