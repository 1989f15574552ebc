"""How a user's pod template becomes a pod: our environment, current commands, the template untouched."""

import copy

import pytest

from dask_k8s_controller.dask.pods.template import (
    keeps_legacy_commands,
    pod_spec,
    removed_commands,
    removed_commands_message,
)

OURS = {"DASK_WORKER_NAME": "w", "DASK_SCHEDULER_ADDRESS": "tcp://s:8786"}
NAME = {"name": "DASK_WORKER_NAME", "value": "w"}
ADDRESS = {"name": "DASK_SCHEDULER_ADDRESS", "value": "tcp://s:8786"}


def made(*containers, env=OURS, legacy=False, **spec):
    template = {"containers": list(containers), **spec}
    before = copy.deepcopy(template)
    result = pod_spec(template, env=env, legacy_commands=legacy)
    assert template == before
    return result


@pytest.mark.parametrize(
    "own, env",
    [
        pytest.param(None, [NAME, ADDRESS], id="none of the user's"),
        pytest.param([], [NAME, ADDRESS], id="an empty list"),
        pytest.param(
            [{"name": "FOO", "value": "$(DASK_WORKER_NAME)"}],
            [NAME, ADDRESS, {"name": "FOO", "value": "$(DASK_WORKER_NAME)"}],
            id="ours first if one of the user's refers to them",
        ),
        pytest.param(
            [{"name": "FOO", "value": "bar"}, {"name": "EMPTY", "value": None}],
            [{"name": "FOO", "value": "bar"}, {"name": "EMPTY", "value": None}, NAME, ADDRESS],
            id="the user's first",
        ),
        pytest.param(
            [{"name": "DASK_WORKER_NAME", "value": "mine"}],
            [{"name": "DASK_WORKER_NAME", "value": "mine"}, ADDRESS],
            id="the user's value wins",
        ),
        pytest.param(
            [{"name": "DASK_WORKER_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            [
                {"name": "DASK_WORKER_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                ADDRESS,
            ],
            id="the user's reference wins",
        ),
        pytest.param(
            [{"name": "DASK_SCHEDULER_ADDRESS"}, {"name": "DASK_WORKER_NAME"}],
            [{"name": "DASK_SCHEDULER_ADDRESS"}, {"name": "DASK_WORKER_NAME"}],
            id="the user's empty values win",
        ),
    ],
)
def test_environment(own, env):
    container = {"name": "worker"} if own is None else {"name": "worker", "env": own}
    assert made(container)["containers"][0]["env"] == env


def test_every_container_gets_the_environment_and_init_containers_do_not():
    spec = made({"name": "worker"}, {"name": "sidecar"}, initContainers=[{"name": "init"}])
    assert [container["env"] for container in spec["containers"]] == [[NAME, ADDRESS]] * 2
    assert spec["initContainers"] == [{"name": "init"}]


def test_a_value_that_is_no_string_is_a_reference():
    reference = {"fieldRef": {"fieldPath": "metadata.name"}}
    spec = made({"name": "worker"}, env={"NAME": reference})
    assert spec["containers"][0]["env"] == [{"name": "NAME", "valueFrom": reference}]


def test_a_scheduler_gets_no_environment():
    assert "env" not in made({"name": "scheduler"}, env={})["containers"][0]


@pytest.mark.parametrize(
    "spec, value", [({}, False), ({"enableServiceLinks": True}, True)], ids=["default", "the user's"]
)
def test_service_links(spec, value):
    assert made({"name": "worker"}, **spec)["enableServiceLinks"] is value


@pytest.mark.parametrize(
    "entry, renewed, commands",
    [
        pytest.param(
            {"args": ["dask-worker", "--nthreads", "2"]},
            {"args": ["dask", "worker", "--nthreads", "2"]},
            ["dask-worker"],
            id="in args",
        ),
        pytest.param(
            {"command": ["dask-scheduler"], "args": ["--host", "0.0.0.0"]},
            {"command": ["dask", "scheduler"], "args": ["--host", "0.0.0.0"]},
            ["dask-scheduler"],
            id="in command",
        ),
        pytest.param(
            {"command": ["tini", "--"], "args": ["dask-worker"]},
            {"command": ["tini", "--"], "args": ["dask-worker"]},
            [],
            id="in args after another command",
        ),
        pytest.param(
            {"command": [], "args": ["dask-worker"]},
            {"command": [], "args": ["dask", "worker"]},
            ["dask-worker"],
            id="in args after an empty command",
        ),
        pytest.param(
            {"args": ["sh", "-c", "dask-worker"]}, {"args": ["sh", "-c", "dask-worker"]}, [], id="in a shell"
        ),
        pytest.param(
            {"command": ["/opt/bin/dask-worker"]}, {"command": ["/opt/bin/dask-worker"]}, [], id="with a path"
        ),
        pytest.param({"args": ["dask", "worker"]}, {"args": ["dask", "worker"]}, [], id="current"),
        pytest.param({"args": ["dask-cuda-worker"]}, {"args": ["dask-cuda-worker"]}, [], id="another's"),
        pytest.param({}, {}, [], id="the image's own"),
    ],
)
def test_removed_commands(entry, renewed, commands):
    container = {"name": "worker", **entry}
    assert made(container, env={})["containers"] == [{"name": "worker", **renewed}]
    assert made(container, env={}, legacy=True)["containers"] == [container]
    assert removed_commands({"containers": [container]}) == commands


@pytest.mark.parametrize(
    "annotations, keeps",
    [
        ({}, False),
        ({"kubernetes.dask.org/legacy-commands": "keep"}, True),
        ({"kubernetes.dask.org/legacy-commands": "renew"}, False),
    ],
    ids=["no annotation", "keep", "something else"],
)
def test_annotation(annotations, keeps):
    assert keeps_legacy_commands(annotations) is keeps


def test_the_message_names_each_command_once_and_the_way_out():
    message = removed_commands_message(["dask-worker", "dask-worker", "dask-scheduler"])
    assert message.count('"dask-worker" as "dask worker"') == 1
    assert message.count('"dask-scheduler" as "dask scheduler"') == 1
    assert "kubernetes.dask.org/legacy-commands: keep" in message
