"""Autoscalers: created, changed, deleted. What they do is tested in dask-k8s-autoscaler."""

import asyncio
import math
from datetime import timedelta

import pytest

from dask_k8s_client import KubeCluster, ValidationError, make_cluster_spec

from .conftest import quick


async def result(awaitable):
    return await awaitable


def autoscaler(kube, name):
    return kube.get(f"daskautoscaler/{name}")


def is_there(kube, name):
    return kube.exists(f"daskautoscaler/{name}")


def bounds(kube, name):
    spec = autoscaler(kube, name)["spec"]
    return spec["minimum"], spec.get("maximum")


def replicas(kube, group):
    return kube.get(f"daskworkergroup/{group}")["spec"]["worker"]["replicas"]


def apply(kube, name, cluster, **spec):
    """Create an autoscaler that is not the client's."""
    kube.apply(
        {
            "apiVersion": "kubernetes.dask.org/v1",
            "kind": "DaskAutoscaler",
            "metadata": {"name": name},
            "spec": {"cluster": cluster, **spec},
        }
    )


@pytest.fixture(scope="module")
def adapting(kubernetes, served):
    """A cluster for many tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(kubernetes.kubeconfig))
        spec = quick(make_cluster_spec("adaptable", n_workers=0))
        with KubeCluster(custom_cluster_spec=spec, namespace=served) as cluster:
            yield cluster


@pytest.fixture
def adaptable(adapting, kube):
    """The same, without workers and without an autoscaler, now and after the test."""
    yield adapting
    kube("delete", "daskautoscaler", adapting.name, "--ignore-not-found")
    if replicas(kube, "adaptable-default"):
        adapting.scale(0)


def test_without_arguments(make, kube):
    """The minimum is 0, there is no upper bound, and it is deleted with its cluster.

    One that is still being deleted with its cluster is not used for the next cluster of that name.
    """
    first = make("adapts", n_workers=0)
    adaptive = first.adapt()
    assert (adaptive.minimum, adaptive.maximum) == (0, math.inf)
    found = autoscaler(kube, "adapts")
    assert found["spec"] == {"cluster": "adapts", "minimum": 0, "fallbackSeconds": 60, "intervalSeconds": 5}
    assert found["metadata"]["labels"]["dask.org/cluster-name"] == "adapts"
    (owner,) = found["metadata"]["ownerReferences"]
    assert owner["uid"] == kube.get("daskcluster/adapts")["metadata"]["uid"]
    first.close()

    second = make("adapts", n_workers=0)
    second.adapt(maximum=4)
    (owner,) = autoscaler(kube, "adapts")["metadata"]["ownerReferences"]
    assert owner["uid"] == kube.get("daskcluster/adapts")["metadata"]["uid"]
    assert bounds(kube, "adapts") == (0, 4)
    kube("delete", "daskcluster", "adapts")
    with pytest.raises(ValueError, match="cannot adapt the cluster adapts: there is no DaskCluster"):
        second.adapt()
    kube.wait("daskautoscaler/adapts", "delete")


@pytest.mark.core
def test_as_announced_and_changed_later(adaptable, kube):
    adaptive = adaptable.adapt(minimum=1, maximum=100)
    assert bounds(kube, "adaptable") == (adaptive.minimum, adaptive.maximum) == (1, 100)
    assert asyncio.run(result(adaptive)) is adaptive
    uid = autoscaler(kube, "adaptable")["metadata"]["uid"]
    adaptable.adapt(0, 5)
    assert bounds(kube, "adaptable") == (0, 5)
    adaptable.adapt(minimum=1)
    assert bounds(kube, "adaptable") == (1, None)
    adaptable.adapt()
    assert bounds(kube, "adaptable") == (0, None)
    assert autoscaler(kube, "adaptable")["metadata"]["uid"] == uid


@pytest.mark.parametrize(
    "arguments, seen",
    [
        pytest.param({"maximum": math.inf}, (0, None), id="infinity"),
        pytest.param({"minimum": None, "maximum": None}, (0, None), id="none"),
        pytest.param({"minimum": 0, "maximum": 0}, (0, 0), id="zero"),
    ],
)
def test_forms_of_bounds(adaptable, kube, arguments, seen):
    adaptable.adapt(**arguments)
    assert bounds(kube, adaptable.name) == seen


def test_durations(adaptable, kube):
    """What is not passed stays as it is."""
    adaptable.adapt(interval="2 s", target_duration="1.5 minutes")
    adaptable.adapt(maximum=3)
    spec = autoscaler(kube, adaptable.name)["spec"]
    assert (spec["intervalSeconds"], spec["targetDurationSeconds"], spec["maximum"]) == (2, 90, 3)
    adaptable.adapt(interval="500ms", target_duration=timedelta(milliseconds=1500))
    spec = autoscaler(kube, adaptable.name)["spec"]
    assert (spec["intervalSeconds"], spec["targetDurationSeconds"]) == (1, 1.5)


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        pytest.param(
            {"minimum": 3, "maximum": 2},
            ValidationError,
            r"spec\.maximum: .* must not be less than minimum",
            id="crossed",
        ),
        pytest.param({"minimum": -1}, ValueError, "minimum: must not be negative", id="negative"),
        pytest.param({"maximum": -1}, ValueError, "maximum: must not be negative", id="negative maximum"),
        pytest.param({"minimum": "1"}, TypeError, "minimum: must be an integer", id="text"),
        pytest.param({"maximum": 1.5}, TypeError, "maximum: must be an integer", id="fraction"),
        pytest.param({"maximum": 2**31}, ValidationError, r"spec\.maximum", id="33 bits"),
        pytest.param({"interval": "often"}, ValueError, "interval: must be a duration", id="no duration"),
        pytest.param({"interval": 0}, ValidationError, r"spec\.intervalSeconds", id="no interval"),
        pytest.param({"target_duration": 0}, ValidationError, r"spec\.targetDuration", id="no target"),
        pytest.param({"target_duration": -5}, ValueError, "target_duration: must be", id="back in time"),
        pytest.param({"wait_count": 3}, TypeError, "wait_count", id="unknown"),
        pytest.param({"Adaptive": object}, TypeError, "Adaptive", id="class"),
    ],
)
def test_refused_before_any_request(adapting, kube, arguments, error, message):
    with pytest.raises(error, match=message):
        adapting.adapt(**arguments)
    assert not is_there(kube, adapting.name)


def test_scale_ends_it(adaptable, kube):
    adaptable.adapt(minimum=1, maximum=100)
    adaptable.scale(2)
    assert not is_there(kube, "adaptable")
    adaptable.wait_for_workers(2)
    assert replicas(kube, "adaptable-default") == 2


def test_scale_that_is_refused_ends_nothing(adaptable, kube):
    adaptable.adapt()
    with pytest.raises(ValueError, match="n: must not be negative"):
        adaptable.scale(-1)
    with pytest.raises(ValueError, match="no worker group 'less'"):
        adaptable.scale(1, worker_group="less")
    assert is_there(kube, adaptable.name)


def test_scale_of_another_group_leaves_it_alone(adaptable, kube):
    for name in ("one", "two"):
        adaptable.add_worker_group(name, n_workers=0)
    two = {"name": "adaptable-two", "maximum": 0}
    apply(kube, "adaptable", "adaptable", groups=[two], maximum=0)
    adaptable.scale(0, worker_group="one")
    assert is_there(kube, "adaptable")
    adaptable.scale(0, worker_group="two")
    assert not is_there(kube, "adaptable")
    for name in ("one", "two"):
        adaptable.delete_worker_group(name)


def test_autoscaler_that_somebody_else_made(adaptable, kube):
    """An autoscaler of any name is changed: a second one would be ignored, or would conflict."""
    apply(kube, "hers", "adaptable", minimum=0, maximum=0, groups=[{"name": "adaptable-more"}])
    apply(kube, "another", "another", minimum=0, maximum=0)
    adaptable.adapt(maximum=1)
    assert bounds(kube, "hers") == (0, 1)
    assert autoscaler(kube, "hers")["spec"]["groups"][0]["name"] == "adaptable-more"
    assert not is_there(kube, "adaptable")
    adaptable.scale(0)
    assert not is_there(kube, "hers")
    assert is_there(kube, "another")
    kube("delete", "daskautoscaler", "another")


def test_name_is_taken(adaptable, kube):
    apply(kube, "adaptable", "other", maximum=0)
    with pytest.raises(ValueError, match='"adaptable" already exists'):
        adaptable.adapt()


def test_from_name(adaptable, kube, here):
    with KubeCluster.from_name("adaptable", namespace=here) as cluster:
        cluster.adapt(maximum=1)
    assert is_there(kube, "adaptable")


async def test_asynchronous(adaptable, kube, here):
    async with KubeCluster.from_name("adaptable", namespace=here, asynchronous=True) as cluster:
        adaptive = cluster.adapt(minimum=0, maximum=1)
        assert (adaptive.minimum, adaptive.maximum) == (0, 1)  # before anything was awaited
        assert await adaptive is await adaptive is adaptive
        assert bounds(kube, "adaptable") == (0, 1)
        await cluster.scale(0)
        assert not is_there(kube, "adaptable")
        with pytest.raises(ValidationError):
            await cluster.adapt(minimum=2, maximum=1)
        cluster.adapt(maximum=3)
        cluster.scale(0)
        await cluster.adapt(maximum=2)
        cluster.adapt(maximum=1)
        await cluster.scale(0)
        assert not is_there(kube, "adaptable")


async def test_awaiting_it_raises_what_went_wrong(adaptable, kube, here):
    apply(kube, "adaptable", "other", maximum=0)
    async with KubeCluster.from_name("adaptable", namespace=here, asynchronous=True) as cluster:
        with pytest.raises(ValueError, match='"adaptable" already exists'):
            await cluster.adapt()
