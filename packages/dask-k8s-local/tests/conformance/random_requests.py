"""Strategies of hypothesis: short sequences of requests, valid ones and others. Sends nothing.

Texts contain placeholders, which the session of each API server replaces: `$n` by the number of the sequence,
`$version`, `$first` and `$uid` by what that server has returned for the object of the request.
No controller acts on the objects, apart from the garbage collector (see `session`).
"""

import copy
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from .conftest import APPLY, JSON_PATCH, MERGE, STRATEGIC

NAMES = ("a-$n", "b-$n")
ODD_NAMES = ("A_$n", "", "-$n")
LABEL = "sequence"


@dataclass(frozen=True)
class Step:
    """A request; its path is relative to a namespace."""

    method: str
    path: str
    body: Any = None
    content_type: str = "application/json"
    query: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """A collection: a valid object, and what can be changed in it."""

    plural: str
    base: dict[str, Any]
    edits: dict[str, tuple[Any, ...]]
    """Values to try at each path."""
    subresources: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    """Field selectors."""
    only_dry_run: bool = False
    """Controllers change these objects at once, so that none is stored."""


META: dict[str, tuple[Any, ...]] = {
    "metadata.labels": (
        {"x": "1"},
        {"x": "2", "y": ""},
        {"-": "1"},
        {"x": "-"},
        {"x": None},
        {"x": 1},
        None,
        {},
        [],
    ),
    "metadata.labels.x": ("1", "2", None, 3),
    "metadata.annotations": ({"x": "1"}, {"X/y": "-"}, {"a b": "1"}, {"x": None}, {"x": True}, None),
    "metadata.annotations.x": ("1", "", None),
    "metadata.finalizers": (
        ["example.com/f"],
        ["example.com/f", "example.com/g"],
        ["f"],
        [],
        None,
        ["example.com/f"] * 2,
    ),
    "metadata.ownerReferences": (
        [{}],
        [{"apiVersion": "v1", "kind": "Pod", "name": "x"}],
        [],
        None,
    ),
    "metadata.generateName": ("g-$n-", "G"),
    "metadata.name": ("A_", None, "b-$n", 5),
    "metadata.namespace": ("other", None, ""),
    "metadata.resourceVersion": ("$version", "$first", "1", "x", None, ""),
    "metadata.uid": ("$uid", "other", None),
    "metadata.generation": (7,),
    "metadata.creationTimestamp": ("2020-01-01T00:00:00Z", None, "x"),
    "metadata.deletionTimestamp": ("2020-01-01T00:00:00Z",),
    "metadata.managedFields": ([], None, [{}]),
    "metadata.unknown": (1,),
    "metadata": (None, [], {}),
    "kind": ("Other", None, 1),
    "apiVersion": ("v2", None, "example.org/v1"),
    "unknown": ("x", None),
}

