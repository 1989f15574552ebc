"""The endpoints for probes, and how the process starts and ends."""

import re

import pytest


@pytest.mark.core
def test_both_are_green(controller):
    assert controller.health("/livez") == (200, "ok")
    assert controller.health("/readyz") == (200, "ok")


def test_a_signal_ends_it_well(controller):
    assert controller.stop() == 0


def test_not_ready_before_the_kinds_are_there(world, run_controller, proxy, cluster):
    proxy.hidden = "/apis/kubernetes.dask.org"
    controller = run_controller(kubeconfig=proxy.kubeconfig, ready=False)
    line = controller.wait_for_log("cannot watch daskclusters.kubernetes.dask.org")
    assert "the API server does not know them; install the CRDs" in line
    status, text = controller.health("/readyz")
    assert status == 503
    assert f"daskclusters.kubernetes.dask.org in {world.namespace} not listed yet" in text
    assert controller.health("/livez") == (200, "ok")

    world.apply(cluster(hold=True))
    proxy.hidden = None
    controller.wait_for_log("Ready")
    controller.wait_for_health("/readyz", 200, "ok")  # the kinds of plugins may come a moment later
    world.workers("demo-default", 2, ready=False)


def test_not_alive_when_the_api_server_hangs(world, run_controller, proxy, cluster):
    controller = run_controller("--watch-seconds", "2", kubeconfig=proxy.kubeconfig)
    proxy.go_silent()
    controller.wait_for_health("/livez", 503)
    status, text = controller.health("/readyz")
    assert status == 503
    assert re.search(rf"nothing received from the API server for \S+ in {world.namespace} for", text)

    world.apply(cluster(hold=True))
    proxy.speak()
    controller.wait_for_health("/livez", 200)
    world.workers("demo-default", 2, ready=False)


@pytest.mark.parametrize("form", ["json", "plain"])
def test_logs_have_the_form_that_is_asked_for(form, run_controller):
    controller = run_controller("--log-format", form)
    line = controller.wait_for_log("Ready")
    assert line.startswith("{") == (form == "json")


def test_settings_from_a_file(run_controller, world, tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text(f"namespaces: [{world.namespace}]\nlog_format: json\n")
    assert run_controller("--config", str(file), namespaces=()).wait_for_log("Ready").startswith("{")


def test_settings_from_the_environment(run_controller, monkeypatch):
    monkeypatch.setenv("DASK_K8S_CONTROLLER_RUN_LOG_FORMAT", "json")
    assert run_controller().wait_for_log("Ready").startswith("{")


def test_no_api_server(run_controller, tmp_path):
    missing = tmp_path / "kubeconfig"
    controller = run_controller(kubeconfig=missing, ready=False)
    assert "no Kubernetes is configured" in controller.wait_for_log("Error")
    assert controller.process.wait(timeout=60) == 1
