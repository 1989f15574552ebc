"""Field numbers, names and types of Kubernetes' protobuf messages, from its public `generated.proto` files.

Types are messages, `string`, `int`, `bool`, `bytes` and `base64` (bytes that are text in JSON). `[x]` is a
list, `{x}` a map from strings, and `x?` a pointer in Go, which is kept when it is zero. Statuses are left
out, because no client writes them as protobuf.
"""

import re
from dataclasses import dataclass
from typing import Literal

KINDS = {
    "ConfigMap": "v1",
    "Namespace": "v1",
    "ResourceQuota": "v1",
    "Secret": "v1",
    "Service": "v1",
    "ServiceAccount": "v1",
    "ClusterRole": "rbac.authorization.k8s.io/v1",
    "ClusterRoleBinding": "rbac.authorization.k8s.io/v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
    "SelfSubjectAccessReview": "authorization.k8s.io/v1",
    "SelfSubjectRulesReview": "authorization.k8s.io/v1",
    "SelfSubjectReview": "authentication.k8s.io/v1",
    "DeleteOptions": "*",
}
"""The API version of each kind; DeleteOptions have the version of the deleted object."""

_TEXT = """
Unknown: 1 typeMeta TypeMeta, 2 raw bytes
TypeMeta: 1 apiVersion string, 2 kind string

ObjectMeta: 1 name string, 2 generateName string, 3 namespace string, 4 selfLink string, 5 uid string,
    6 resourceVersion string, 7 generation int, 8 creationTimestamp Time, 9 deletionTimestamp Time,
    10 deletionGracePeriodSeconds int?, 11 labels {string}, 12 annotations {string},
    13 ownerReferences [OwnerReference], 14 finalizers [string], 17 managedFields [ManagedFieldsEntry]
OwnerReference: 1 kind string, 3 name string, 4 uid string, 5 apiVersion string, 6 controller bool?,
    7 blockOwnerDeletion bool?
ManagedFieldsEntry: 1 manager string, 2 operation string, 3 apiVersion string, 4 time Time,
    6 fieldsType string, 7 fieldsV1 FieldsV1?, 8 subresource string
FieldsV1: 1 Raw bytes
Time: 1 seconds int, 2 nanos int
LabelSelector: 1 matchLabels {string}, 2 matchExpressions [LabelSelectorRequirement]
LabelSelectorRequirement: 1 key string, 2 operator string, 3 values [string]
DeleteOptions: 1 gracePeriodSeconds int?, 2 preconditions Preconditions?, 3 orphanDependents bool?,
    4 propagationPolicy string?, 5 dryRun [string]
Preconditions: 1 uid string?, 2 resourceVersion string?

Quantity: 1 string string
IntOrString: 1 type int, 2 intVal int, 3 strVal string
ObjectReference: 1 kind string, 2 namespace string, 3 name string, 4 uid string, 5 apiVersion string,
    6 resourceVersion string, 7 fieldPath string
LocalObjectReference: 1 name string

ConfigMap: 1 metadata ObjectMeta, 2 data {string}, 3 binaryData {base64}, 4 immutable bool?
Namespace: 1 metadata ObjectMeta, 2 spec NamespaceSpec
NamespaceSpec: 1 finalizers [string]
ResourceQuota: 1 metadata ObjectMeta, 2 spec ResourceQuotaSpec
ResourceQuotaSpec: 1 hard {Quantity}, 2 scopes [string], 3 scopeSelector ScopeSelector?
ScopeSelector: 1 matchExpressions [ScopedResourceSelectorRequirement]
ScopedResourceSelectorRequirement: 1 scopeName string, 2 operator string, 3 values [string]
Secret: 1 metadata ObjectMeta, 2 data {base64}, 3 type string, 4 stringData {string}, 5 immutable bool?
Service: 1 metadata ObjectMeta, 2 spec ServiceSpec
ServiceSpec: 1 ports [ServicePort], 2 selector {string}, 3 clusterIP string, 4 type string,
    5 externalIPs [string], 7 sessionAffinity string, 8 loadBalancerIP string,
    9 loadBalancerSourceRanges [string], 10 externalName string, 11 externalTrafficPolicy string,
    12 healthCheckNodePort int, 13 publishNotReadyAddresses bool,
    14 sessionAffinityConfig SessionAffinityConfig?, 17 ipFamilyPolicy string?, 18 clusterIPs [string],
    19 ipFamilies [string], 20 allocateLoadBalancerNodePorts bool?, 21 loadBalancerClass string?,
    22 internalTrafficPolicy string?, 23 trafficDistribution string?
ServicePort: 1 name string, 2 protocol string, 3 port int, 4 targetPort IntOrString, 5 nodePort int,
    6 appProtocol string?
SessionAffinityConfig: 1 clientIP ClientIPConfig?
ClientIPConfig: 1 timeoutSeconds int?
ServiceAccount: 1 metadata ObjectMeta, 2 secrets [ObjectReference], 3 imagePullSecrets [LocalObjectReference],
    4 automountServiceAccountToken bool?

Role: 1 metadata ObjectMeta, 2 rules [PolicyRule]
ClusterRole: 1 metadata ObjectMeta, 2 rules [PolicyRule], 3 aggregationRule AggregationRule?
PolicyRule: 1 verbs [string], 2 apiGroups [string], 3 resources [string], 4 resourceNames [string],
    5 nonResourceURLs [string]
AggregationRule: 1 clusterRoleSelectors [LabelSelector]
RoleBinding: 1 metadata ObjectMeta, 2 subjects [Subject], 3 roleRef RoleRef
ClusterRoleBinding: 1 metadata ObjectMeta, 2 subjects [Subject], 3 roleRef RoleRef
Subject: 1 kind string, 2 apiGroup string, 3 name string, 4 namespace string
RoleRef: 1 apiGroup string, 2 kind string, 3 name string

SelfSubjectAccessReview: 1 metadata ObjectMeta, 2 spec SelfSubjectAccessReviewSpec
SelfSubjectAccessReviewSpec: 1 resourceAttributes ResourceAttributes?,
    2 nonResourceAttributes NonResourceAttributes?
ResourceAttributes: 1 namespace string, 2 verb string, 3 group string, 4 version string, 5 resource string,
    6 subresource string, 7 name string
NonResourceAttributes: 1 path string, 2 verb string
SelfSubjectRulesReview: 1 metadata ObjectMeta, 2 spec SelfSubjectRulesReviewSpec
SelfSubjectRulesReviewSpec: 1 namespace string
SelfSubjectReview: 1 metadata ObjectMeta
"""


@dataclass(frozen=True)
class Field:
    """A field of a message."""

    name: str
    type: str
    shape: Literal["single", "list", "map"] = "single"
    is_pointer: bool = False


_SHAPES: dict[str, Literal["list", "map"]] = {"[": "list", "{": "map"}


def _field(name: str, text: str) -> Field:
    return Field(name, text.strip("[]{}?"), _SHAPES.get(text[0], "single"), text.endswith("?"))


MESSAGES: dict[str, dict[int, Field]] = {
    message: {
        int(number): _field(name, type_)
        for number, name, type_ in re.findall(r"(\d+) (\w+) (\S+?)(?:,|\s|$)", fields)
    }
    for message, fields in re.findall(r"^(\w+):((?:.*\n)(?:    .*\n)*)", _TEXT, re.MULTILINE)
}
