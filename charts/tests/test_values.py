"""What each value does to the rendered objects; a value that no table here sets fails the last test."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

CHART = Path(__file__).parents[1] / "dask-k8s-operator"
NAME = CHART.name

POD = "spec.template.spec"
CONTAINER = f"{POD}.containers.0"
DEPLOYMENT = f"Deployment/{NAME}"
SCHEDULERS = f"ServiceMonitor/{NAME}-scheduler"
WORKERS = f"PodMonitor/{NAME}-worker"
CONTROLLERS = f"PodMonitor/{NAME}"
DASHBOARD = f"ConfigMap/{NAME}-dashboard"
ON = {
    CONTROLLERS: {"metrics.controller.podMonitor.enabled": True},
    DASHBOARD: {"metrics.grafanaDashboard.enabled": True},
    SCHEDULERS: {"metrics.scheduler.enabled": True, "metrics.scheduler.serviceMonitor.enabled": True},
    WORKERS: {"metrics.worker.enabled": True, "metrics.worker.podMonitor.enabled": True},
}
LABELS = {"team": "data"}
SELECTOR = {"matchNames": ["x"]}
TOLERATION = {"key": "dedicated", "operator": "Exists"}
AFFINITY = {"podAntiAffinity": {}}
ALONE = {"leaderElection.enabled": False, "replicas": 1}
VARIABLE = {"name": "HTTPS_PROXY", "value": "http://proxy:3128"}


def nested(values: dict[str, Any]) -> dict[str, Any]:
    """Values by dotted keys, as Helm reads them."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        *parents, last = key.split(".")
        inner = result
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = value
    return result


def identity(each: dict[str, Any]) -> str:
    namespace = each["metadata"].get("namespace", "home")
    return "/".join([each["kind"], each["metadata"]["name"], *([] if namespace == "home" else [namespace])])


def field(objects: list[dict[str, Any]], name: str, path: str) -> Any:
    (value,) = (each for each in objects if identity(each) == name)
    for key in path.split("."):
        value = value[int(key)] if isinstance(value, list) else value.get(key)
        if value is None:
            return None
    return value


