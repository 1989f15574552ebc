"""Variables, command and arguments of containers."""

import base64

import pytest

from dask_k8s_local.kubelet.environment import command_line, environment, expand
from dask_k8s_local.kubelet.sources import MissingReference, Sources
from dask_k8s_local.resources import CONFIGMAPS, SECRETS
from dask_k8s_local.store import Store

POD = {
    "metadata": {
        "name": "pod",
        "namespace": "default",
        "uid": "1",
        "labels": {"app": "web"},
        "annotations": {"a/b": "c"},
    },
    "spec": {
        "nodeName": "node",
        "containers": [{"name": "other", "resources": {"limits": {"memory": "1Gi"}}}],
    },
}
NODE = {"status": {"allocatable": {"cpu": "8", "memory": "16Gi"}}}
SERVICE = {
    "metadata": {"name": "my-web", "namespace": "default"},
    "spec": {"clusterIP": "127.1.128.1", "ports": [{"name": "http", "port": 80}]},
}


@pytest.fixture
def sources():
    store = Store()
    store.create(
        CONFIGMAPS, {"metadata": {"name": "config", "namespace": "default"}, "data": {"A": "1", "B": "2"}}
    )
    data = {"password": base64.b64encode(b"geheim").decode()}
    store.create(SECRETS, {"metadata": {"name": "keys", "namespace": "default"}, "data": data})
    return Sources(store, POD, NODE, {"podIP": "127.1.0.5", "hostIP": "127.1.0.1"})


@pytest.mark.parametrize(
    "text, expected",
    [
        pytest.param("$(A)-$(B)", "1-2", id="known"),
        pytest.param("$(C) $A ${A} $(A", "$(C) $A ${A} $(A", id="left-alone"),
        pytest.param("$$(A) $$", "$(A) $", id="escaped"),
        pytest.param("$$$(A)", "$1", id="escape-and-reference"),
    ],
)
def test_expand(text, expected):
    assert expand(text, {"A": "1", "B": "2"}) == expected


def test_command_line():
    container = {"command": ["run", "$(A)"], "args": ["--b=$(B)"]}
    assert command_line(container, {"A": "1", "B": "2"}) == ["run", "1", "--b=2"]


@pytest.mark.parametrize(
    "source, expected",
    [
        pytest.param({"fieldRef": {"fieldPath": "metadata.name"}}, "pod", id="name"),
        pytest.param({"fieldRef": {"fieldPath": "metadata.labels['app']"}}, "web", id="label"),
        pytest.param({"fieldRef": {"fieldPath": "metadata.annotations['a/b']"}}, "c", id="annotation"),
        pytest.param({"fieldRef": {"fieldPath": "status.podIP"}}, "127.1.0.5", id="pod-ip"),
        pytest.param({"fieldRef": {"fieldPath": "status.hostIP"}}, "127.1.0.1", id="host-ip"),
        pytest.param({"fieldRef": {"fieldPath": "spec.nodeName"}}, "node", id="node"),
        pytest.param({"configMapKeyRef": {"name": "config", "key": "A"}}, "1", id="config-map"),
        pytest.param({"secretKeyRef": {"name": "keys", "key": "password"}}, "geheim", id="secret"),
        pytest.param({"resourceFieldRef": {"resource": "limits.cpu"}}, "2", id="limit"),
        pytest.param(
            {"resourceFieldRef": {"resource": "requests.cpu", "divisor": "1m"}}, "1500", id="divisor"
        ),
        pytest.param(
            {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Gi"}},
            "16",
            id="limit-of-the-node",
        ),
        pytest.param(
            {"resourceFieldRef": {"containerName": "other", "resource": "limits.memory", "divisor": "1Mi"}},
            "1024",
            id="other-container",
        ),
    ],
)
def test_value_from(sources, source, expected):
    resources = {"requests": {"cpu": "1500m"}, "limits": {"cpu": "2"}}
    container = {"env": [{"name": "X", "valueFrom": source}], "resources": resources}
    assert environment(container, sources, [])["X"] == expected


@pytest.mark.parametrize(
    "container, message",
    [
        pytest.param(
            {"envFrom": [{"configMapRef": {"name": "no"}}]}, 'configmap "no" not found', id="config-map"
        ),
        pytest.param({"envFrom": [{"secretRef": {"name": "no"}}]}, 'secret "no" not found', id="secret"),
        pytest.param(
            {"env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "config", "key": "no"}}}]},
            "couldn't find key no in ConfigMap default/config",
            id="key",
        ),
    ],
)
def test_missing(sources, container, message):
    with pytest.raises(MissingReference, match=f"^{message}$"):
        environment(container, sources, [])


def test_optional(sources):
    container = {
        "envFrom": [{"secretRef": {"name": "no", "optional": True}}],
        "env": [
            {"name": "X", "valueFrom": {"configMapKeyRef": {"name": "no", "key": "no", "optional": True}}},
            {"name": "Y", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "no", "optional": True}}},
        ],
    }
    assert environment(container, sources, []) == {}


def test_order_and_references(sources):
    container = {
        "envFrom": [{"configMapRef": {"name": "config"}, "prefix": "C_"}],
        "env": [
            {"name": "LATER", "value": "$(X)"},
            {"name": "X", "value": "$(C_A)+$(MY_WEB_SERVICE_HOST)"},
            {"name": "C_B", "value": "mine"},
            {"name": "Y", "value": "$(X)"},
            {"name": "EMPTY"},
        ],
    }
    variables = environment(container, sources, [SERVICE])
    chosen = {name: variables[name] for name in ("C_A", "C_B", "LATER", "X", "Y", "EMPTY")}
    assert chosen == {
        "C_A": "1",
        "C_B": "mine",
        "LATER": "$(X)",
        "X": "1+127.1.128.1",
        "Y": "1+127.1.128.1",
        "EMPTY": "",
    }


def test_service_links(sources):
    assert environment({}, sources, [SERVICE]) == {
        "MY_WEB_SERVICE_HOST": "127.1.128.1",
        "MY_WEB_SERVICE_PORT": "80",
        "MY_WEB_SERVICE_PORT_HTTP": "80",
        "MY_WEB_PORT": "tcp://127.1.128.1:80",
        "MY_WEB_PORT_80_TCP": "tcp://127.1.128.1:80",
        "MY_WEB_PORT_80_TCP_PROTO": "tcp",
        "MY_WEB_PORT_80_TCP_PORT": "80",
        "MY_WEB_PORT_80_TCP_ADDR": "127.1.128.1",
    }
    sources.pod = {**POD, "spec": {**POD["spec"], "enableServiceLinks": False}}
    assert environment({}, sources, [SERVICE]) == {}
