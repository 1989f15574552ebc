"""Of two controllers one works. It is killed or stopped: the other goes on, and makes nothing twice."""

import time

import pytest

from dask_k8s_controller.testing.process import DEADLINE

TWENTY = {"spec": {"worker": {"replicas": 20}}}


@pytest.fixture
def candidate(run_controller, world):
    """Run a controller that waits for the lease of the test's namespace."""

    def run(**options):
        return run_controller("--leader-elect", "--lease-namespace", world.namespace, **options)

    return run


def leads(controller):
    controller.wait_for_log("Leader: acquired the lease")
    deadline = time.monotonic() + DEADLINE
    while controller.health("/readyz") != (200, "ok, leader"):  # it loads the key of agents' tokens first
        assert time.monotonic() < deadline, controller.health("/readyz")
        time.sleep(0.1)


def test_a_standby_goes_on(world, candidate, proxy, cluster):
    leader = candidate(kubeconfig=proxy.kubeconfig)
    leads(leader)
    standby = candidate()
    assert standby.health("/readyz") == (200, "ok, standby")
    assert "\ndask_k8s_leader 0.0\n" in standby.health("/metrics")[1]

    proxy.go_silent_at("POST", "/pods", 9, True)
    world.apply(cluster("demo", TWENTY, hold=True))
    assert proxy.silent.wait(30)
    leader.kill()
    proxy.speak()
    ever = world.ever("pods", 21)
    world.wait("daskworkergroup/demo-default", "jsonpath={.status.replicas}=20")
    leads(standby)
    assert world.is_quiet("pods")
    assert world.names("pods") == ever
    assert len(ever) == 21

    leader.start()
    world.scale("daskcluster/demo", 30)
    assert standby.stop() == 0
    assert any("Released the lease" in line for line in standby.log)
    leads(leader)
    world.workers("demo-default", 30, ready=False)
    assert len(world.names("pods")) == 31

    proxy.refuse(503)
    leader.wait_for_log("Lost the lease")
    assert leader.process.wait(timeout=30) == 1