FIELDS = [
    ({"image.name": "r.example/op", "image.tag": "2"}, DEPLOYMENT, f"{CONTAINER}.image", "r.example/op:2"),
    ({"image.pullPolicy": "Always"}, DEPLOYMENT, f"{CONTAINER}.imagePullPolicy", "Always"),
    ({"imagePullSecrets": [{"name": "s"}]}, DEPLOYMENT, f"{POD}.imagePullSecrets", [{"name": "s"}]),
    ({"replicas": 0}, DEPLOYMENT, "spec.replicas", 0),
    ({}, DEPLOYMENT, "spec.strategy.type", "RollingUpdate"),
    (ALONE, DEPLOYMENT, "spec.strategy.type", "Recreate"),
    ({"serviceAccount.annotations": LABELS}, f"ServiceAccount/{NAME}", "metadata.annotations", LABELS),
    (
        {"serviceAccount.create": False, "serviceAccount.name": "existing"},
        f"ClusterRoleBinding/{NAME}",
        "subjects",
        [{"kind": "ServiceAccount", "name": "existing", "namespace": "home"}],
    ),
    ({"serviceAccount.create": False}, DEPLOYMENT, f"{POD}.serviceAccountName", "default"),
    ({"podAnnotations": {"a": "b"}}, DEPLOYMENT, "spec.template.metadata.annotations.a", "b"),
    ({"podSecurityContext": {"fsGroup": 7}}, DEPLOYMENT, f"{POD}.securityContext.fsGroup", 7),
    ({"securityContext": {"runAsUser": 7}}, DEPLOYMENT, f"{CONTAINER}.securityContext.runAsUser", 7),
    ({"resources": {"limits": {"memory": "1Gi"}}}, DEPLOYMENT, f"{CONTAINER}.resources.limits.memory", "1Gi"),
    ({"volumes": [{"name": "v"}]}, DEPLOYMENT, f"{POD}.volumes", [{"name": "v"}]),
    ({"volumeMounts": [{"name": "v"}]}, DEPLOYMENT, f"{CONTAINER}.volumeMounts", [{"name": "v"}]),
    ({"extraEnv": [VARIABLE]}, DEPLOYMENT, f"{CONTAINER}.env.1", VARIABLE),
    ({"nodeSelector": LABELS}, DEPLOYMENT, f"{POD}.nodeSelector", LABELS),
    ({"tolerations": [TOLERATION]}, DEPLOYMENT, f"{POD}.tolerations", [TOLERATION]),
    ({"affinity": AFFINITY}, DEPLOYMENT, f"{POD}.affinity", AFFINITY),
    ({"priorityClassName": "high"}, DEPLOYMENT, f"{POD}.priorityClassName", "high"),
    ({"livenessProbe.timeoutSeconds": 9}, DEPLOYMENT, f"{CONTAINER}.livenessProbe.timeoutSeconds", 9),
    (
        {"networkPolicy.enabled": True},
        f"NetworkPolicy/{NAME}",
        "spec.ingress",
        [{"ports": [{"port": "health"}]}],
    ),
    *(
        ({**ON[monitor], f"metrics.{who}.{key}": value}, identity, path, value)
        for monitor, who, endpoint in (
            (SCHEDULERS, "scheduler.serviceMonitor", "spec.endpoints.0"),
            (WORKERS, "worker.podMonitor", "spec.podMetricsEndpoints.0"),
            (CONTROLLERS, "controller.podMonitor", "spec.podMetricsEndpoints.0"),
        )
        for key, value, identity, path in (
            ("namespace", "monitoring", f"{monitor}/monitoring", "metadata.namespace"),
            ("additionalLabels", LABELS, monitor, "metadata.labels"),
            ("interval", "1m", monitor, f"{endpoint}.interval"),
            ("metricRelabelings", [{"action": "keep"}], monitor, f"{endpoint}.metricRelabelings"),
        )
    ),
    *(
        ({**ON[monitor], f"metrics.{who}.{key}": value}, monitor, f"spec.{key}", value)
        for monitor, who, labels in (
            (SCHEDULERS, "scheduler.serviceMonitor", "targetLabels"),
            (WORKERS, "worker.podMonitor", "podTargetLabels"),
        )
        for key, value in (("namespaceSelector", SELECTOR), ("jobLabel", "l"), (labels, ["l"]))
    ),
    ({**ON[WORKERS]}, WORKERS, "spec.namespaceSelector", {"any": True}),
    *(
        ({**ON[CONTROLLERS], "metrics.controller.podMonitor.namespace": "monitoring"}, name, path, expected)
        for name, path, expected in (
            (f"{CONTROLLERS}/monitoring", "spec.namespaceSelector", {"matchNames": ["home"]}),
            (f"{CONTROLLERS}/monitoring", "spec.podMetricsEndpoints.0.port", "health"),
            (DEPLOYMENT, f"{CONTAINER}.ports.0.name", "health"),
        )
    ),
    (
        {**ON[DASHBOARD], "metrics.grafanaDashboard.namespace": "monitoring"},
        f"{DASHBOARD}/monitoring",
        "metadata.labels",
        {"grafana_dashboard": "1"},
    ),
    ({**ON[DASHBOARD], "metrics.grafanaDashboard.labels": LABELS}, DASHBOARD, "metadata.labels", LABELS),
    (
        {**ON[WORKERS], "watchNamespaces": ["a", "b"]},
        WORKERS,
        "spec.namespaceSelector",
        {"matchNames": ["a", "b"]},
    ),
]


@pytest.mark.parametrize("values, name, path, expected", FIELDS, ids=lambda value: str(value)[:60])
def test_a_field(render, values, name, path, expected):
    found = field(render(nested(values)), name, path)
    if isinstance(expected, dict):
        assert found.items() >= expected.items()
    else:
        assert found == expected


