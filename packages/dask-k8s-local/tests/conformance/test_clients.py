"""The clients that people use: kubectl, the `kubernetes` package, kopf."""

import json
import os
import subprocess
import sys
import uuid

import pytest
from kubernetes import client, config, dynamic, watch

from .conftest import config_map, pod
from .test_custom import DEFINITIONS, definition

pytestmark = pytest.mark.core

OPERATOR = """
import kopf

@kopf.on.startup()
def configure(settings, **_):
    settings.posting.enabled = True
    settings.persistence.finalizer = "conformance.test/finalizer"

@kopf.on.create("things")
def created(spec, patch, **_):
    patch.status["phase"] = "created " + spec["cluster"]
    return {"done": True}

@kopf.on.field("things", field="spec.worker.replicas")
def scaled(old, new, patch, **_):
    if old is not None:
        patch.status["selector"] = f"{old}->{new}"

@kopf.timer("things", interval=0.1, initial_delay=0.1)
def ticked(status, patch, **_):
    if not status.get("replicas"):
        patch.status["replicas"] = 1

@kopf.on.delete("things")
def deleted(body, **_):
    kopf.warn(body, reason="Gone", message="goodbye")

@kopf.on.event("things")
def seen(**_):
    pass
"""


class TestKubectl:
    @pytest.fixture
    def run(self, kubectl, namespace):
        def run(*arguments, **options):
            return kubectl("-n", namespace, *arguments, **options)

        return run

    def test_typed_writes(self, run):
        for arguments in (
            ("configmap", "typed", "--from-literal=a=b"),
            ("secret", "generic", "typed", "--from-literal=a=b"),
            ("quota", "typed", "--hard=count/secrets=100"),
            ("serviceaccount", "typed"),
            ("role", "typed", "--verb=get", "--resource=pods"),
            ("rolebinding", "typed", "--role=typed", "--serviceaccount=x:y"),
            ("service", "clusterip", "typed", "--tcp=80:8080"),
        ):
            assert run("create", *arguments).stdout.endswith("created\n")
        assert run("get", "configmap,secret,quota,sa,role,rolebinding,svc", "typed", "-o", "name").stdout == (
            "configmap/typed\nsecret/typed\nresourcequota/typed\nserviceaccount/typed\n"
            "role.rbac.authorization.k8s.io/typed\nrolebinding.rbac.authorization.k8s.io/typed\nservice/typed\n"
        )

    def test_apply(self, run):
        def apply(data, *options):
            return run("apply", *options, "-f", "-", input=json.dumps(config_map("applied", data))).stdout

        assert apply({"a": "1", "b": "1"}) == "configmap/applied created\n"
        assert apply({"a": "2"}) == "configmap/applied configured\n"
        assert apply({"a": "2"}) == "configmap/applied unchanged\n"
        assert json.loads(run("get", "cm", "applied", "-o", "json").stdout)["data"] == {"a": "2"}
        assert apply({"a": "3"}, "--dry-run=server") == "configmap/applied configured (server dry run)\n"
        assert apply({"a": "2"}, "--server-side") == "configmap/applied serverside-applied\n"
        body = json.dumps(config_map("applied", {"a": "9"}))
        refused = run("apply", "--server-side", "--field-manager=other", "-f", "-", input=body, check=False)
        assert "conflict with" in refused.stderr
        assert run("diff", "-f", "-", input=body, check=False).returncode == 1

    def test_misspelt_field(self, run):
        body = json.dumps({**config_map("misspelt"), "dataa": {}})
        refused = run("create", "-f", "-", input=body, check=False)
        assert 'strict decoding error: unknown field "dataa"' in refused.stderr

    def test_changes(self, run):
        run("create", "configmap", "changed", "--from-literal=a=b")
        run("patch", "cm", "changed", "-p", '{"data": {"c": "d"}}')
        run("patch", "cm", "changed", "--type=json", "-p", '[{"op": "remove", "path": "/data/a"}]')
        run("label", "cm", "changed", "x=y")
        run("annotate", "cm", "changed", "x=y")
        found = json.loads(run("get", "cm", "-l", "x=y", "-o", "json").stdout)["items"]
        assert [(one["data"], one["metadata"]["annotations"]) for one in found] == [({"c": "d"}, {"x": "y"})]
        edited = run("replace", "-f", "-", input=json.dumps(config_map("changed", {"e": "f"})))
        assert edited.stdout == "configmap/changed replaced\n"

    def test_pods(self, run):
        run("create", "-f", "-", input=json.dumps(pod("shown")))
        lines = run("get", "pods", "shown", "-o", "wide").stdout.splitlines()
        titles = "NAME READY STATUS RESTARTS AGE IP NODE NOMINATED NODE READINESS GATES"
        assert " ".join(lines[0].split()) == titles
        assert lines[1].split()[:3] == ["shown", "0/1", "Pending"]
        assert "Node-Selectors:" in run("describe", "pod", "shown").stdout
        run("wait", "--for=jsonpath={.status.phase}=Pending", "pod/shown", "--timeout=60s")
        assert run("get", "pods", "-A", "--field-selector", "metadata.name=shown").stdout.count("shown") == 1
        assert run("delete", "pod", "shown").stdout.startswith('pod "shown" deleted')

    def test_quota(self, run):
        run("create", "quota", "full", "--hard=count/configmaps=0")
        try:
            refused = run("create", "configmap", "one-too-many", check=False)
            why = "exceeded quota: full, requested: count/configmaps=1, used: count/configmaps="
            assert f'configmaps "one-too-many" is forbidden: {why}' in refused.stderr
        finally:
            run("delete", "quota", "full")

    @pytest.mark.parametrize(
        "arguments, text",
        [
            (("explain", "pod.spec.restartPolicy"), "Restart policy for all containers within the pod."),
            (("explain", "svc.spec.ports", "--recursive"), "targetPort"),
            (("auth", "can-i", "create", "pods"), "yes"),
            (("auth", "whoami"), "Username"),
            (("api-resources", "--namespaced=true"), "resourcequotas"),
            (("api-versions",), "coordination.k8s.io/v1"),
            (("get", "--raw", "/readyz"), "ok"),
            (("describe", "namespace", "default"), "Active"),
            (("get", "all"), ""),
        ],
        ids=" ".join,
    )
    def test_questions(self, run, arguments, text):
        assert text in run(*arguments).stdout

    def test_custom_resources(self, api, run, things, group):
        body = {"apiVersion": f"{group}/v1", "kind": "Thing", "spec": {"worker": {"name": "a"}}}
        run("apply", "-f", "-", input=json.dumps({**body, "metadata": {"name": "k"}}))
        assert run("get", "tg", "k").stdout.splitlines()[0].split() == ["NAME", "REPLICAS", "PHASE"]
        assert run("get", "things", "-o", "wide").stdout.splitlines()[0].split()[-1] == "CLUSTER"
        run("scale", f"things.{group}/k", "--replicas=5")
        api.patch(f"{things}/k/status", {"status": {"phase": "Done"}})
        run("wait", "--for=jsonpath={.status.phase}=Done", "thing/k", "--timeout=60s")
        assert run("get", "thing", "k", "-o", "jsonpath={.spec.worker.replicas}").stdout == "5"
        assert "maxItems" not in run("explain", "thing.spec.worker").stdout
        assert "<integer>" in run("explain", "thing.spec.worker.replicas").stdout
        assert run("delete", "thing", "k").stdout.endswith(f"from {api.namespace} namespace\n")


