"""The filters of the scheduler and their messages."""

from decimal import Decimal

import pytest

from dask_k8s_local.scheduler.filters import reject_reason
from dask_k8s_local.scheduler.requests import Load, requested

NODE = {
    "metadata": {"name": "node", "labels": {"disk": "ssd", "size": "4"}},
    "spec": {},
    "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "10"}},
}
HOPELESS = (
    "no new claims to deallocate, preemption: "
    "0/1 nodes are available: 1 Preemption is not helpful for scheduling."
)
NO_MATCH = f"0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. {HOPELESS}"


def pod(uid="1", **spec):
    return {"metadata": {"name": "pod", "uid": uid}, "spec": {"containers": [{"name": "c"}], **spec}}


def asking(uid="1", **amounts):
    return pod(uid, containers=[{"name": "c", "resources": {"requests": amounts}}])


def affinity(*expressions, fields=()):
    term = {"matchExpressions": list(expressions), "matchFields": list(fields)}
    required = {"nodeSelectorTerms": [term]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}


@pytest.mark.parametrize(
    "spec, fits",
    [
        pytest.param({}, True, id="nothing"),
        pytest.param({"nodeSelector": {"disk": "ssd"}}, True, id="selector"),
        pytest.param({"nodeSelector": {"disk": "hdd"}}, False, id="selector-no"),
        pytest.param(affinity({"key": "disk", "operator": "In", "values": ["ssd"]}), True, id="in"),
        pytest.param(affinity({"key": "disk", "operator": "NotIn", "values": ["ssd"]}), False, id="not-in"),
        pytest.param(affinity({"key": "disk", "operator": "Exists"}), True, id="exists"),
        pytest.param(affinity({"key": "gpu", "operator": "DoesNotExist"}), True, id="does-not-exist"),
        pytest.param(affinity({"key": "size", "operator": "Gt", "values": ["3"]}), True, id="gt"),
        pytest.param(affinity({"key": "size", "operator": "Lt", "values": ["3"]}), False, id="lt"),
        pytest.param(
            affinity(fields=[{"key": "metadata.name", "operator": "In", "values": ["node"]}]),
            True,
            id="field",
        ),
        pytest.param(affinity(), False, id="empty-term"),
    ],
)
def test_selection(spec, fits):
    refused = reject_reason(pod(**spec), NODE, {})
    assert (refused is None) == fits
    assert refused is None or refused.message == NO_MATCH


@pytest.mark.parametrize(
    "tolerations, fits",
    [
        pytest.param([], False, id="none"),
        pytest.param([{"operator": "Exists"}], True, id="all"),
        pytest.param([{"key": "gpu", "value": "yes", "effect": "NoSchedule"}], True, id="equal"),
        pytest.param([{"key": "gpu", "value": "no"}], False, id="other-value"),
        pytest.param([{"key": "gpu", "operator": "Exists", "effect": "NoExecute"}], False, id="other-effect"),
    ],
)
def test_taints(tolerations, fits):
    node = {**NODE, "spec": {"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]}}
    refused = reject_reason(pod(tolerations=tolerations), node, {})
    assert (refused is None) == fits
    assert refused is None or "1 node(s) had untolerated taint(s)." in refused.message


def test_cordon():
    node = {**NODE, "spec": {"unschedulable": True}}
    assert "1 node(s) were unschedulable." in reject_reason(pod(), node, {}).message


@pytest.mark.parametrize(
    "amounts, message",
    [
        pytest.param({"cpu": "5"}, f"1 Insufficient cpu. {HOPELESS}", id="cpu"),
        pytest.param(
            {"cpu": "5", "memory": "9Gi"}, f"1 Insufficient cpu, 1 Insufficient memory. {HOPELESS}", id="both"
        ),
        pytest.param(
            {"nvidia.com/gpu": "1"}, f"1 Insufficient nvidia.com/gpu. {HOPELESS}", id="no-such-resource"
        ),
    ],
)
def test_insufficient(amounts, message):
    assert reject_reason(asking(**amounts), NODE, {}).message == f"0/1 nodes are available: {message}"


def test_full():
    load = Load()
    load.add(asking("1", cpu="3"))
    load.add(asking("1", cpu="3"))
    assert load.used == {"cpu": Decimal(3), "pods": Decimal(1)}
    refused = reject_reason(asking("2", cpu="1500m"), NODE, load.used)
    assert refused.message == (
        "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: "
        "0/1 nodes are available: 1 No preemption victims found for incoming pod."
    )
    assert load.remove(asking("1"))
    assert not load.remove(asking("1"))
    assert reject_reason(asking("2", cpu="1500m"), NODE, load.used) is None


def test_requests_of_a_pod():
    def container(cpu, **more):
        return {"name": "c", "resources": {"requests": {"cpu": cpu}}, **more}

    initial = [container("3"), container("1", restartPolicy="Always")]
    assert requested(pod(containers=[container("1"), container("500m")], initContainers=initial)) == {
        "cpu": 3
    }
    limits = [{"name": "c", "resources": {"limits": {"cpu": "2"}}}]
    assert requested(pod(containers=limits, overhead={"cpu": "1"})) == {"cpu": 3}
