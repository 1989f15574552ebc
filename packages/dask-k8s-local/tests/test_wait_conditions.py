"""The conditions that tests wait for are those of `kubectl wait`."""

import pytest

from dask_k8s_local import wait_conditions

FOUND = {
    "metadata": {"generation": 2, "ownerReferences": [{"name": "demo"}]},
    "status": {
        "observedGeneration": 2,
        "replicas": 3,
        "phase": "Running",
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "AllReady"},
            {"type": "Old", "status": "True", "observedGeneration": 1},
            {"type": "Degraded", "status": "False"},
        ],
    },
}


@pytest.mark.parametrize(
    "condition, holds",
    [
        ("create", True),
        ("delete", False),
        ("condition=Ready", True),
        ("condition=ready=true", True),
        ("condition=Degraded", False),
        ("condition=Degraded=False", True),
        ("condition=Old", False),
        ("condition=Missing", False),
        ("jsonpath={.status.phase}=Running", True),
        ("jsonpath={.status.replicas}=3", True),
        ("jsonpath={.status.replicas}=4", False),
        ("jsonpath={.status.replicas}", True),
        ("jsonpath={.status.missing}", False),
        ("jsonpath={.metadata.ownerReferences[0].name}=demo", True),
        ("jsonpath={.metadata.ownerReferences[1].name}=demo", False),
        ('jsonpath={.status.conditions[?(@.type=="Ready")].reason}=AllReady', True),
        ('jsonpath={.status.conditions[?(@.type=="Old")].reason}=AllReady', False),
    ],
)
def test_of_an_object(condition, holds):
    assert wait_conditions.parse(condition)(FOUND) is holds


def test_of_no_object():
    assert wait_conditions.parse("delete")(None)
    assert not wait_conditions.parse("create")(None)
    assert not wait_conditions.parse("condition=Ready")(None)


@pytest.mark.parametrize("condition", ["ready", "jsonpath=.status", "jsonpath={.status[*]}=1"])
def test_what_cannot_be_waited_for(condition):
    with pytest.raises(ValueError, match="is"):
        wait_conditions.parse(condition)
