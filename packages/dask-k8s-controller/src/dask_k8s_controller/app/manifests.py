"""CRDs and RBAC of a set of plugins, as manifests. No I/O."""

from collections.abc import Iterable, Sequence
from typing import Any

from dask_k8s_controller.runtime.plugin import Plugin, Rule
from dask_k8s_crds.resources import LEASES

NAME = "dask-k8s-controller"
ELECTION = f"{NAME}-leader-election"


def manifests(
    plugins: Sequence[Plugin], *, controller_namespace: str, namespaces: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the CRDs, and the controller's namespace, account and rights: in these namespaces, or in all.

    Those to elect a leader are in its own namespace alone.
    """
    rules = _rules(plugins)
    home = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": controller_namespace}}
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": NAME, "namespace": controller_namespace},
    }
    roles = [_role("ClusterRole", [*rules, *_framework_rules()], None)]
    bindings = [_binding("ClusterRole", controller_namespace, None)]
    if namespaces:
        roles = [_role("Role", rules, namespace) for namespace in namespaces]
        bindings = [_binding("Role", controller_namespace, namespace) for namespace in namespaces]
    lease = Rule(LEASES.group, (LEASES.plural,), ("get", "watch", "create", "patch"))
    roles.append(_role("Role", [lease], controller_namespace, name=ELECTION))
    bindings.append(_binding("Role", controller_namespace, controller_namespace, name=ELECTION))
    crds = [dict(crd) for plugin in plugins for crd in plugin.crds]
    return [*crds, home, account, *roles, *bindings]


def _rules(plugins: Sequence[Plugin]) -> list[Rule]:
    watched = [watched.resource for plugin in plugins for watched in plugin.watches]
    reconciled = [reconciler.resource for plugin in plugins for reconciler in plugin.reconcilers]
    rules = [
        *(Rule(each.group, (each.plural,), ("list", "watch")) for each in watched),
        *(Rule(each.group, (f"{each.plural}/status",), ("patch",)) for each in reconciled),
        # An owner reference with blockOwnerDeletion asks for this right on the owner.
        *(Rule(each.group, (f"{each.plural}/finalizers",), ("update",)) for each in reconciled),
        *(rule for plugin in plugins for rule in plugin.rules),
    ]
    merged: dict[tuple[str, str], dict[str, None]] = {}
    for rule in rules:
        for resource in rule.resources:
            merged.setdefault((rule.group, resource), {}).update(dict.fromkeys(rule.verbs))
    return [
        Rule(group, (resource,), tuple(sorted(verbs))) for (group, resource), verbs in sorted(merged.items())
    ]


def _framework_rules() -> list[Rule]:
    """Kopf looks for kinds and namespaces that come and go, where it may serve all of them."""
    return [
        Rule("", ("namespaces",), ("list", "watch")),
        Rule("apiextensions.k8s.io", ("customresourcedefinitions",), ("list", "watch")),
    ]


def _role(kind: str, rules: Iterable[Rule], namespace: str | None, *, name: str = NAME) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": _metadata(name, namespace),
        "rules": [
            {"apiGroups": [rule.group], "resources": list(rule.resources), "verbs": list(rule.verbs)}
            for rule in rules
        ],
    }


def _binding(
    role: str, controller_namespace: str, namespace: str | None, *, name: str = NAME
) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": f"{role}Binding",
        "metadata": _metadata(name, namespace),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": controller_namespace}],
    }


def _metadata(name: str, namespace: str | None) -> dict[str, str]:
    return {"name": name} if namespace is None else {"name": name, "namespace": namespace}
