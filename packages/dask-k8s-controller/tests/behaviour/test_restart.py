"""The controller is killed while it works, and edits come while it is down: all converges, nothing twice.

Every write at which it may be killed is tried by the simulation; these are real processes and a real API.
"""

import pytest

from .world import names

TWENTY = {"spec": {"worker": {"replicas": 20}}}

REQUESTS = {
    "scheduler": ("POST", "/pods", 1),
    "group": ("POST", "/daskworkergroups", 1),
    "worker": ("POST", "/pods", 9),
    "status": ("PATCH", "/daskclusters/demo/status", 1),
}
CUTS = {
    f"{what}, {lost} lost": (*request, lost == "answer")
    for what, request in REQUESTS.items()
    for lost in ("request", "answer")
}


@pytest.fixture
def controller(run_controller, proxy):
    """A controller whose line to the API server can be cut."""
    return run_controller(kubeconfig=proxy.kubeconfig)


@pytest.mark.parametrize("cut", CUTS)
def test_killed_while_it_creates(cut, world, controller, proxy, cluster):
    proxy.go_silent_at(*CUTS[cut])
    world.apply(cluster("demo", TWENTY, hold=True))
    assert proxy.silent.wait(60)
    controller.kill()
    proxy.speak()
    controller.start()

    ever = world.ever("pods", 21)
    world.wait("daskworkergroup/demo-default", "jsonpath={.status.replicas}=20")
    assert world.is_quiet("pods")
    assert len(ever) == 21
    assert world.names("pods") == ever


@pytest.mark.parametrize("answer_only", [False, True], ids=["request lost", "answer lost"])
def test_killed_while_it_deletes(answer_only, world, controller, proxy, cluster):
    world.apply(cluster("demo", TWENTY, hold=True))
    before = world.workers("demo-default", 20, ready=False)
    proxy.go_silent_at("DELETE", "", 6, answer_only)
    world.scale("daskcluster/demo", 5)
    assert proxy.silent.wait(60)
    controller.kill()
    proxy.speak()
    controller.start()
    assert world.workers("demo-default", 5, ready=False) < before
    assert world.is_quiet("pods")


@pytest.mark.core
def test_edits_while_it_is_down(world, controller, cluster, group):
    world.apply(cluster("demo", TWENTY, hold=True))
    world.apply(cluster("leaving", hold=True))
    before = world.workers("demo-default", 20, ready=False)
    world.workers("leaving-default", 2, ready=False)
    controller.kill()
    world.scale("daskcluster/demo", 3)
    world.kubectl("delete", "pod/demo-scheduler", "service/demo-scheduler", "--wait=false")
    world.apply(group(hold=True), cluster("coming", hold=True))
    world.kubectl("delete", "daskcluster/leaving")
    controller.start()
    assert world.workers("demo-default", 3, ready=False) < before
    world.workers("demo-more", 1, ready=False)
    world.workers("coming-default", 2, ready=False)
    world.workers("leaving-default", 0)
    world.until("services", lambda found: names(found) == {"demo-scheduler", "coming-scheduler"})
    world.until("pods", lambda pods: {"demo-scheduler", "coming-scheduler"} <= names(pods))
