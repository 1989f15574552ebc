"""CRDs and RBAC for a set of plugins, as manifests. No I/O."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dask_k8s_controller.runtime.plugin import Plugin, Rule
from dask_k8s_crds import names
from dask_k8s_crds.resources import LEASES

NAME = "dask-k8s-controller"
ELECTION = f"{NAME}-leader-election"
AGENT_KEY = f"{NAME}-agent-key"
AGENT_KEY_RULES = [
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
    {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [names.AGENT_KEY], "verbs": ["patch"]},
]
"""What `runtime.signing_key` needs; RBAC cannot limit a creation to a name."""
ELECTION_RULE = Rule(LEASES.group, (LEASES.plural,), ("get", "watch", "create", "patch"))
KOPF_RULES = [
    Rule("", ("namespaces",), ("list", "watch")),
    Rule("apiextensions.k8s.io", ("customresourcedefinitions",), ("list", "watch")),
]
"""What kopf needs in all namespaces: it watches for namespaces and kinds that come and go."""


def manifests(
    plugins: Sequence[Plugin], *, controller_namespace: str, namespaces: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the CRDs and the controller's namespace, service account, roles and role bindings.

    They apply to ``namespaces``, or all if it is empty; those of the leader election and of the key of
    agents' tokens to the controller's.
    """
    account = {"name": NAME, "namespace": controller_namespace}
    metadata = [{"name": NAME, "namespace": namespace} for namespace in namespaces] or [{"name": NAME}]
    rules = _rules(plugins) + ([] if namespaces else KOPF_RULES)
    election, key = ({"name": name, "namespace": controller_namespace} for name in (ELECTION, AGENT_KEY))
    return [
        *(dict(crd) for plugin in plugins for crd in plugin.crds),
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": controller_namespace}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account},
        *(_role(each, map(_rule, rules)) for each in metadata),
        _role(election, [_rule(ELECTION_RULE)]),
        _role(key, AGENT_KEY_RULES),
        *(_binding(each, account) for each in (*metadata, election, key)),
    ]


def _rules(plugins: Sequence[Plugin]) -> list[Rule]:
    watched = [watched.resource for plugin in plugins for watched in plugin.watches]
    reconciled = [reconciler.resource for plugin in plugins for reconciler in plugin.reconcilers]
    rules = [
        *(Rule(each.group, (each.plural,), ("list", "watch")) for each in watched),
        *(Rule(each.group, (f"{each.plural}/status",), ("patch",)) for each in reconciled),
        # Needed to set an owner reference with blockOwnerDeletion.
        *(Rule(each.group, (f"{each.plural}/finalizers",), ("update",)) for each in reconciled),
        *(rule for plugin in plugins for rule in plugin.rules),
    ]
    merged: dict[tuple[str, str], set[str]] = {}
    for rule in rules:
        for resource in rule.resources:
            merged.setdefault((rule.group, resource), set()).update(rule.verbs)
    return [Rule(group, (name,), tuple(sorted(verbs))) for (group, name), verbs in sorted(merged.items())]


def _rule(rule: Rule) -> dict[str, Any]:
    return {"apiGroups": [rule.group], "resources": list(rule.resources), "verbs": list(rule.verbs)}


def _role(metadata: dict[str, str], rules: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": _role_kind(metadata),
        "metadata": metadata,
        "rules": [dict(rule) for rule in rules],
    }


def _binding(metadata: dict[str, str], account: dict[str, str]) -> dict[str, Any]:
    kind = _role_kind(metadata)
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": f"{kind}Binding",
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": metadata["name"]},
        "subjects": [{"kind": "ServiceAccount", **account}],
    }


def _role_kind(metadata: dict[str, str]) -> str:
    return "Role" if "namespace" in metadata else "ClusterRole"