_CONTAINER = {"name": "c", "image": "python:3.11"}
PODS = Kind(
    "pods",
    {
        "apiVersion": "v1",
        "kind": "Pod",
        "spec": {
            "schedulerName": "none",
            "automountServiceAccountToken": False,
            "containers": [_CONTAINER],
        },
    },
    {
        "spec": (None, {}),
        "spec.unknown": (1,),
        "spec.containers": (
            [],
            None,
            [_CONTAINER, {"name": "d", "image": "x:latest", "imagePullPolicy": "Never"}],
            [_CONTAINER, _CONTAINER],
            [{"name": "c"}],
            [{"name": "C", "image": " x"}],
            [{"name": "c", "image": "y"}],
            [{"name": "e", "image": "y"}],
            {},
            [None],
        ),
        "spec.containers.0.image": ("y", "", None, "x@sha256:" + "0" * 64),
        "spec.containers.0.command": (["a"], "a", [1]),
        "spec.containers.0.args": (["a", "b"], []),
        "spec.containers.0.env": (
            [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
            [{"name": "A", "value": 1}],
            [{"name": "", "value": "1"}],
            [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "nope"}}}],
            [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
            [{"name": "A", "value": "1", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
            [{"name": "A=", "value": "1"}],
        ),
        "spec.containers.0.envFrom": (
            [{"configMapRef": {"name": "a"}}],
            [{}],
            [{"configMapRef": {"name": "a"}, "secretRef": {"name": "a"}}],
            [{"prefix": "1=", "secretRef": {"name": "a"}}],
        ),
        "spec.containers.0.ports": (
            [{"containerPort": 80}],
            [{"containerPort": 80, "name": "web"}, {"containerPort": 80, "protocol": "UDP"}],
            [{"containerPort": 0}],
            [{"containerPort": 70000}],
            [{"containerPort": "80"}],
            [{"containerPort": 80, "name": "WEB"}],
            [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 81, "hostPort": 8080}],
        ),
        "spec.containers.0.resources": (
            {"requests": {"cpu": "0.5", "memory": "1024Mi"}},
            {"limits": {"cpu": 1, "memory": "1G"}},
            {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}},
            {"limits": {"cpu": "x"}},
            {"limits": {"nvidia.com/gpu": "1"}},
            {"requests": {"nvidia.com/gpu": "1"}},
            {"requests": {"nope": "1"}},
            {"requests": {"memory": "100m"}},
            {"limits": {"hugepages-2Mi": "2Mi"}},
            None,
            {},
        ),
        "spec.containers.0.volumeMounts": (
            [{"name": "v", "mountPath": "/v"}],
            [{"name": "v", "mountPath": "/v", "subPath": "../x"}],
            [{"name": "v", "mountPath": "/v"}, {"name": "v", "mountPath": "/v"}],
            [{"name": "v", "mountPath": "a:b"}],
            [{"name": "v"}],
        ),
        "spec.containers.0.livenessProbe": (
            {"httpGet": {"port": 80}},
            {"httpGet": {"port": "web", "path": "x", "scheme": "FTP"}},
            {"tcpSocket": {"port": 0}},
            {"exec": {"command": ["a"]}, "periodSeconds": -1},
            {"exec": {}},
            {"exec": {"command": ["a"]}, "successThreshold": 2},
            {"exec": {"command": ["a"]}, "initialDelaySeconds": 1.5},
            {"exec": {"command": ["a"]}, "terminationGracePeriodSeconds": 0},
            {"grpc": {"port": 1}},
            {},
        ),
        "spec.containers.0.readinessProbe": (
            {"exec": {"command": ["a"]}, "successThreshold": 2},
            {"exec": {"command": ["a"]}, "terminationGracePeriodSeconds": 1},
        ),
        "spec.containers.0.lifecycle": (
            {"preStop": {"exec": {"command": ["a"]}}},
            {"preStop": {"sleep": {"seconds": 5}}},
            {"preStop": {}},
            {},
        ),
        "spec.containers.0.securityContext": (
            {"runAsUser": 1000},
            {"runAsUser": -1},
            {"privileged": True, "allowPrivilegeEscalation": False},
            {"capabilities": {"add": ["NET_ADMIN"]}},
        ),
        "spec.containers.0.restartPolicy": ("Always", "Never"),
        "spec.containers.0.terminationMessagePath": ("", "/x"),
        "spec.containers.0.imagePullPolicy": ("Always", "x", "", None),
        "spec.initContainers": (
            [{"name": "i", "image": "x"}],
            [{"name": "c", "image": "x"}],
            [{"name": "i", "image": "x", "restartPolicy": "Always"}],
            [{"name": "i", "image": "x", "restartPolicy": "Never"}],
            [{"name": "i", "image": "x", "livenessProbe": {"exec": {"command": ["a"]}}}],
        ),
        "spec.volumes": (
            [{"name": "v"}],
            [{"name": "v", "emptyDir": {"sizeLimit": "1Gi", "medium": "Memory"}}],
            [{"name": "v", "emptyDir": {"sizeLimit": "-1"}}],
            [{"name": "v", "configMap": {"name": "a"}}, {"name": "w", "secret": {"secretName": "a"}}],
            [{"name": "v", "configMap": {}}],
            [{"name": "v", "secret": {"secretName": "a", "defaultMode": 9999}}],
            [{"name": "v", "configMap": {"name": "a", "items": [{"key": "k", "path": "../x"}]}}],
            [{"name": "v", "hostPath": {"path": "/x", "type": "Nope"}}],
            [{"name": "v", "hostPath": {}}],
            [{"name": "v", "persistentVolumeClaim": {"claimName": "a"}}],
            [
                {
                    "name": "v",
                    "downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "metadata.labels"}}]},
                }
            ],
            [
                {
                    "name": "v",
                    "projected": {
                        "sources": [{"secret": {"name": "s"}}, {"serviceAccountToken": {"path": "t"}}]
                    },
                }
            ],
            [{"name": "v", "projected": {"sources": [{}]}}],
            [{"name": "V"}],
            [{"name": "v"}, {"name": "v"}],
            [{}],
        ),
        "spec.restartPolicy": ("Never", "OnFailure", "x", ""),
        "spec.terminationGracePeriodSeconds": (0, 5, -1, "5", 1.0, 1.5),
        "spec.activeDeadlineSeconds": (0, 5, 10, -1, None),
        "spec.nodeSelector": ({"a": "b"}, {"a b": "c"}, {"a": 1}),
        "spec.tolerations": (
            [{"key": "a", "operator": "Exists"}],
            [{"operator": "Exists"}],
            [{"key": "a", "operator": "Exists", "value": "b"}],
            [{"key": "a", "effect": "x"}],
            [{"key": "a", "operator": "x"}],
            [{"value": "b"}],
            [{"key": "a", "effect": "NoSchedule", "tolerationSeconds": 5}],
            [],
        ),
        "spec.affinity": (
            {},
            {"nodeAffinity": {}},
            {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}},
            {
                "podAntiAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {"weight": 101, "podAffinityTerm": {"topologyKey": "a"}}
                    ]
                }
            },
        ),
        "spec.topologySpreadConstraints": (
            [{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway"}],
            [{"maxSkew": 0, "topologyKey": "z", "whenUnsatisfiable": "x"}],
        ),
        "spec.securityContext": (
            {"runAsUser": 1000, "fsGroup": 5},
            {"runAsNonRoot": True},
            {"runAsUser": -1},
            None,
        ),
        "spec.hostNetwork": (True, False, "true"),
        "spec.serviceAccountName": ("default", "nope", "A_", ""),
        "spec.imagePullSecrets": ([{"name": "a"}], [{"name": ""}], [{}]),
        "spec.priorityClassName": ("nope", "system-node-critical", ""),
        "spec.priority": (0, 5),
        "spec.schedulingGates": ([{"name": "example.com/x"}], [{"name": "A_"}]),
        "spec.hostname": ("x", "A_"),
        "spec.subdomain": ("x", "A_"),
        "spec.hostAliases": ([{"ip": "1.2.3.4", "hostnames": ["a"]}], [{"ip": "x"}]),
        "spec.dnsPolicy": ("Default", "None", "x"),
        "spec.dnsConfig": ({"nameservers": ["1.2.3.4"]}, {"nameservers": ["x"]}),
        "spec.enableServiceLinks": (False, None),
        "spec.shareProcessNamespace": (True,),
        "spec.os": ({"name": "linux"}, {"name": "x"}),
        "spec.preemptionPolicy": ("Never", "x"),
        "spec.runtimeClassName": ("nope",),
        "status": ({"phase": "Running"}, {"podIP": "10.9.9.9"}, {"phase": 5}, None, {}),
        "status.conditions": (
            [{"type": "Ready", "status": "True"}],
            [{"type": "example.com/x", "status": "Maybe"}],
            [{"type": "example.com/x", "status": "True", "lastProbeTime": None}],
        ),
    },
    subresources=("status",),
    fields=(
        "status.phase=Pending",
        "spec.nodeName=",
        "spec.schedulerName=none,metadata.name!=x",
        "spec.nope=x",
    ),
)

