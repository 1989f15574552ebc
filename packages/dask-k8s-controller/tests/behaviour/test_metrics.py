"""The metrics that a running controller exports are those of `docs/metrics.md`, and the other way round."""

import re
import subprocess
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dask_k8s_controller.testing.process import DEADLINE

from .prometheus import program, serve

PAGE = Path(__file__).parents[4] / "docs/metrics.md"
TWO = {"spec": {"worker": {"replicas": 2}}}


def documented():
    """Type and labels by name, as the controller's table has them."""
    page = PAGE.read_text(encoding="utf-8")
    (below,) = re.findall(r"^## The controller\n(.*?)^## ", page, re.MULTILINE | re.DOTALL)
    rows = [line.strip("|").split("|") for line in below.splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip() for cell in row] for row in rows]
    return {name.strip("`"): (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels, _ in cells}


def exposed(controller):
    """The controller's own families; plugins and Python have theirs."""
    status, text = controller.health("/metrics")
    assert status == 200
    families = text_string_to_metric_families(text)
    others = ("dask_k8s_autoscaler_", "dask_k8s_job_")
    return [
        each for each in families if each.name.startswith("dask_k8s_") and not each.name.startswith(others)
    ]


def values(controller, name, **labels):
    """What samples with these labels add up to."""
    return sum(
        sample.value
        for metric in exposed(controller)
        for sample in metric.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


@pytest.fixture
def busy(controller, world, cluster):
    """A controller that has made a cluster, and has seen what it made."""
    world.apply(cluster("demo", TWO, hold=True))
    world.wait("daskcluster/demo", "jsonpath={.status.phase}=Pending")
    deadline = time.monotonic() + DEADLINE
    while values(controller, "dask_k8s_workers", phase="Pending") != 2:
        assert time.monotonic() < deadline, controller.health("/metrics")
        time.sleep(0.1)  # as a Prometheus does: no event reports a change
    return controller


@pytest.mark.core
def test_the_page_says_what_is_there(busy, world):
    families = exposed(busy)
    found = {
        f"{each.name}_total" if each.type == "counter" else each.name: (
            each.type,
            {label for sample in each.samples for label in sample.labels} - {"le"},
        )
        for each in families
    }
    assert found == documented()
    names = {world.namespace, "demo", "demo-default", "demo-scheduler"}
    assert (
        not {value for each in families for sample in each.samples for value in sample.labels.values()}
        & names
    )

    assert values(busy, "dask_k8s_leader") == 1
    assert values(busy, "dask_k8s_clusters", phase="Pending") == 1
    assert values(busy, "dask_k8s_api_requests_total", verb="POST", code="201") >= 4
    assert values(busy, "dask_k8s_api_request_duration_seconds_count", verb="POST") >= 4
    assert values(busy, "dask_k8s_reconcile_duration_seconds_count", kind="DaskWorkerGroup") >= 1
    assert values(busy, "dask_k8s_reconcile_errors_total", cause="defect") == 0


@pytest.fixture(scope="module")
def programs():
    return {name: program(name) for name in ("promtool", "prometheus")}


def test_a_prometheus_reads_it(programs, busy, tmp_path):
    exported = busy.health("/metrics")[1]
    command = [programs["promtool"], "check", "metrics"]
    done = subprocess.run(command, input=exported, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")

    with serve(programs["prometheus"], busy.address, tmp_path) as prometheus:
        prometheus.until('dask_k8s_workers{phase="Pending"} == 2')
        prometheus.until('sum(dask_k8s_clusters{phase="Pending"}) == 1')
        prometheus.until("dask_k8s_leader == 1")
        prometheus.until('dask_k8s_api_requests_total{verb="POST",code="201"} >= 4')
        prometheus.until(
            'histogram_quantile(1, dask_k8s_reconcile_duration_seconds_bucket{kind="DaskCluster"})'
        )
        names = {each["metric"]["__name__"] for each in prometheus.query('{__name__=~"dask_k8s_.*"}')}
        parts = ("", "_bucket", "_count", "_sum")
        expected = {
            name + part
            for name, (kind, _) in documented().items()
            for part in (parts[1:] if kind == "histogram" else parts[:1])
        }
        assert names >= expected
