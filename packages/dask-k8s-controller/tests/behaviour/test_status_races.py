"""Others write to an object while a report on it is under way."""

import pytest

STATUS = "/daskclusters/demo/status"
FOREIGN = {"type": "CostsTooMuch", "status": "True", "reason": "Budget", "message": "over budget"}


@pytest.mark.core
def test_a_condition_that_somebody_writes_meanwhile_stays(world, run_controller, proxy, cluster):
    def write():
        world.patch("daskcluster/demo", {"status": {"conditions": [FOREIGN]}}, subresource="status")

    run_controller(kubeconfig=proxy.kubeconfig)
    proxy.before("PATCH", STATUS, write)
    world.apply(cluster(hold=True))
    world.condition("daskcluster/demo", "Ready", "SchedulerNotReady")
    assert proxy.answered.is_set()
    found = world.condition("daskcluster/demo", "CostsTooMuch", "Budget")
    assert found == FOREIGN


def test_a_report_does_not_reach_an_object_that_has_the_same_name_now(world, run_controller, proxy, cluster):
    def replace():
        controller.kill()
        world.kubectl("delete", "daskcluster/demo")
        world.apply(cluster(hold=True))

    controller = run_controller(kubeconfig=proxy.kubeconfig)
    proxy.before("PATCH", STATUS, replace)
    world.apply(cluster(hold=True))
    assert proxy.answered.wait(60)
    assert "status" not in world.get("daskcluster/demo")