SERVICES = Kind(
    "services",
    {"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}},
    {
        "spec": (None, {}),
        "spec.type": ("NodePort", "LoadBalancer", "ExternalName", "ClusterIP", "x", None),
        "spec.externalName": ("a.example.com", "A_", ""),
        "spec.clusterIP": ("None", "1.2.3.4", "x", "", None),
        "spec.clusterIPs": (["None"], ["x"], ["1.2.3.4", "1.2.3.5"], []),
        "spec.ports": (
            [],
            None,
            [{"port": 80, "targetPort": "web"}, {"port": 81, "name": "b"}],
            [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}],
            [{"port": 80, "name": "a"}, {"port": 80, "name": "b", "protocol": "UDP"}],
            [{"port": 80, "name": "a"}, {"port": 81, "name": "a"}],
            [{"port": 0}],
            [{"port": 70000, "targetPort": -1}],
            [{"port": 80, "protocol": "x", "name": "A"}],
            [{"port": 80, "nodePort": 99}],
            [{"port": 80, "targetPort": 1.5}],
            [{}],
        ),
        "spec.ports.0.nodePort": (38967, -1, 0),
        "spec.ports.0.targetPort": (8080, "web", "", 0, "A_", "8080"),
        "spec.ports.0.appProtocol": ("http", "A_", ""),
        "spec.selector": ({"a": "b", "c": "d"}, {"a": "-"}, {}, None),
        "spec.sessionAffinity": ("ClientIP", "None", "x"),
        "spec.sessionAffinityConfig": (
            {"clientIP": {"timeoutSeconds": 5}},
            {"clientIP": {"timeoutSeconds": 0}},
        ),
        "spec.externalIPs": (["1.2.3.4"], ["x"], ["127.0.0.1"]),
        "spec.externalTrafficPolicy": ("Local", "Cluster", "x"),
        "spec.internalTrafficPolicy": ("Local", "x"),
        "spec.ipFamilies": (["IPv4"], ["IPv6"], ["x"], ["IPv4", "IPv6"]),
        "spec.ipFamilyPolicy": ("SingleStack", "PreferDualStack", "RequireDualStack", "x"),
        "spec.loadBalancerIP": ("1.2.3.4",),
        "spec.loadBalancerSourceRanges": (["10.0.0.0/8"], ["x"]),
        "spec.publishNotReadyAddresses": (True,),
        "spec.healthCheckNodePort": (5, -1),
        "spec.allocateLoadBalancerNodePorts": (False, True),
        "spec.trafficDistribution": ("PreferClose", "x"),
        "status": (
            {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}},
            {"loadBalancer": {"ingress": [{"ip": "x"}]}},
        ),
    },
    subresources=("status",),
    fields=("spec.type=ClusterIP", "spec.clusterIP=None", "spec.nope=x"),
)

