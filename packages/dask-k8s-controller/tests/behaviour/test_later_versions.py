"""CustomResourceDefinitions of a later version, as while `helm upgrade` replaces the controller."""

import copy
import json

import pytest

CLUSTER = "daskclusters.kubernetes.dask.org"
GROUP = "daskworkergroups.kubernetes.dask.org"


@pytest.fixture
def later_crds(kubectl, crds):
    """The CRDs with a field `later` in `spec` and in `spec.worker`; at the end they are as before."""
    before = [json.loads(kubectl("get", "crd", name, "-o", "json").stdout) for name in (CLUSTER, GROUP)]

    for crd in before:
        del crd["metadata"]["resourceVersion"]

    def replace(definitions):
        kubectl("replace", "-f", "-", input="\n".join(map(json.dumps, definitions)))

    later = copy.deepcopy(before)
    for crd in later:
        for version in crd["spec"]["versions"]:
            spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
            for properties in (spec, spec["worker"]["properties"]):
                properties["later"] = {"type": "string"}
    replace(later)
    yield
    replace(before)


@pytest.mark.alone
def test_an_older_controller_honours_what_it_knows(world, later_crds, run_controller, cluster):
    run_controller()
    later = {"spec": {"later": "x", "worker": {"later": "y"}}}

    # The API server uses a changed schema a moment later, and until then refuses the fields.
    while "created" not in world.apply(cluster("demo", later, hold=True), check=False):
        pass
    world.workers("demo-default", 2, ready=False)
    found = world.condition("daskcluster/demo", "UnknownFields", "ControllerOutdated")
    assert found["message"].startswith("spec.later, spec.worker.later: ignored")
    # A later controller would have passed this on; the older one does not take it away.
    world.condition("daskworkergroup/demo-default", "UnknownFields", "ControllerOutdated")
    assert world.get("daskworkergroup/demo-default")["spec"]["worker"]["later"] == "y"
    world.condition("daskcluster/demo", "Degraded", "Healthy")
    world.scale("daskcluster/demo", 3)
    world.workers("demo-default", 3, ready=False)

    world.patch("daskcluster/demo", {"spec": {"later": None, "worker": {"later": None}}})
    world.condition("daskcluster/demo", "UnknownFields", "AllFieldsKnown")
    world.condition("daskworkergroup/demo-default", "UnknownFields", "AllFieldsKnown")