@pytest.fixture(scope="module")
def group():
    return f"g{uuid.uuid4().hex[:8]}.clients.test"


@pytest.fixture(scope="module")
def things(api, namespace, group):
    api.namespace = namespace
    api.post(DEFINITIONS, definition(group))
    path = f"/apis/{group}/v1/namespaces/{namespace}/things"
    api.until(path, lambda answer: answer.status == 200)
    yield path
    api.delete(f"{DEFINITIONS}/things.{group}")


class TestKubernetesPackage:
    """Its models raise errors for missing fields in responses."""

    @pytest.fixture
    def connection(self, kubernetes):
        with config.new_client_from_config(str(kubernetes.kubeconfig)) as connection:
            yield connection

    def test_typed(self, connection, namespace):
        core = client.CoreV1Api(connection)
        made = core.create_namespaced_pod(namespace, pod("typed"))
        assert made.spec.containers[0].image == "python:3.11"
        found = core.list_namespaced_pod(namespace, field_selector="metadata.name=typed", limit=1)
        assert [one.metadata.name for one in found.items] == ["typed"]
        core.patch_namespaced_pod("typed", namespace, {"metadata": {"labels": {"a": "b"}}})
        since = found.metadata.resource_version
        watching = watch.Watch()
        selection = {"resource_version": since, "label_selector": "a=b", "timeout_seconds": 60}
        seen = []
        for event in watching.stream(core.list_namespaced_pod, namespace, **selection):
            seen.append((event["type"], event["object"].metadata.name))
            watching.stop()
        assert seen == [("ADDED", "typed")]
        gone = core.delete_namespaced_pod("typed", namespace)
        assert gone.metadata.name == "typed"
        with pytest.raises(client.ApiException) as refused:
            core.read_namespaced_pod("typed", namespace)
        assert (refused.value.status, json.loads(refused.value.body)["reason"]) == (404, "NotFound")

    def test_other_kinds(self, connection, namespace):
        core = client.CoreV1Api(connection)
        service = client.V1Service(
            metadata=client.V1ObjectMeta(name="model"),
            spec=client.V1ServiceSpec(selector={"a": "b"}, ports=[client.V1ServicePort(port=80)]),
        )
        assert core.create_namespaced_service(namespace, service).spec.cluster_ip
        assert core.delete_namespaced_service("model", namespace).metadata.name == "model"
        core.create_namespaced_config_map(namespace, {"metadata": {"name": "model"}, "data": {"a": "b"}})
        core.delete_namespaced_config_map("model", namespace)
        assert core.list_node().items
        lease = {
            "metadata": {"name": "typed"},
            "spec": {"holderIdentity": "me", "renewTime": "2026-01-01T00:00:00.5Z"},
        }
        coordination = client.CoordinationV1Api(connection)
        assert coordination.create_namespaced_lease(namespace, lease).spec.holder_identity == "me"
        extensions = client.ApiextensionsV1Api(connection)
        assert extensions.list_custom_resource_definition().items is not None

    def test_custom_objects(self, connection, namespace, things, group):
        custom = client.CustomObjectsApi(connection)
        body = {"apiVersion": f"{group}/v1", "kind": "Thing", "spec": {"worker": {"name": "a"}}}
        place = {"group": group, "version": "v1", "namespace": namespace, "plural": "things"}
        custom.create_namespaced_custom_object(**place, body={**body, "metadata": {"name": "c"}})
        patch = {"spec": {"worker": {"replicas": 3}}}
        answer = custom.patch_namespaced_custom_object(**place, name="c", body=patch)
        assert answer["spec"]["worker"]["replicas"] == 3
        assert custom.delete_namespaced_custom_object(**place, name="c")["status"] == "Success"

    def test_dynamic(self, connection, namespace, things, group, tmp_path):
        kind = dynamic.DynamicClient(connection, cache_file=str(tmp_path / "cache")).resources.get(
            api_version=f"{group}/v1", kind="Thing"
        )
        body = {"apiVersion": f"{group}/v1", "kind": "Thing", "metadata": {"name": "d"}}
        made = kind.create({**body, "spec": {"worker": {"name": "a"}}}, namespace)
        assert made.spec.worker.replicas == 1
        applied = {**body, "spec": {"min": 5, "worker": {"name": "a"}}}
        assert (
            kind.server_side_apply(applied, "d", namespace, field_manager="me", force_conflicts=True).spec.min
            == 5
        )
        kind.delete("d", namespace)