CONFIG_MAPS = Kind(
    "configmaps",
    {"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "1"}},
    {
        "data": ({"k": "1", "l": ""}, {"a b": "1"}, {"k": 1}, {"k": None}, None, {}, [], "x", {"..": "1"}),
        "data.k": ("2", None, True),
        "binaryData": ({"b": "aGk="}, {"k": "aGk="}, {"b": "*"}, {"b": ""}, {"b": None}),
        "immutable": (True, False, None, "x"),
    },
    fields=("metadata.name=a-$n", "data.k=1"),
)
SECRETS = Kind(
    "secrets",
    {"apiVersion": "v1", "kind": "Secret", "data": {"k": "MQ=="}},
    {
        "data": ({"k": "MQ==", "l": ""}, {"a b": "MQ=="}, {"k": "*"}, {"k": "MQ"}, {"k": None}, None, {}),
        "data.k": ("Mg==", None),
        "stringData": ({"s": "x"}, {"k": "new"}, {"s": None}, {"s": 1}, None, {"a b": "1"}),
        "type": (
            "Opaque",
            "example.com/x",
            "",
            "kubernetes.io/tls",
            "kubernetes.io/dockerconfigjson",
            "kubernetes.io/basic-auth",
            "kubernetes.io/ssh-auth",
            "kubernetes.io/service-account-token",
            None,
        ),
        "immutable": (True, False, None),
    },
    fields=("type=Opaque", "type!=Opaque"),
)
EVENTS = Kind(
    "events",
    {
        "apiVersion": "v1",
        "kind": "Event",
        "involvedObject": {"kind": "Pod", "name": "x", "namespace": "$namespace"},
    },
    {
        "involvedObject": ({}, None, {"namespace": "other"}, {"kind": "Node", "name": "n"}),
        "involvedObject.namespace": ("other", "", None),
        "reason": ("R", 5),
        "message": ("m", ""),
        "type": ("Normal", "Warning", "x"),
        "count": (1, -1, "1"),
        "firstTimestamp": ("2026-01-01T00:00:00Z", "x", None),
        "eventTime": ("2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:00.123456Z", "x"),
        "source": ({"component": "c", "host": "h"},),
        "reportingComponent": ("example.com/c", "c"),
        "reportingInstance": ("i",),
        "action": ("a",),
        "series": ({"count": 2, "lastObservedTime": "2026-01-01T00:00:00.000000Z"},),
        "related": ({"kind": "Pod", "name": "y"},),
    },
    fields=("reason=R", "involvedObject.name=x,type!=Normal", "source=c", "nope=x"),
)
LEASES = Kind(
    "leases",
    {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": {"holderIdentity": "h"}},
    {
        "spec": (None, {}),
        "spec.holderIdentity": ("i", "", None),
        "spec.leaseDurationSeconds": (15, 0, -1, "5"),
        "spec.leaseTransitions": (0, 1, -1),
        "spec.acquireTime": ("2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:00Z", "x", None),
        "spec.renewTime": ("2026-01-01T00:00:00.123Z", None),
        "spec.strategy": ("OldestEmulationVersion", "x"),
        "spec.preferredHolder": ("x",),
    },
    fields=("metadata.name=a-$n", "spec.holderIdentity=h"),
)
_JOB_CONTAINER = {"name": "c", "image": "python:3.11"}
JOBS = Kind(
    "jobs",
    {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "spec": {
            "suspend": True,
            "template": {"spec": {"restartPolicy": "Never", "containers": [_JOB_CONTAINER]}},
        },
    },
    {
        "spec": (None, {}),
        "spec.parallelism": (0, 2, -1, None),
        "spec.completions": (1, 2, -1, None),
        "spec.backoffLimit": (0, 3, -1),
        "spec.activeDeadlineSeconds": (5, 0, -1),
        "spec.ttlSecondsAfterFinished": (5, -1),
        "spec.completionMode": ("NonIndexed", "x"),
        "spec.podReplacementPolicy": ("Failed", "x"),
        "spec.manualSelector": (True,),
        "spec.selector": ({"matchLabels": {"a": "b"}}, {}, {"matchLabels": {"a": "-"}}),
        "spec.template": (None, {}),
        "spec.template.metadata": (
            {"labels": {"a": "b"}},
            {"labels": {"a": "-"}},
            {"labels": {"job-name": "x"}},
        ),
        "spec.template.spec.restartPolicy": ("OnFailure", "Always", "x", None),
        "spec.template.spec.containers": ([], [{"name": "c"}], [{"name": "c", "image": "y"}]),
        "spec.template.spec.nodeSelector": ({"a": "b"},),
        "spec.template.spec.priority": (5,),
        "spec.template.spec.activeDeadlineSeconds": (5,),
        "spec.podFailurePolicy": (
            {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]},
            {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1, 0]}}]},
            {"rules": []},
            {"rules": [{"action": "x"}]},
        ),
    },
    fields=("metadata.name=a-$n", "status.successful=0", "spec.nope=x"),
)
NAMESPACES = Kind(
    "/api/v1/namespaces",
    {"apiVersion": "v1", "kind": "Namespace"},
    {
        "spec": ({"finalizers": ["example.com/f"]}, {"finalizers": ["f"]}),
        "status": ({"phase": "Terminating"},),
    },
    only_dry_run=True,
)
NODES = Kind(
    "/api/v1/nodes",
    {"apiVersion": "v1", "kind": "Node"},
    {
        "spec": (
            {"unschedulable": True},
            {"taints": [{"key": "a", "effect": "NoSchedule"}]},
            {"taints": [{"key": "a", "effect": "x"}]},
            {"podCIDR": "x"},
        ),
        "status": ({"capacity": {"cpu": "1"}}, {"capacity": {"cpu": "x"}}),
    },
    only_dry_run=True,
)
THINGS = Kind(
    "things",
    {"apiVersion": "$group/v1", "kind": "Thing", "spec": {"worker": {"name": "aaa"}}},
    {
        "spec": (None, {}, {"worker": {}}),
        "spec.min": (1, "1", 1.0, 1.5, None),
        "spec.max": (2, 0, -1),
        "spec.cluster": ("d", "", "x" * 11, None, 5),
        "spec.names": (["main"], ["a", "b"], ["A"], [], ["a"] * 11, [1], [None]),
        "spec.unknown": (1,),
        "spec.worker.name": ("a", "b", "aaaaaa", "", None, 1),
        "spec.worker.replicas": (2, -1, 0, "1", 1.0, 1.5, None, 2**40),
        "spec.worker.size": ("S", "M", None),
        "spec.worker.nullable": (None, {}, {"x": 1}, {"x": None}, {"y": 1}),
        "spec.worker.set": (["a"], ["a", "a"], ["a", "b", "c"], ["b"], [1]),
        "spec.worker.map": (
            [{"name": "m"}],
            [{"name": "m", "value": 1}],
            [{"name": "m", "value": 1}, {"name": "n"}],
            [{"name": "m"}, {"name": "m"}],
            [{"value": 1}],
            [{"name": "m", "other": 1}],
            [],
        ),
        "spec.worker.port": (80, "http", 1.5, None, True),
        "spec.worker.free": ({"known": "x"}, {"other": {"a": [1]}}, {"known": 1}, {"other": None}),
        "spec.worker.numbers": ({"a": 1}, {"a": "1"}, {"a": None}, {}, {"b": 2}),
        "spec.worker.share": (0.5, 1, 1.5, 2, "1"),
        "spec.worker.on": (True, False, "true"),
        "spec.worker.other": (1,),
        "status": (
            {"replicas": 1},
            {"phase": "P", "selector": "a=b"},
            {"replicas": "1"},
            {"nope": 1},
            None,
            {},
        ),
        "status.replicas": (3, None, 1.5),
    },
    subresources=("status", "scale"),
    fields=("metadata.name=a-$n", "spec.cluster=c"),
)
BUILTIN = (PODS, SERVICES, CONFIG_MAPS, SECRETS, EVENTS, LEASES, JOBS, NAMESPACES, NODES)
ALL = (*BUILTIN, THINGS)
ODD = (None, "", "x", 0, -1, 1.5, True, [], {}, [None], {"x": None}, 2**40)
"""Values to try anywhere."""


