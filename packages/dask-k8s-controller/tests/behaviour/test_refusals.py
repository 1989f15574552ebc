"""The API server refuses a write for as long as an admission webhook is down."""

import pytest

from .proxy import WEBHOOK_DOWN


@pytest.mark.parametrize("resource, kind", [("services", "Service"), ("pods", "Pod")])
def test_a_webhook_that_is_down_is_reported(resource, kind, world, run_controller, proxy, cluster):
    proxy.webhook_down = f"/{resource}"
    run_controller(kubeconfig=proxy.kubeconfig)
    world.apply(cluster(hold=True))
    found = world.condition("daskcluster/demo", "Degraded", "WebhookFailed")
    assert found["message"] == f"create {kind} {world.namespace}/demo-scheduler: {WEBHOOK_DOWN}"
    assert found["status"] == "True"

    proxy.webhook_down = None
    # What does not fit on a node is not what is asked about here.
    world.wait(f"{resource}/demo-scheduler", "create")
