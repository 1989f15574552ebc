"""Autoscalers: created, changed, deleted. What they do is tested in dask-k8s-autoscaler."""

import math
from datetime import timedelta

import pytest

from dask_k8s_client import KubeCluster, ValidationError, make_cluster_spec


def autoscaler(kube, name):
    return kube.get(f"daskautoscaler.kubernetes.dask.org/{name}")


def is_there(kube, name):
    return bool(kube("get", "daskautoscaler.kubernetes.dask.org", name, "--ignore-not-found", "-o", "name"))


def bounds(kube, name):
    spec = autoscaler(kube, name)["spec"]
    return spec["minimum"], spec.get("maximum")


def replicas(kube, group):
    return kube.get(f"daskworkergroup.kubernetes.dask.org/{group}")["spec"]["worker"]["replicas"]


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
        with KubeCluster(name="adaptable", namespace=served, n_workers=0) as cluster:
            yield cluster


@pytest.fixture
def adaptable(adapting, kube):
    """The same, without an autoscaler."""
    kube("delete", "daskautoscaler", adapting.name, "--ignore-not-found")
    return adapting


def test_without_arguments(make, kube):
    """The minimum is 0, there is no upper bound, and it is deleted with its cluster."""
    cluster = make("adapts", n_workers=0)
    assert cluster.adapt() is None
    found = autoscaler(kube, "adapts")
    assert found["spec"] == {"cluster": "adapts", "minimum": 0, "intervalSeconds": 5}
    assert found["metadata"]["labels"]["dask.org/cluster-name"] == "adapts"
    (owner,) = found["metadata"]["ownerReferences"]
    assert owner["uid"] == kube.get("daskcluster/adapts")["metadata"]["uid"]
    cluster.close()
    kube.wait("daskautoscaler/adapts", "delete")


def test_as_announced_and_changed_later(make, kube):
    cluster = make("bounded", n_workers=0)
    cluster.adapt(minimum=1, maximum=100)
    assert bounds(kube, "bounded") == (1, 100)
    uid = autoscaler(kube, "bounded")["metadata"]["uid"]
    cluster.adapt(0, 5)
    assert bounds(kube, "bounded") == (0, 5)
    cluster.adapt(minimum=1)
    assert bounds(kube, "bounded") == (1, None)
    cluster.adapt()
    assert bounds(kube, "bounded") == (0, None)
    assert autoscaler(kube, "bounded")["metadata"]["uid"] == uid


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
def test_refused_before_any_request(adaptable, kube, arguments, error, message):
    with pytest.raises(error, match=message):
        adaptable.adapt(**arguments)
    assert not is_there(kube, adaptable.name)


def test_scale_ends_it(make, kube):
    cluster = make("ended", n_workers=0)
    cluster.adapt(minimum=1, maximum=100)
    cluster.scale(2)
    assert not is_there(kube, "ended")
    cluster.wait_for_workers(2)
    assert replicas(kube, "ended-default") == 2


def test_scale_that_is_refused_ends_nothing(adaptable, kube):
    adaptable.adapt()
    with pytest.raises(ValueError, match="n: must not be negative"):
        adaptable.scale(-1)
    with pytest.raises(ValueError, match="no worker group 'less'"):
        adaptable.scale(1, worker_group="less")
    assert is_there(kube, adaptable.name)


def test_scale_of_another_group_leaves_it_alone(make, kube):
    cluster = make("beside", n_workers=0)
    for name in ("one", "two"):
        cluster.add_worker_group(name, n_workers=0)
    apply(kube, "beside", "beside", groups=[{"name": "beside-two", "maximum": 0}], maximum=0)
    cluster.scale(0, worker_group="one")
    assert is_there(kube, "beside")
    cluster.scale(0, worker_group="two")
    assert not is_there(kube, "beside")


def test_autoscaler_that_somebody_else_made(make, kube):
    """An autoscaler of any name is changed: a second one would be ignored, or would conflict."""
    cluster = make("theirs", n_workers=0)
    apply(kube, "hers", "theirs", minimum=0, maximum=0, groups=[{"name": "theirs-more"}])
    apply(kube, "another", "another", minimum=0, maximum=0)
    cluster.adapt(maximum=1)
    assert bounds(kube, "hers") == (0, 1)
    assert autoscaler(kube, "hers")["spec"]["groups"][0]["name"] == "theirs-more"
    assert not is_there(kube, "theirs")
    cluster.scale(0)
    assert not is_there(kube, "hers")
    assert is_there(kube, "another")


def test_autoscaler_of_an_earlier_cluster(make, kube, here):
    """An autoscaler that is still being deleted with its cluster is not used for the next cluster."""
    first = make("again", n_workers=0)
    first.adapt(maximum=3)
    first.close()
    second = make("again", n_workers=0)
    second.adapt(maximum=4)
    (owner,) = autoscaler(kube, "again")["metadata"]["ownerReferences"]
    assert owner["uid"] == kube.get("daskcluster/again")["metadata"]["uid"]
    assert bounds(kube, "again") == (0, 4)


def test_name_is_taken(make, kube):
    cluster = make("named", n_workers=0)
    apply(kube, "named", "other", maximum=0)
    with pytest.raises(ValueError, match='"named" already exists'):
        cluster.adapt()
    kube("delete", "daskautoscaler", "named")


def test_from_name(make, kube, here):
    make("found", n_workers=0)
    with KubeCluster.from_name("found", namespace=here) as cluster:
        cluster.adapt(maximum=1)
    assert is_there(kube, "found")


def test_cluster_that_is_gone(make, kube):
    cluster = make("went-away", spec=make_cluster_spec("went-away", n_workers=0))
    kube("delete", "daskcluster", "went-away")
    with pytest.raises(ValueError, match="cannot adapt the cluster went-away: there is no DaskCluster"):
        cluster.adapt()


async def test_asynchronous(make, kube):
    async with make("adapt-async", n_workers=0, asynchronous=True) as cluster:
        await cluster.adapt(minimum=0, maximum=1)
        assert bounds(kube, "adapt-async") == (0, 1)
        await cluster.scale(0)
        assert not is_there(kube, "adapt-async")
        with pytest.raises(ValidationError):
            await cluster.adapt(minimum=2, maximum=1)