def _paths(value: Any, prefix: str = "") -> list[str]:
    found = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        path = f"{prefix}.{key}" if prefix else str(key)
        found += [path, *_paths(item, path)]
    return found


def _edits(kind: Kind) -> st.SearchStrategy[list[tuple[str, Any]]]:
    """Changes of an object: mostly those of its kind, some of metadata, a few with any value at all."""
    own = [(path, value) for path, values in kind.edits.items() for value in values]
    common = [(path, value) for path, values in META.items() for value in values]
    odd = [(path, value) for path in [*kind.edits, *_paths(kind.base)] for value in ODD]
    one = st.sampled_from(own) | st.sampled_from(own) | st.sampled_from(common) | st.sampled_from(odd)
    return st.lists(one, max_size=3)


def assign(obj: Any, path: str, value: Any) -> None:
    """Set the value at a path; what is missing on the way is created."""
    *parents, last = path.split(".")
    for key in parents:
        if isinstance(obj, list):
            if not key.isdigit() or int(key) >= len(obj):
                return
            obj = obj[int(key)]
        elif isinstance(obj, dict):
            if not isinstance(obj.get(key), dict | list):
                obj[key] = {}
            obj = obj[key]
        else:
            return
    if isinstance(obj, dict):
        obj[last] = copy.deepcopy(value)
    elif isinstance(obj, list) and last.isdigit() and int(last) < len(obj):
        obj[int(last)] = copy.deepcopy(value)


