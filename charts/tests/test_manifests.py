"""The chart installs what `dask-k8s-controller manifests` prints, and the CRDs of dask-k8s-crds."""

import subprocess
import sys
from collections import Counter

import pytest
import yaml

from dask_k8s_crds import manifests

NAME = "dask-k8s-operator"
RULE = {"apiGroups": ["example.org"], "resources": ["things"], "verbs": ["get"]}


def rights(objects, name):
    """Who may do what where: each right of each role by its kind and namespace."""
    return Counter(
        (each["kind"], each["metadata"].get("namespace"), *map(str, rule.values()))
        for each in objects
        if each["kind"] in {"Role", "ClusterRole"} and each["metadata"]["name"] == name
        for rule in each["rules"]
    )


def printed(*options):
    """What the controller prints."""
    command = [sys.executable, "-m", "dask_k8s_controller", "manifests", *options]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return yaml.load_all(done.stdout, Loader=yaml.CSafeLoader)


@pytest.mark.parametrize(
    "values, options",
    [
        pytest.param({}, (), id="all namespaces"),
        pytest.param(
            {"watchNamespaces": ["a", "b"]}, ("--namespace=a", "--namespace=b"), id="two namespaces"
        ),
        pytest.param({"rbac": {"cluster": False}}, ("--namespace=home",), id="its own namespace"),
    ],
)
def test_grants_what_the_controller_prints(render, values, options):
    assert rights(render(values), NAME) == rights(printed(*options), "dask-k8s-controller")


@pytest.mark.parametrize(
    "role, printed_role",
    [("leader", "dask-k8s-controller-leader-election"), ("agent-key", "dask-k8s-controller-agent-key")],
)
@pytest.mark.parametrize("values", [{}, {"watchNamespaces": ["a"]}], ids=["all namespaces", "one"])
def test_grants_what_the_controller_needs_in_its_own_namespace(render, values, role, printed_role):
    needed = rights(printed("--controller-namespace=home"), printed_role)
    assert needed
    assert rights(render(values), f"{NAME}-{role}") == needed


@pytest.mark.parametrize("values", [{}, {"watchNamespaces": ["a", "home"]}], ids=["all namespaces", "two"])
def test_grants_no_right_to_read_a_secret(render, values):
    """But for the key of the controller's own, which the response to a patch contains."""
    rules = [rule for each in render(values) if "Role" in each["kind"] for rule in each.get("rules", ())]
    core = [rule for rule in rules if {"", "*"} & {*rule.get("apiGroups", ())}]
    secrets = [rule for rule in core if {"secrets", "*"} & {*rule["resources"]}]
    named = [rule for rule in secrets if "resourceNames" in rule]
    assert [(rule["resourceNames"], rule["verbs"]) for rule in named] == [
        (["dask-k8s-controller-agent-key"], ["patch"])
    ]
    assert {verb for rule in secrets if rule not in named for verb in rule["verbs"]} == {"create"}


@pytest.mark.parametrize("values", [{}, {"watchNamespaces": ["a"]}], ids=["all namespaces", "one"])
def test_binds_the_same_to_its_account(render, values):
    rendered = render(values)
    roles = {each["kind"] for each in rendered if each["metadata"]["name"] == NAME and "rules" in each}
    bindings = [each for each in rendered if each["metadata"]["name"] == NAME and "roleRef" in each]
    assert {each["roleRef"]["kind"] for each in bindings} == roles
    assert {each["roleRef"]["name"] for each in bindings} == {NAME}
    account = [{"kind": "ServiceAccount", "name": NAME, "namespace": "home"}]
    assert [each["subjects"] for each in bindings] == [account]


def test_grants_what_plugins_need_too(render):
    plain, more = render(), render({"rbac": {"extraRules": [RULE]}})
    assert list(rights(more, NAME) - rights(plain, NAME)) == [("ClusterRole", None, *map(str, RULE.values()))]


def test_takes_the_rules_of_plugins_as_the_controller_prints_them(render):
    ours = list(printed())
    rules = [rule for each in ours if each["kind"] == "ClusterRole" for rule in each["rules"]]
    added = rights(render({"rbac": {"extraRules": rules}}), NAME) - rights(render(), NAME)
    assert added == rights(ours, "dask-k8s-controller")


def test_installs_the_kinds_and_keeps_them(render):
    found = [each for each in render(crds=True) if each["kind"] == "CustomResourceDefinition"]
    ours = {crd["metadata"]["name"]: crd["spec"] for crd in manifests.crds()}
    assert {crd["metadata"]["name"]: crd["spec"] for crd in found} == ours
    for crd in found:
        assert crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


@pytest.mark.parametrize("role, verbs", [("view", {"list"}), ("edit", {"create", "delete"})])
def test_users_of_kubernetes_own_roles_may_use_every_kind(render, role, verbs):
    (found,) = (each for each in render() if each["metadata"]["name"] == f"{NAME}-{role}")
    assert found["metadata"]["labels"][f"rbac.authorization.k8s.io/aggregate-to-{role}"] == "true"
    kinds = {crd["spec"]["names"]["plural"] for crd in manifests.crds()}
    (rule,) = (rule for rule in found["rules"] if verbs <= set(rule["verbs"]))
    assert set(rule["resources"]) in (kinds, {"*"})