ALWAYS = ["run", "--health-address=$(POD_IP):8080"]
LOG = "--log-format=json"
ELECTION = ["--leader-elect", f"--lease-name={NAME}"]
DEFAULT_FLAGS = [*ALWAYS, LOG, *ELECTION]
FLAGS = [
    ({}, DEFAULT_FLAGS),
    ({"log.format": "plain"}, [*ALWAYS, "--log-format=plain", *ELECTION]),
    ({"log.level": "debug"}, [*ALWAYS, LOG, "--verbose", *ELECTION]),
    ({"log.level": "warning"}, [*ALWAYS, LOG, "--quiet", *ELECTION]),
    (ALONE, [*ALWAYS, LOG]),
    ({"watchNamespaces": ["a", "b"]}, [*DEFAULT_FLAGS, "--namespace=a", "--namespace=b"]),
    ({"rbac.cluster": False}, [*DEFAULT_FLAGS, "--namespace=home"]),
    ({"rbac.cluster": False, "watchNamespaces": ["a"]}, [*DEFAULT_FLAGS, "--namespace=a"]),
    ({"kopfArgs": ["--all-namespaces"]}, [*DEFAULT_FLAGS, "--all-namespaces"]),
    ({"rbac.cluster": False, "kopfArgs": ["--namespace=a"]}, [*DEFAULT_FLAGS, "--namespace=a"]),
    ({"kopfArgs": ["--quiet"], "rbac.cluster": False}, [*DEFAULT_FLAGS, "--namespace=home", "--quiet"]),
    ({"workerAllocation.size": 10, "workerAllocation.delay": 4}, [*DEFAULT_FLAGS, "--api-rate=2.5"]),
    ({"workerAllocation.size": 1, "workerAllocation.delay": 5}, [*DEFAULT_FLAGS, "--api-rate=1"]),
]  # fmt: skip


@pytest.fixture(scope="module")
def known_flags() -> set[str]:
    """The flags that the controller documents."""
    command = [sys.executable, "-m", "dask_k8s_controller", "run", "--help"]
    return set(re.findall(r"(?<![\w-])--[a-z-]+", subprocess.check_output(command, text=True)))


@pytest.mark.parametrize("values, flags", FLAGS, ids=lambda value: str(value)[:60])
def test_the_controllers_flags(render, known_flags, values, flags):
    assert field(render(nested(values)), DEPLOYMENT, f"{CONTAINER}.args") == flags
    assert {flag.partition("=")[0] for flag in flags[1:]} <= known_flags


def role(kind: str, name: str, *namespace: str) -> set[str]:
    return {"/".join([kind, name, *namespace]), "/".join([f"{kind}Binding", name, *namespace])}


USERS = {f"ClusterRole/{NAME}-view", f"ClusterRole/{NAME}-edit"}
TEST = {f"ServiceAccount/{NAME}-test", f"Pod/{NAME}-test", *role("Role", f"{NAME}-test")}
CLUSTER = role("ClusterRole", NAME)
LEADER = role("Role", f"{NAME}-leader")
KEY = role("Role", f"{NAME}-agent-key")
DISRUPTION = f"PodDisruptionBudget/{NAME}"
DEFAULT = {DEPLOYMENT, DISRUPTION, f"ServiceAccount/{NAME}", *CLUSTER, *LEADER, *KEY, *USERS, *TEST}
OBJECTS = [
    ({}, set(), set()),
    ({"rbac.create": False}, set(), {*CLUSTER, *LEADER, *KEY, *USERS, *TEST}),
    ({"rbac.userRoles": False}, set(), USERS),
    ({"rbac.cluster": False}, role("Role", NAME), CLUSTER),
    (
        {"watchNamespaces": ["a", "b"]},
        {*role("Role", NAME, "a"), *role("Role", NAME, "b"), *role("Role", f"{NAME}-test", "a")},
        {*CLUSTER, *role("Role", f"{NAME}-test")},
    ),
    ({"replicas": 1}, set(), {DISRUPTION}),
    (ALONE, set(), {DISRUPTION, *LEADER}),
    ({"serviceAccount.create": False}, set(), {f"ServiceAccount/{NAME}"}),
    ({"networkPolicy.enabled": True}, {f"NetworkPolicy/{NAME}"}, set()),
    ({key: value for values in ON.values() for key, value in values.items()}, set(ON), set()),
    ({"metrics.scheduler.serviceMonitor.enabled": True}, set(), set()),
    ({"metrics.worker.podMonitor.enabled": True}, set(), set()),
]