@st.composite
def _object(draw: Any, kind: Kind, name: str) -> Any:
    body = copy.deepcopy(kind.base)
    body["metadata"] = {"name": name, "labels": {LABEL: "$n"}}
    for path, value in draw(_edits(kind)):
        assign(body, path, value)
    return body


@st.composite
def _merge_patch(draw: Any, kind: Kind) -> Any:
    patch: dict[str, Any] = {}
    for path, value in draw(_edits(kind)):
        if not any(part.isdigit() for part in path.split(".")):
            assign(patch, path, value)
    return patch


@st.composite
def _strategic_patch(draw: Any, kind: Kind) -> Any:
    patch = draw(_merge_patch(kind))
    directive = draw(st.sampled_from((None, None, None, *_DIRECTIVES)))
    if directive:
        path, value = directive
        assign(patch, path, value)
    return patch


_DIRECTIVES = (
    ("metadata.labels.$patch", "replace"),
    ("metadata.labels.$patch", "delete"),
    ("metadata.$deleteFromPrimitiveList/finalizers", ["example.com/f"]),
    ("metadata.$setElementOrder/finalizers", ["example.com/g", "example.com/f"]),
    ("spec.$patch", "replace"),
    ("spec.$patch", "x"),
    ("spec.$retainKeys", ["ports"]),
    ("spec.containers", [{"name": "c", "$patch": "delete"}]),
    ("spec.containers", [{"$patch": "replace"}, {"name": "z", "image": "z"}]),
    ("spec.containers", [{"image": "z"}]),
    ("spec.containers", [{"name": "c", "image": "z"}, {"name": "n", "image": "z"}]),
    ("spec.$setElementOrder/containers", [{"name": "n"}, {"name": "c"}]),
    ("spec.ports", [{"port": 80, "$patch": "delete"}]),
    ("spec.ports", [{"port": 90, "name": "p"}]),
    ("data.$patch", "replace"),
    ("data.$patch", "delete"),
)


@st.composite
def _json_patch(draw: Any, kind: Kind) -> Any:
    found = []
    for path, value in draw(_edits(kind)):
        pointer = "/" + path.replace(".", "/")
        operation = draw(st.sampled_from(("add", "replace", "remove", "test", "move", "copy", "x")))
        entry = {"op": operation, "path": pointer}
        if operation in {"add", "replace", "test", "x"}:
            entry["value"] = value
        if operation in {"move", "copy"}:
            entry["from"] = draw(st.sampled_from(("/metadata/labels", "/metadata/name", "/nope", "")))
        found.append(entry)
    return draw(
        st.sampled_from((found, found, found, found, {}, [{}], [{"op": "add", "path": "x", "value": 1}]))
    )


