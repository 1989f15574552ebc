"""What a notebook shows of a cluster, and what its buttons do; without a browser."""

import re
import time

import pytest

from dask_k8s_client import KubeCluster


def text(html):
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def until(widget, part):
    while part not in text(widget.value):
        time.sleep(0.1)


@pytest.mark.core
def test_shown_and_scaled(make, kube, capsys):
    cluster = make("shown")
    cluster._ipython_display_()
    status, scaling = cluster._widget().children  # noqa: SLF001  # what was displayed
    how, accordion = scaling.children
    until(status, "Phase: Running")
    until(status, "State: the scheduler is ready, 1 of 1 workers are ready")
    assert f"Namespace: {kube.namespace}" in text(status.value)
    assert f"Dashboard: {cluster.dashboard_link}" in text(status.value)
    assert text(how.value) == "Scaling mode: Manual Workers: 1"
    manual, adaptive = accordion.children
    number, button = manual.children
    number.value = 2
    button.click()
    until(how, "Workers: 2")
    kube("scale", "daskworkergroup", "shown-default", "--replicas=0")
    until(how, "Workers: 0")
    least, most, button = adaptive.children
    least.value, most.value = 0, 3
    button.click()
    until(how, "Scaling mode: Adaptive, 0 to 3 workers")
    cluster.close()
    assert "Phase: Closed" in text(status.value)


def test_deleted_by_another(make, kube):
    with KubeCluster.from_name(make("shown-gone", n_workers=0).name, namespace=kube.namespace) as cluster:
        cluster._ipython_display_()
        status, _ = cluster._widget().children  # noqa: SLF001  # the same
        kube("delete", "daskcluster", "shown-gone")
        until(status, "Phase: Deleted")
