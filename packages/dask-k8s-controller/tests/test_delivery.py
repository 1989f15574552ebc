"""How the agent gets into the user's scheduler template, and the user's preloads stay."""

import copy

import pytest

from dask_k8s_controller.dask.pods.view import AGENT_VOLUME
from dask_k8s_controller.dask.scheduler import agent_delivery

OURS = [
    {"name": "DASK_DISTRIBUTED__SCHEDULER__PRELOAD", "value": '["/dask-k8s/dask_k8s_agent.py"]'},
    {"name": "DASK_DISTRIBUTED__SCHEDULER__PRELOAD_ARGV", "value": "[]"},
    {"name": "DASK_K8S_AGENT_TOKEN_FILE", "value": "/dask-k8s/token"},
]
THEIRS = {"name": "DASK_DISTRIBUTED__SCHEDULER__PRELOAD", "value": "my_module"}
FROM = {"configMapKeyRef": {"name": "x", "key": "y"}}


def delivered(container, *others, **spec):
    body = {"containers": [*others, {"name": "dask", **container}], **spec}
    agent_delivery.deliver(body, "c-agent")
    return body


@pytest.mark.parametrize(
    "env, expected",
    [
        pytest.param(None, OURS, id="none"),
        pytest.param([{"name": "A", "value": "b"}], [*OURS, {"name": "A", "value": "b"}], id="others stay"),
        pytest.param([THEIRS], [*OURS, {**THEIRS, "name": "DASK_K8S_PRELOAD"}], id="a preload moves aside"),
        pytest.param(
            [{"name": "DASK_DISTRIBUTED__SCHEDULER__PRELOAD_ARGV", "value": "['-x']"}],
            [*OURS, {"name": "DASK_K8S_PRELOAD_ARGV", "value": "['-x']"}],
            id="its arguments, too",
        ),
        pytest.param(
            [{"name": THEIRS["name"], "valueFrom": FROM}],
            [*OURS, {"name": "DASK_K8S_PRELOAD", "valueFrom": FROM}],
            id="one from elsewhere, too",
        ),
    ],
)
def test_environment(env, expected):
    assert delivered({"env": env} if env else {})["containers"][0]["env"] == expected


@pytest.mark.parametrize(
    "args, expected",
    [
        pytest.param(["dask", "scheduler"], ["dask", "scheduler"], id="none"),
        pytest.param(
            ["dask", "scheduler", "--preload", "x"],
            ["dask", "scheduler", "--preload", "/dask-k8s/dask_k8s_agent.py", "--preload", "x"],
            id="before theirs",
        ),
        pytest.param(
            ["dask", "scheduler", "--preload=x"],
            ["dask", "scheduler", "--preload", "/dask-k8s/dask_k8s_agent.py", "--preload=x"],
            id="in one argument",
        ),
        pytest.param(["sh", "-c", "dask scheduler --preload x"], None, id="inside of a script: left alone"),
    ],
)
@pytest.mark.parametrize("field", ["command", "args"])
def test_preloads_of_the_command_line(field, args, expected):
    assert delivered({field: args})["containers"][0][field] == (expected or args)


def test_it_goes_to_the_scheduler_and_not_to_its_sidecars():
    body = delivered({"name": "scheduler"}, {"name": "sidecar"}, volumes=[{"name": "theirs"}])
    sidecar, scheduler = body["containers"]
    assert sidecar == {"name": "sidecar"}
    assert scheduler["volumeMounts"] == [{"name": AGENT_VOLUME, "mountPath": "/dask-k8s", "readOnly": True}]
    secret = {"name": AGENT_VOLUME, "secret": {"secretName": "c-agent"}}
    assert body["volumes"] == [{"name": "theirs"}, secret]


def test_lists_of_the_template_are_not_changed():
    container = {
        "env": [THEIRS],
        "volumeMounts": [{"name": "x", "mountPath": "/x"}],
        "args": ["--preload", "x"],
    }
    before = copy.deepcopy(container)
    delivered(container)
    assert container == before