_DRY = st.sampled_from(({},) * 12 + ({"dryRun": "All"}, {"dryRun": "All"}, {"dryRun": "x"}))
_WRITE = st.sampled_from(
    (
        *({},) * 20,
        {"dryRun": "All"},
        {"dryRun": "All", "fieldManager": "m"},
        {"dryRun": "x"},
        {"fieldManager": "m"},
        {"fieldManager": "m"},
        {"fieldManager": "x" * 129},
        {"fieldManager": "a\nb"},
        {"fieldValidation": "Strict"},
        {"fieldValidation": "Strict"},
        {"fieldValidation": "Ignore"},
        {"fieldValidation": "x"},
    )
)
_MANAGER = {"fieldManager": "m"}
_APPLY = st.sampled_from(
    (
        *(_MANAGER,) * 10,
        {"fieldManager": "n"},
        {"fieldManager": "n"},
        {"fieldManager": "n", "force": "true"},
        {**_MANAGER, "dryRun": "All"},
        {**_MANAGER, "force": "true"},
        {**_MANAGER, "force": "x"},
        {**_MANAGER, "fieldValidation": "Strict"},
        {},
    )
)
_DELETE = st.sampled_from(
    (
        None,
        None,
        {},
        {"preconditions": {"uid": "$uid"}},
        {"preconditions": {"uid": "other"}},
        {"preconditions": {"resourceVersion": "$version"}},
        {"preconditions": {"resourceVersion": "$first"}},
        {"propagationPolicy": "Background"},
        {"propagationPolicy": "Foreground"},
        {"propagationPolicy": "Orphan"},
        {"propagationPolicy": "x"},
        {"propagationPolicy": "Orphan", "orphanDependents": True},
        {"orphanDependents": True},
        {"orphanDependents": False},
        {"gracePeriodSeconds": 0},
        {"gracePeriodSeconds": 5},
        {"gracePeriodSeconds": -1},
        {"gracePeriodSeconds": "x"},
        {"dryRun": ["All"]},
        {"dryRun": ["x"]},
        {"kind": "DeleteOptions", "apiVersion": "v1"},
        {"kind": "Other", "apiVersion": "v1"},
        {"unknown": 1},
    )
)
_LISTS = (
    {},
    {"labelSelector": "x"},
    {"labelSelector": "!x"},
    {"labelSelector": "x=1"},
    {"labelSelector": "x==1,y!=2"},
    {"labelSelector": "x in (1,2)"},
    {"labelSelector": "x notin (1)"},
    {"labelSelector": "x in ()"},
    {"labelSelector": "x>1"},
    {"labelSelector": "x>a"},
    {"labelSelector": "x=-"},
    {"labelSelector": "-"},
    {"labelSelector": "x,,y"},
    {"labelSelector": "x="},
    {"labelSelector": "x=1 2"},
    {"fieldSelector": "metadata.name=a-$n"},
    {"fieldSelector": "metadata.name!=a-$n"},
    {"fieldSelector": "metadata.namespace=other"},
    {"fieldSelector": "nope"},
    {"resourceVersion": "0"},
    {"resourceVersion": "x"},
    {"resourceVersion": "1", "resourceVersionMatch": "Exact"},
    {"resourceVersionMatch": "Exact"},
    {"resourceVersion": "$version", "resourceVersionMatch": "NotOlderThan"},
    {"resourceVersion": "1", "resourceVersionMatch": "x"},
    {"limit": "x"},
    {"limit": "-1"},
    {"continue": "x"},
    {"timeoutSeconds": "x"},
)


def _with_sequence(query: dict[str, str]) -> dict[str, str]:
    """Restrict a list to the objects of a sequence."""
    selectors = [f"{LABEL}=$n", *filter(None, [query.get("labelSelector")])]
    return {**query, "labelSelector": ",".join(selectors)}


@st.composite
def _step(draw: Any, kind: Kind) -> Step:
    name = draw(st.sampled_from((*NAMES[:1] * 4, NAMES[1])))
    if kind.only_dry_run:
        query = {**draw(_WRITE), "dryRun": "All"}
        return Step("POST", kind.plural, draw(_object(kind, name)), query=query)
    verb = draw(st.sampled_from(_VERBS))
    match verb:
        case "create":
            return Step("POST", kind.plural, draw(_object(kind, name)), query=draw(_WRITE))
        case "list":
            fields = [{"fieldSelector": text} for text in kind.fields]
            return Step("GET", kind.plural, query=_with_sequence(draw(st.sampled_from((*_LISTS, *fields)))))
        case "delete":
            return Step("DELETE", f"{kind.plural}/{name}", draw(_DELETE), query=draw(_DRY))
        case "deletecollection":
            return Step("DELETE", kind.plural, draw(_DELETE), query=_with_sequence(draw(_DRY)))
    return draw(_step_of_object(kind, name, verb))


