"""The API server is away for a while, or refuses: the controller comes back, and makes nothing twice."""

import pytest

TWENTY = {"spec": {"worker": {"replicas": 20}}}
REFUSED = "does not accept the credentials"
STATUSES = {"hangs up": 0, "knows us no more": 401, "is busy": 429, "has a defect": 500, "is starting": 503}


@pytest.mark.parametrize("outage", [pytest.param("hangs up", marks=pytest.mark.core), *list(STATUSES)[1:]])
def test_it_refuses_for_a_while(outage, world, run_controller, proxy, cluster):
    controller = run_controller(kubeconfig=proxy.kubeconfig)
    world.apply(cluster(hold=True))
    world.workers("demo-default", 2, ready=False)
    proxy.refuse(STATUSES[outage])
    world.scale("daskcluster/demo", 20)
    controller.wait_for_log(REFUSED if STATUSES[outage] == 401 else "cannot watch")
    proxy.accept()
    world.workers("demo-default", 20, ready=False)
    assert world.is_quiet("pods")
    assert controller.process.poll() is None


@pytest.mark.alone
@pytest.mark.parametrize("outage", ["hangs up", "knows us no more"])
def test_it_refuses_one_that_serves_all_namespaces(outage, world, run_controller, proxy, cluster):
    """The framework watches namespaces and kinds then."""
    controller = run_controller("--all-namespaces", namespaces=(), kubeconfig=proxy.kubeconfig)
    proxy.refuse(STATUSES[outage])
    controller.wait_for_log(REFUSED if STATUSES[outage] == 401 else "cannot watch")
    proxy.accept()
    world.apply(cluster(hold=True))
    world.workers("demo-default", 2, ready=False)
    assert controller.process.poll() is None


def test_it_goes_silent_for_a_while(world, run_controller, proxy, cluster):
    run_controller("--watch-seconds", "4", kubeconfig=proxy.kubeconfig)
    proxy.go_silent_at("POST", "/pods", 9, True)
    world.apply(cluster("demo", TWENTY, hold=True))
    assert proxy.silent.wait(60)
    proxy.speak()
    world.workers("demo-default", 20, ready=False)
    assert world.is_quiet("pods")
    assert len(world.names("pods")) == 21
