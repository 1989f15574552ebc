"""Helm on a real Kubernetes: the operator from its image, under the chart's rights; the CRDs' life."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

CHART = Path(__file__).parents[1] / "dask-k8s-operator"
EXAMPLES = Path(__file__).parents[2] / "examples" / "announcement"
OPERATOR, CLIENT = "DASK_K8S_OPERATOR_IMAGE", "DASK_K8S_CLIENT_IMAGE"
USER = Path(__file__).parents[2] / "examples" / "user-role.yaml"


@pytest.fixture
def home(kubectl, namespace) -> Iterator[str]:
    """A namespace that takes pods of the `restricted` standard only."""
    name = f"{namespace}-home"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    new = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    kubectl("create", "-f", "-", input=json.dumps(new))
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.mark.real("the local Kubernetes runs no images")
@pytest.mark.parametrize(
    "everywhere",
    [
        pytest.param(False, id="two namespaces"),
        # Nobody else's clusters may be there meanwhile.
        pytest.param(True, id="all namespaces", marks=pytest.mark.alone),
    ],
)
def test_the_life_of_an_operator(run, image, here, home, kubectl, namespace, everywhere):
    repository, _, tag = image(OPERATOR).rpartition(":")
    # The kinds are everybody's on this Kubernetes; roles of the whole cluster bear our name.
    values = [
        f"image.name={repository}",
        f"image.tag={tag}",
        "crds.install=false",
        f"fullnameOverride={home}",
    ]
    values += ["networkPolicy.enabled=true", "metrics.grafanaDashboard.enabled=true"]
    if not everywhere:
        values.append(f"watchNamespaces={{{namespace},{home}}}")
    options = ("--namespace", home, "--wait", "--timeout=120s")
    settings = [argument for value in values for argument in ("--set", value)]

    def wait(what: str, until: str) -> None:
        here("wait", what, f"--for={until}", "--timeout=120s")

    def python(name: str, program: str) -> None:
        """Run it in a pod, as somebody who uses clusters."""
        here("apply", "-f", str(USER))
        here("create", "rolebinding", "user", "--role=dask-user", f"--serviceaccount={namespace}:default")
        command = ["python", "-c", program.replace("dask_kubernetes.operator", "dask_k8s_client")]
        containers = [{"name": "user", "image": os.environ[CLIENT], "command": command}]
        spec = {"restartPolicy": "Never", "containers": containers}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        here("create", "-f", "-", input=json.dumps(body))
        wait(f"pod/{name}", "jsonpath={.status.phase}=Succeeded")
        assert here("logs", name).splitlines()[-1] == "3"

    def scheduler() -> str:
        return here("get", "pod", "my-cluster-scheduler", "-o", "jsonpath={.metadata.uid}")

    def metrics() -> str:
        pods = ("get", "pods", "--namespace", home, "--selector=app.kubernetes.io/instance=op")
        name = kubectl(
            *pods, "--field-selector=status.phase=Running", "-o", "jsonpath={.items[0].metadata.name}"
        )
        return kubectl(
            "get", "--raw", f"/api/v1/namespaces/{home}/pods/{name.stdout}:8080/proxy/metrics"
        ).stdout

    try:
        run("install", "op", str(CHART), *options, *settings)
        run("test", "op", "--namespace", home)
        bound = kubectl("get", "clusterrolebindings", "-o", "jsonpath={.items[*].subjects[*].namespace}")
        assert (home in bound.stdout.split()) is everywhere

        here("apply", "-f", str(EXAMPLES / "my-cluster.yaml"))
        wait("daskcluster/my-cluster", "condition=Ready")
        python(
            "my-notebook",
            (EXAMPLES / "from_name.py").read_text() + "print(client.submit(sum, [1, 2]).result())",
        )
        assert (
            here("get", "daskworkergroup", "my-cluster-default", "-o", "jsonpath={.spec.worker.replicas}")
            == "5"
        )

        here("create", "configmap", "my-job", f"--from-file={EXAMPLES / 'job.py'}")
        for manifest in ("my-autoscaler", "my-job"):
            here("apply", "-f", str(EXAMPLES / f"{manifest}.yaml"))
        wait("daskautoscaler/my-cluster", "condition=Active")
        wait("daskjob/my-job", "condition=Complete")
        before = scheduler()
        assert '\ndask_k8s_clusters{phase="Running"} ' in metrics()

        run("upgrade", "op", str(CHART), *options, *settings, "--set", "log.level=debug")
        run("rollback", "op", "1", *options)
    finally:
        run("uninstall", "op", *options, "--ignore-not-found")

    assert scheduler() == before
    here("delete", "daskcluster", "my-cluster", "--cascade=foreground", "--timeout=120s")
    assert here("get", "pods", "--selector=dask.org/cluster-name=my-cluster", "--output=name") == ""


def test_the_life_of_a_kind(run, kubectl, namespace, tmp_path):
    """Under another name, as the kinds themselves are in use."""
    chart = tmp_path / "chart"
    shutil.copytree(CHART, chart)
    file, group = chart / "files/crds.yaml", f"{namespace}.example.org"
    crds = yaml.load_all(file.read_text(), Loader=yaml.CSafeLoader)
    (crd,) = (each for each in crds if each["spec"]["names"]["kind"] == "DaskAutoscaler")
    crd["metadata"]["name"] = name = f"things.{group}"
    crd["spec"] |= {
        "group": group,
        "names": {"kind": "Thing", "listKind": "ThingList", "plural": "things", "singular": "thing"},
    }
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    fields = {"type": "integer"}
    release = ("--namespace", namespace, "--set", "replicas=0", "--set", "rbac.create=false")

    def served() -> dict[str, dict]:
        path = "{.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties}"
        return json.loads(kubectl("get", "crd", name, "-o", f"jsonpath={path}").stdout)

    file.write_text(yaml.safe_dump(crd))
    try:
        run("install", "op", str(chart), *release)
        assert "new" not in served()
        spec["properties"]["new"] = fields
        file.write_text(yaml.safe_dump(crd))
        run("upgrade", "op", str(chart), *release)
        assert served()["new"] == fields

        run("uninstall", "op", "--namespace", namespace, "--wait")
        assert served()["new"] == fields
        run("install", "other", str(chart), *release, "--take-ownership")
        run("uninstall", "other", "--namespace", namespace, "--wait")
    finally:
        kubectl("delete", "crd", name, "--ignore-not-found")