@st.composite
def _step_of_object(draw: Any, kind: Kind, name: str, verb: str) -> Step:
    """Read or change an object or one of its subresources."""
    sub = draw(st.sampled_from(("", "", "", *kind.subresources)))
    path = f"{kind.plural}/{name}" + (f"/{sub}" if sub else "")
    if verb == "get":
        return Step("GET", path)
    if sub == "scale":
        return draw(_scale(verb, path, name))
    query = draw(_APPLY if verb == "apply" else _WRITE)
    if verb == "replace":
        return Step("PUT", path, draw(_object(kind, name)), query=query)
    return Step("PATCH", path, draw(_BODIES[verb](kind, name)), _TYPES[verb], query)


_SCALES = (
    {"spec": {"replicas": 3}},
    {"spec": {"replicas": -1}},
    {"spec": {"replicas": "3"}},
    {"spec": {"replicas": 1.5}},
    {"spec": {}},
    {"spec": None},
    {},
    {"spec": {"replicas": 2}, "metadata": {"resourceVersion": "$version"}},
    {"spec": {"replicas": 2}, "metadata": {"resourceVersion": "$first"}},
    {"spec": {"replicas": 2}, "metadata": {"resourceVersion": "1"}},
    {"spec": {"replicas": 2}, "metadata": {"labels": {"x": "1"}}},
    {"spec": {"replicas": 2}, "metadata": {"uid": "other"}},
    {"spec": {"replicas": 2}, "metadata": {"name": "other"}},
    {"spec": {"replicas": 2}, "unknown": 1},
    {"spec": {"replicas": 2}, "status": {"replicas": 9}},
    {"spec": 5},
)
_SCALE_JSON = (
    [{"op": "replace", "path": "/spec/replicas", "value": 4}],
    [{"op": "add", "path": "/spec/replicas", "value": "4"}],
    [{"op": "test", "path": "/spec/replicas", "value": 9}],
    [{"op": "remove", "path": "/spec/replicas"}],
    [{"op": "remove", "path": "/spec"}],
)
_TYPES = {"merge": MERGE, "strategic": STRATEGIC, "json": JSON_PATCH, "apply": APPLY}


@st.composite
def _scale(draw: Any, verb: str, path: str, name: str) -> Step:
    """Change the subresource `scale`."""
    query = draw(_APPLY if verb == "apply" else _WRITE)
    if verb == "json":
        return Step("PATCH", path, draw(st.sampled_from(_SCALE_JSON)), JSON_PATCH, query)
    body = copy.deepcopy(draw(st.sampled_from(_SCALES)))
    if verb in {"replace", "apply"}:
        typed = draw(
            st.sampled_from(
                ({"apiVersion": "autoscaling/v1", "kind": "Scale"},) * 4 + ({}, {"kind": "Other"})
            )
        )
        body = {**typed, **body, "metadata": {"name": name, **body.get("metadata", {})}}
    if verb == "replace":
        return Step("PUT", path, body, query=query)
    return Step("PATCH", path, body, _TYPES[verb], query)


_BODIES = {
    "merge": lambda kind, _: _merge_patch(kind),
    "strategic": lambda kind, _: _strategic_patch(kind),
    "json": lambda kind, _: _json_patch(kind),
    "apply": _object,
}


_VERBS = (
    "create", "create", "create", "get", "list", "replace", "replace", "merge", "merge", "strategic", "json",
    "apply", "apply", "delete", "delete", "deletecollection",
)  # fmt: skip


@st.composite
def sequences(draw: Any, kinds: tuple[Kind, ...]) -> list[Step]:
    """Return the steps of one sequence: most begin with an object, and all are about one kind."""
    kind = draw(st.sampled_from(kinds))
    first = []
    if not kind.only_dry_run and draw(st.integers(0, 4)):
        base = copy.deepcopy(kind.base)
        base["metadata"] = {"name": NAMES[0], "labels": {LABEL: "$n"}}
        first = [Step("POST", kind.plural, base)]
    return [*first, *draw(st.lists(_step(kind), min_size=1, max_size=5))]