@pytest.mark.parametrize("values, more, fewer", OBJECTS, ids=lambda value: str(value)[:60])
def test_which_objects_there_are(render, values, more, fewer):
    assert {identity(each) for each in render(nested(values))} == (DEFAULT | more) - fewer


X = "x" * 63  # as long as a label may be


@pytest.mark.parametrize(
    "values, name, test",
    [
        ({"nameOverride": "dask"}, NAME, f"{NAME}-test"),
        ({"nameOverride": "x"}, f"{NAME}-x", f"{NAME}-x-test"),
        ({"fullnameOverride": "x"}, "x", "x-test"),
        ({"fullnameOverride": "x" * 99}, X, X[:58] + "-test"),
    ],
    ids=["inside", "other", "full", "long"],
)
def test_names(render, values, name, test):
    names = {name, f"{name}-leader", f"{name}-agent-key", f"{name}-view", f"{name}-edit", test}
    assert {each["metadata"]["name"] for each in render(values)} == names


def test_the_values_of_a_chart_that_people_come_from(render):
    """The defaults of dask-kubernetes-operator, all of them, but for the image."""
    monitor = {"namespace": "", "namespaceSelector": {}, "additionalLabels": {}, "interval": "15s"}
    monitor |= {"jobLabel": "", "metricRelabelings": [], "enabled": False}
    drop = {"capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True, "allowPrivilegeEscalation": False}
    dicts = ("podAnnotations", "podSecurityContext", "resources", "nodeSelector", "affinity")
    lists = ("imagePullSecrets", "volumes", "volumeMounts", "tolerations")
    empty = {name: {} for name in dicts} | {name: [] for name in lists}
    values = {
        "nameOverride": "",
        "fullnameOverride": "",
        "serviceAccount": {"create": True, "annotations": {}, "name": ""},
        "rbac": {"create": True, "cluster": True},
        "securityContext": {**drop, "runAsUser": 1000},
        "kopfArgs": ["--all-namespaces"],
        "metrics": {
            "scheduler": {"enabled": False, "serviceMonitor": {**monitor, "targetLabels": ["a"]}},
            "worker": {"enabled": False, "podMonitor": {**monitor, "podTargetLabels": ["a"]}},
        },
        "workerAllocation": {"size": None, "delay": None},
        **empty,
    }
    assert {identity(each) for each in render(values)} == DEFAULT


@pytest.mark.parametrize(
    "values, why",
    [
        ({"replica": 2}, "'replica' not allowed"),
        ({"image.repository": "x"}, "'repository' not allowed"),
        ({"metrics.worker.serviceMonitor.enabled": True}, "'serviceMonitor' not allowed"),
        ({"metrics.worker.podMonitor.targetLabels": []}, "'targetLabels' not allowed"),
        ({"log.level": "verbose"}, "/log/level"),
        ({"watchNamespaces": "a"}, "/watchNamespaces"),
        ({"watchNamespaces": ["A_b"]}, "/watchNamespaces/0"),
        ({"leaderElection.enabled": False}, "leaderElection.enabled"),
    ],
)
def test_refused(template, values, why):
    done = template(nested(values))
    assert done.returncode != 0
    assert why in done.stderr


def leaves(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, each in schema["properties"].items():
        if "properties" in each:
            assert each["additionalProperties"] is False, f"{path}{name}: a misspelt key would be taken"
            yield from leaves(each, f"{path}{name}.")
        elif path + name != "global":
            yield path + name


def test_each_value_has_a_default_and_a_test():
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    names = set(leaves(schema))
    for name in names:
        inner = values
        for key in name.split("."):
            inner = inner[key]
    elsewhere = {"crds.install", "rbac.extraRules", "nameOverride", "fullnameOverride"}
    tried = {key for table in (FIELDS, FLAGS, OBJECTS) for values, *_ in table for key in values}
    assert tried | elsewhere == names
