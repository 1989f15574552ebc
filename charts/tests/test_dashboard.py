"""The chart's dashboard asks for existing metrics, in queries that Prometheus understands."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client import REGISTRY

PAGE = Path(__file__).parents[2] / "docs/metrics.md"
ROW = re.compile(r"^\| `(dask_k8s_\w+)` \| (\w+) \|([^|]*)\|", re.MULTILINE)
PARTS = {"histogram": ("_bucket", "_count", "_sum")}
EVERYWHERE = {"job", "instance", "le"}
"""Labels that Prometheus gives to all, and the histograms'."""


@pytest.fixture(scope="module")
def dashboard(render):
    objects = render({"metrics": {"grafanaDashboard": {"enabled": True}}})
    (found,) = (each["data"] for each in objects if each["kind"] == "ConfigMap")
    return json.loads(found["dask-k8s-operator.json"])


@pytest.fixture(scope="module")
def queries(dashboard):
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


@pytest.fixture(scope="module")
def metrics():
    """Labels by name: what the page has, which is compared with a running controller, and Python's own."""
    known = {
        name + part: {*re.findall(r"`(\w+)`", labels)} | EVERYWHERE
        for name, kind, labels in ROW.findall(PAGE.read_text(encoding="utf-8"))
        for part in PARTS.get(kind, ("",))
    }
    own = (sample.name for metric in REGISTRY.collect() for sample in metric.samples)
    return known | {name: EVERYWHERE for name in own if name.startswith("process_")}


def named(query):
    return re.findall(r"(\w+)\{", query)


def test_it_asks_for_what_there_is(queries, metrics):
    for query in queries:
        (name,) = named(query)
        assert name in metrics
        grouped = [label for labels in re.findall(r"by \(([^)]*)\)", query) for label in labels.split(", ")]
        selected = re.findall(r"(\w+)(?:=~|!=|=)\"", query)
        assert {*grouped, *selected} <= metrics[name]


def test_it_shows_all_there_is(queries, metrics):
    shown = {re.sub("_(bucket|count|sum)$", "", name) for query in queries for name in named(query)}
    assert {re.sub("_(bucket|count|sum)$", "", name) for name in metrics if "dask" in name} <= shown


def test_its_variables_are_all_it_uses(dashboard):
    variables = {each["name"] for each in dashboard["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps([dashboard["panels"], dashboard["templating"]])))
    assert used - {"__rate_interval", "__all"} == variables
    (job,) = (each for each in dashboard["templating"]["list"] if each["name"] == "job")
    assert job["query"]["query"] == "label_values(dask_k8s_leader, job)"


def test_prometheus_understands_it(queries, tmp_path):
    promtool = shutil.which("promtool")
    if promtool is None:
        absent = pytest.fail if os.environ.get("CI") else pytest.skip
        absent("there is no promtool; Debian's package `prometheus` has it")
    rules = [
        {"record": f"query:{at}", "expr": query.replace("$__rate_interval", "1m")}
        for at, query in enumerate(queries)
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{len(queries)} rules found" in done.stdout