@pytest.fixture
def operator(kubernetes, namespace, tmp_path):
    """A running kopf operator, which must end without errors."""
    script, log = tmp_path / "operator.py", tmp_path / "log"
    script.write_text(OPERATOR)
    command = [sys.executable, "-m", "kopf", "run", str(script), "-n", namespace, "--standalone"]
    env = {**os.environ, "KUBECONFIG": str(kubernetes.kubeconfig)}
    with log.open("w") as output:
        process = subprocess.Popen(command, stderr=output, env=env)
    try:
        yield process
    finally:
        process.terminate()
        assert process.wait(60) == 0, log.read_text()
    assert "Traceback" not in log.read_text()


@pytest.mark.usefixtures("operator")
def test_kopf(api, namespace, things, group):
    body = {"apiVersion": f"{group}/v1", "kind": "Thing", "metadata": {"name": "o"}}
    api.post(things, {**body, "spec": {"worker": {"name": "a"}}})
    path = f"{things}/o"

    def status(key, value):
        return lambda answer: answer.body.get("status", {}).get(key) == value

    answer = api.until(path, status("phase", "created c"))
    assert answer["metadata"]["finalizers"] == ["conformance.test/finalizer"]
    api.until(path, status("replicas", 1))
    api.patch(path, {"spec": {"worker": {"replicas": 7}}})
    api.until(path, status("selector", "1->7"))
    api.delete(path)
    api.until(path, lambda answer: answer.status == 404)
    events = api.until(
        f"/api/v1/namespaces/{namespace}/events",
        lambda answer: any(one["message"] == "goodbye" for one in answer["items"]),
    )
    assert {one["involvedObject"]["kind"] for one in events["items"]} >= {"Thing"}
