"""CRDs and RBAC for a set of plugins, as manifests. No I/O."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dask_k8s_controller.runtime.plugin import Plugin, Rule
from dask_k8s_crds.resources import LEASES

NAME = "dask-k8s-controller"
ELECTION = f"{NAME}-leader-election"


def manifests(
    plugins: Sequence[Plugin], *, controller_namespace: str, namespaces: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the CRDs and the controller's namespace, service account, roles and role bindings.

    The permissions apply to ``namespaces``, or to all namespaces if it is empty. Those for the leader
    election apply only to the controller's own namespace.
    """
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": NAME, "namespace": controller_namespace},
    }
    rules = _rules(plugins)
    grants = [_Grant(NAME, namespace, rules) for namespace in namespaces]
    if not namespaces:
        grants = [_Grant(NAME, None, [*rules, *_kopf_rules()])]
    lease = Rule(LEASES.group, (LEASES.plural,), ("get", "watch", "create", "patch"))
    grants.append(_Grant(ELECTION, controller_namespace, [lease]))
    return [
        *(dict(crd) for plugin in plugins for crd in plugin.crds),
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": controller_namespace}},
        account,
        *(grant.role() for grant in grants),
        *(grant.binding(controller_namespace) for grant in grants),
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
    return [
        Rule(group, (resource,), tuple(sorted(verbs))) for (group, resource), verbs in sorted(merged.items())
    ]


def _kopf_rules() -> list[Rule]:
    """Return what kopf needs in all namespaces: it watches for namespaces and kinds that come and go."""
    return [
        Rule("", ("namespaces",), ("list", "watch")),
        Rule("apiextensions.k8s.io", ("customresourcedefinitions",), ("list", "watch")),
    ]


@dataclass(frozen=True, slots=True)
class _Grant:
    """Permissions of the controller in one namespace, or in all if ``namespace`` is None."""

    name: str
    namespace: str | None
    rules: Iterable[Rule]

    @property
    def kind(self) -> str:
        return "ClusterRole" if self.namespace is None else "Role"

    def role(self) -> dict[str, Any]:
        return self._manifest(
            self.kind,
            rules=[
                {"apiGroups": [rule.group], "resources": list(rule.resources), "verbs": list(rule.verbs)}
                for rule in self.rules
            ],
        )

    def binding(self, controller_namespace: str) -> dict[str, Any]:
        return self._manifest(
            f"{self.kind}Binding",
            roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": self.kind, "name": self.name},
            subjects=[{"kind": "ServiceAccount", "name": NAME, "namespace": controller_namespace}],
        )

    def _manifest(self, kind: str, **content: Any) -> dict[str, Any]:
        namespace = {} if self.namespace is None else {"namespace": self.namespace}
        return {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": self.name, **namespace},
            **content,
        }
