"""An autoscaler with a real scheduler, real workers and real tasks, as users see it with kubectl."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[4] / "docs/metrics.md"


@pytest.mark.core
def test_work_adds_workers_and_idleness_removes_them(world, metrics, cluster, autoscaler):
    world.up(cluster(), autoscaler())
    world.until(lambda: world.condition() == ("True", "Steady"))
    assert world.size() == 0
    with world.work(12, 1.5):
        world.until(lambda: world.size() == 3)
        world.until(lambda: world.condition("Limited") == ("True", "AtMaximum"))
    world.until(lambda: world.size() == 0)
    world.until(lambda: world.condition() == ("True", "ScaledDown"))
    world.wait("daskautoscaler/demo", "jsonpath={.status.currentReplicas}=0")
    status = world.get("daskautoscaler/demo")["status"]
    assert status["desiredReplicas"] == 0
    assert status["lastScaleTime"]
    decisions = {sample.labels["reason"]: sample.value for each in metrics() for sample in each.samples}
    assert decisions.pop("BroughtIntoBounds") == 0
    assert set(decisions) == {"Steady", "ScaledUp", "ScaledDown"}
    assert all(decisions.values())


def test_the_page_says_what_is_measured(metrics):
    (below,) = re.findall(
        r"^## The autoscaler\n(.*?)^## ", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    rows = [line.strip("|").split("|")[:3] for line in below.splitlines() if line.startswith("|")][2:]
    measured = [
        [f"`{each.name}_total`", each.type, ", ".join(f"`{label}`" for label in each.samples[0].labels)]
        for each in metrics()
    ]
    assert [[cell.strip() for cell in row] for row in rows] == measured


def test_a_gpu_group_starts_from_zero_and_only_for_tasks_that_ask(world, cluster, group, autoscaler):
    groups = [{"name": "demo-gpu", "maximum": 2, "priority": 10}]
    world.up(cluster(), group("demo-gpu", GPU=1), autoscaler(groups=groups))
    with world.work(4, 1.0):
        world.until(lambda: world.size() > 0)
        assert world.size("demo-gpu") == 0
    world.until(lambda: world.size() == 0)
    with world.work(2, 1.0, "GPU"):
        world.until(lambda: world.size("demo-gpu") > 0)
        assert world.size() == 0
    world.until(lambda: world.size("demo-gpu") == 0)


@pytest.mark.core
def test_work_goes_to_the_next_group_while_no_node_fits_and_returns(world, cluster, group, autoscaler, label):
    """The group demo-spot comes first, and no node has the label that it selects until the test sets it."""
    key, put = label
    spot = {"name": "demo-spot", "priority": -10, "maximum": 3, "fallbackSeconds": 2}
    world.up(
        cluster(),
        group("demo-spot", node_selector={key: "yes"}),
        autoscaler(groups=[spot], targetDurationSeconds=20),
    )
    with world.work(60, 1.0):
        world.until(lambda: world.size("demo-spot") > 0)
        world.until(lambda: world.size() > 0)
        world.until(lambda: world.condition("Limited") == ("True", "WorkersNotStarting"))
        world.wait("daskworkergroup/demo-default", "jsonpath={.status.readyReplicas}=1")
        assert world.size("demo-spot") > 0
        put()
        world.until(lambda: world.size() == 0)
        assert world.get("daskworkergroup/demo-spot")["status"]["readyReplicas"] > 0
    world.until(lambda: world.size("demo-spot") == 0)
    world.until(lambda: world.condition("Limited")[0] == "False")


def test_few_tasks_at_a_time_are_packed(world, cluster, autoscaler):
    """Dask spreads four tasks over four workers; one worker has threads for all of them."""
    world.up(cluster(4, threads=4))
    world.wait("daskworkergroup/demo-default", "jsonpath={.status.readyReplicas}=4")
    with world.work(160, 0.5, at_once=4):
        world.apply(autoscaler(maximum=4))
        world.until(lambda: world.size() == 1)
        world.wait("daskworkergroup/demo-default", "jsonpath={.status.replicas}=1")


def test_of_two_autoscalers_one_acts(world, cluster, autoscaler):
    world.up(cluster(), autoscaler("a-first", minimum=1))
    world.until(lambda: world.size() == 1)
    world.apply(autoscaler("b-second", minimum=2))
    world.until(lambda: world.condition(autoscaler="b-second") == ("False", "AnotherAutoscaler"))
    assert world.size() == 1
    world.kubectl("delete", "daskautoscaler/a-first")
    world.until(lambda: world.size() == 2)


def test_an_unknown_cluster(world, cluster, autoscaler):
    world.apply(autoscaler(minimum=1))
    world.until(lambda: world.condition() == ("False", "ClusterNotFound"))
    world.apply(cluster())
    world.until(lambda: world.size() == 1)
    world.until(lambda: (world.condition() or [None])[0] == "True")


@pytest.mark.core
def test_bounds(world, cluster, autoscaler):
    """They hold at once, and with no scheduler to ask: nothing here waits for one."""
    world.apply(cluster(5), autoscaler(minimum=1, maximum=2))
    world.until(lambda: world.size() == 2)
    world.patch("daskautoscaler/demo", {"spec": {"minimum": 3, "maximum": 4}})
    world.until(lambda: world.size() == 3)
    world.kubectl("scale", "daskworkergroup/demo-default", "--replicas=9")
    world.until(lambda: world.size() == 4)


def test_without_the_autoscaler_the_size_stays(world, cluster, autoscaler):
    world.up(cluster(), autoscaler(minimum=2))
    world.until(lambda: world.size() == 2)
    world.kubectl("delete", "daskautoscaler/demo")
    world.kubectl("scale", "daskworkergroup/demo-default", "--replicas=1")
    with world.work(3, 1.5):
        world.wait("daskworkergroup/demo-default", "jsonpath={.status.readyReplicas}=1")
    assert world.size() == 1


def test_it_goes_with_its_cluster(world, cluster, autoscaler):
    world.apply(cluster(), autoscaler())
    world.wait("daskautoscaler/demo", "jsonpath={.metadata.ownerReferences[0].name}=demo")
    world.kubectl("delete", "daskcluster/demo")
    world.wait("daskautoscaler/demo", "delete")
