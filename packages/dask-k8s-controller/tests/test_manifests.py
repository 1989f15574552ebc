"""The manifests of a set of plugins: every right that they need, and no other."""

import pytest

from dask_k8s_controller import Plugin, Reconciler, Rule, Watched
from dask_k8s_controller.app.manifests import AGENT_KEY, ELECTION, manifests
from dask_k8s_controller.dask import plugin
from dask_k8s_crds import names
from dask_k8s_crds.resources import Resource

THINGS = Resource("example.org", "v1", "Thing", "things")


async def reconcile(key, world):
    """Do nothing."""


CRD = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "x"}}
OTHER = Plugin(
    watches=(Watched(THINGS),),
    reconcilers=(Reconciler(THINGS, reconcile),),
    crds=(CRD,),
    rules=(Rule("", ("pods", "configmaps"), ("get",)),),
)


def printed(*plugins, namespaces=()):
    return manifests(plugins, controller_namespace="home", namespaces=namespaces)


def rights(role):
    return {
        (group, resource): set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def named(documents, kind):
    """Of this kind; those for the controller's own namespace stand for themselves."""
    found = [document for document in documents if document["kind"] == kind]
    return [document for document in found if document["metadata"]["name"] not in {ELECTION, AGENT_KEY}]


OURS = {
    ("kubernetes.dask.org", "daskclusters"): {"get", "list", "watch", "patch", "delete"},
    ("kubernetes.dask.org", "daskclusters/status"): {"patch"},
    ("kubernetes.dask.org", "daskclusters/finalizers"): {"update"},
    ("kubernetes.dask.org", "daskworkergroups"): {"get", "list", "watch", "create", "patch"},
    ("kubernetes.dask.org", "daskworkergroups/status"): {"patch"},
    ("kubernetes.dask.org", "daskworkergroups/finalizers"): {"update"},
    ("", "pods"): {"get", "list", "watch", "create", "patch", "delete"},
    ("", "secrets"): {"create"},
    ("", "services"): {"get", "list", "watch", "create", "patch", "delete"},
    ("", "events"): {"create", "patch"},
}
FRAMEWORK = {
    ("", "namespaces"): {"list", "watch"},
    ("apiextensions.k8s.io", "customresourcedefinitions"): {"list", "watch"},
}


def test_rights_in_all_namespaces():
    documents = printed(plugin.PLUGIN)
    [role] = named(documents, "ClusterRole")
    assert rights(role) == OURS | FRAMEWORK
    [binding] = named(documents, "ClusterRoleBinding")
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    [account] = named(documents, "ServiceAccount")
    assert binding["subjects"] == [{"kind": "ServiceAccount", **account["metadata"]}]
    assert account["metadata"]["namespace"] == "home"


def test_rights_in_some_namespaces():
    documents = printed(plugin.PLUGIN, namespaces=("a", "b"))
    roles, bindings = named(documents, "Role"), named(documents, "RoleBinding")
    assert [role["metadata"]["namespace"] for role in roles] == ["a", "b"]
    assert all(rights(role) == OURS for role in roles)
    assert [binding["metadata"]["namespace"] for binding in bindings] == ["a", "b"]
    assert {binding["roleRef"]["kind"] for binding in bindings} == {"Role"}
    assert not named(documents, "ClusterRole") + named(documents, "ClusterRoleBinding")


@pytest.mark.parametrize("namespaces", [(), ("a", "home")], ids=["all namespaces", "some namespaces"])
def test_rights_to_elect_a_leader(namespaces):
    """In its own namespace, whichever it serves."""
    found = [
        each for each in printed(plugin.PLUGIN, namespaces=namespaces) if each["kind"].startswith("Role")
    ]
    role, binding = (each for each in found if each["metadata"]["name"] == ELECTION)
    assert rights(role) == {("coordination.k8s.io", "leases"): {"get", "watch", "create", "patch"}}
    assert role["metadata"] == binding["metadata"] == {"name": ELECTION, "namespace": "home"}
    assert binding["roleRef"]["name"] == ELECTION
    assert [subject["namespace"] for subject in binding["subjects"]] == ["home"]


@pytest.mark.parametrize("namespaces", [(), ("a", "home")], ids=["all namespaces", "some namespaces"])
def test_rights_on_secrets(namespaces):
    """To create them, and to read the controller's own, which the response to a patch contains."""
    roles = [each for each in printed(plugin.PLUGIN, namespaces=namespaces) if "rules" in each]
    rules = [
        (
            role["metadata"]["name"],
            role["metadata"].get("namespace"),
            rule.get("resourceNames"),
            rule["verbs"],
        )
        for role in roles
        for rule in role["rules"]
        if {"secrets", "*"} & {*rule["resources"]}
    ]
    everywhere = [("dask-k8s-controller", each, None, ["create"]) for each in namespaces or (None,)]
    assert rules == [
        *everywhere,
        (AGENT_KEY, "home", None, ["create"]),
        (AGENT_KEY, "home", [names.AGENT_KEY], ["patch"]),
    ]


def test_a_plugin_adds_its_rights_and_its_kinds():
    documents = printed(plugin.PLUGIN, OTHER)
    [role] = named(documents, "ClusterRole")
    assert rights(role) == OURS | FRAMEWORK | {
        ("example.org", "things"): {"list", "watch"},
        ("example.org", "things/status"): {"patch"},
        ("example.org", "things/finalizers"): {"update"},
        ("", "configmaps"): {"get"},
    }
    crds = [crd["metadata"]["name"] for crd in named(documents, "CustomResourceDefinition")]
    assert crds == ["daskclusters.kubernetes.dask.org", "daskworkergroups.kubernetes.dask.org", "x"]


@pytest.mark.parametrize("namespaces", [(), ("a",)], ids=["all namespaces", "one namespace"])
def test_what_others_refer_to_comes_first(namespaces):
    kinds = [document["kind"] for document in printed(plugin.PLUGIN, namespaces=namespaces)]
    role, binding = ("Role", "RoleBinding") if namespaces else ("ClusterRole", "ClusterRoleBinding")
    accounts = ["Namespace", "ServiceAccount", role, "Role", "Role", binding, "RoleBinding", "RoleBinding"]
    assert kinds == ["CustomResourceDefinition"] * 2 + accounts
