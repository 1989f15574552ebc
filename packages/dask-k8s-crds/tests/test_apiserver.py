"""What an API server makes of our CRDs and of the table: the local Kubernetes, or that of --kubeconfig."""

import json
from datetime import UTC, datetime

import pytest

from dask_k8s_crds import (
    Condition,
    DaskAutoscaler,
    DaskAutoscalerStatus,
    DaskClusterStatus,
    DaskJob,
    DaskJobStatus,
    DaskWorkerGroupStatus,
)
from dask_k8s_crds.autoscaler import AutoscaledGroupStatus
from dask_k8s_crds.structural_schema import for_kubernetes_type
from dask_k8s_local.pytest_plugin import RequestError

pytestmark = pytest.mark.core

CONDITION = Condition(
    type="Ready",
    status="True",
    reason="Ready",
    message="all is well",
    last_transition_time=datetime(2026, 1, 1, tzinfo=UTC),
    observed_generation=1,
)
CLUSTER = DaskClusterStatus(
    phase="Running",
    scheduler_address="tcp://example-scheduler:8786",
    dashboard_address="http://example-scheduler:8787",
    workers="2/3",
    replicas=3,
    ready_replicas=2,
    selector="a=b",
    idle_since=datetime(2026, 1, 1, tzinfo=UTC),
    observed_generation=1,
    conditions=(CONDITION,),
)
GROUP = DaskWorkerGroupStatus(
    replicas=3,
    ready_replicas=2,
    retiring=1,
    selector="a=b",
    observed_generation=1,
    conditions=(CONDITION,),
)
AUTOSCALER = DaskAutoscalerStatus(
    desired_replicas=5,
    current_replicas=4,
    groups=(
        AutoscaledGroupStatus(name="example-default", desired_replicas=4, current_replicas=4),
        AutoscaledGroupStatus(name="example-more", desired_replicas=1, current_replicas=0),
    ),
    last_scale_time=datetime(2026, 1, 1, tzinfo=UTC),
    observed_generation=1,
    conditions=(CONDITION,),
)
JOB = DaskJobStatus(
    job_status="Successful",
    cluster_name="example",
    job_runner_pod_name="example-runner-abcde",
    start_time=datetime(2026, 1, 1, tzinfo=UTC),
    end_time=datetime(2026, 1, 2, tzinfo=UTC),
    failures=1,
    observed_generation=1,
    conditions=(CONDITION,),
)
SCALED = [
    pytest.param("DaskCluster", CLUSTER.to_dict(), id="DaskCluster"),
    pytest.param("DaskWorkerGroup", GROUP.to_dict(), id="DaskWorkerGroup"),
]
CUSTOM_RESOURCES = pytest.mark.parametrize(
    "kind, status",
    [
        *SCALED,
        pytest.param("DaskAutoscaler", AUTOSCALER.to_dict(), id="DaskAutoscaler"),
        pytest.param("DaskJob", JOB.to_dict(), id="DaskJob"),
    ],
)


@pytest.fixture
def run(crds, kubectl, namespace):
    """Run kubectl in the namespace of the test."""

    def run(verb, *args, check=True):
        return kubectl(verb, "-n", namespace, *args, check=check)

    return run


@pytest.fixture
def send(run, tmp_path):
    """Create or apply an object; the answer is that of kubectl."""

    def send(verb, body, *options, check=True):
        file = tmp_path / "object.json"
        file.write_text(json.dumps(body), encoding="utf-8")
        return run(verb, "-f", str(file), *options, check=check)

    return send


@pytest.fixture
def reported(created, here, make):
    """Create an object that has a status; return its name."""

    def reported(kind, status):
        name = created(make(kind))["metadata"]["name"]
        here.patch(f"{kind}/{name}", {"status": status}, subresource="status")
        return name

    return reported


def test_decides_as_the_table_says(case, post):
    """By a request as of `create`, since `apply` drops nulls before it asks; nothing is written."""
    refusal = ""
    try:
        post("default", case.body, "&dryRun=All")
    except RequestError as error:
        refusal = f"{error.status} {error}"
    assert bool(refusal) == bool(case.refused), refusal
    assert [path for path in case.refused if path not in refusal] == []


@pytest.mark.parametrize("verb", ["apply", "create"])
def test_takes_the_announced_cluster_and_drops_its_nulls(run, announced, verb):
    done = run(verb, "-f", str(announced))
    assert done.stdout == "daskcluster.kubernetes.dask.org/my-cluster created\n"
    cluster = json.loads(run("get", "daskcluster", "my-cluster", "-o", "json").stdout)
    assert "resources" not in cluster["spec"]["worker"]["spec"]["containers"][0]
    assert cluster["spec"]["worker"]["cluster"] == "my-cluster"


def test_fills_in_what_the_user_left_out(make, created):
    ports = [{"name": "a", "containerPort": 1}]
    changes = {"spec.worker.replicas": None, "spec.worker.spec.containers": [{"name": "x", "ports": ports}]}
    spec = created(make(set=changes))["spec"]
    assert spec["worker"]["replicas"] == 1
    assert spec["worker"]["spec"]["containers"][0]["ports"][0]["protocol"] == "TCP"
    assert spec["scheduler"]["service"]["ports"][0]["protocol"] == "TCP"


def test_fills_in_what_an_autoscaler_goes_by(make, created):
    changes = {"spec.scaleUp": {}, "spec.scaleDown": {}, "spec.groups": [{"name": "example-more"}]}
    unset = ["spec.minimum", "spec.maximum"]
    assert created(make("DaskAutoscaler", set=changes, unset=unset))["spec"] == {
        "cluster": "example",
        "minimum": 0,
        "fallbackSeconds": 60,
        "groups": [{"name": "example-more", "minimum": 0, "priority": 0, "fallbackSeconds": 60}],
        "scaleUp": {"stabilizationSeconds": 0},
        "scaleDown": {"stabilizationSeconds": 15, "maxStepPercent": 25},
        "intervalSeconds": 5,
    }


def test_fills_in_that_a_cluster_stays_and_what_would_happen(make, created):
    spec = created(make())["spec"]
    assert (spec["idleTimeout"], spec["idleAction"]) == (0, "Delete")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"spec.maximum": 0}, id="bounds"),
        pytest.param({"spec.groups": [{"name": "a"}, {"name": "a"}]}, id="two-of-one-name"),
        pytest.param({"spec.groups": [{"name": "example-default"}]}, id="default-group"),
        pytest.param({"spec.targetDurationSeconds": 0}, id="more-than-zero"),
        pytest.param({"spec.scaleDown": {"maxStepPercent": 101}}, id="at-most-100"),
        pytest.param({"metadata.name": "Example"}, id="name"),
    ],
)
def test_refuses_with_the_messages_of_the_models(make, send, changes):
    body = make("DaskAutoscaler", set=changes)
    (problem,) = DaskAutoscaler.problems(body)
    assert str(problem) in send("create", body, check=False).stderr


def test_fills_in_how_a_job_is_run(make, created):
    spec = created(make("DaskJob"))["spec"]
    assert spec["job"]["spec"]["restartPolicy"] == "OnFailure"
    assert spec["clusterCleanup"] == "Always"
    assert spec["cluster"]["spec"]["worker"]["spec"].get("restartPolicy") is None


def test_a_job_stays_on_its_cluster(make, send):
    send("apply", make("DaskJob", set={"spec.clusterName": "one"}, unset=["spec.cluster"]))
    another = make("DaskJob", set={"spec.clusterName": "another"}, unset=["spec.cluster"])
    assert "spec.clusterName: Invalid value" in send("apply", another, check=False).stderr


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"spec.clusterName": "another"}, id="both"),
        pytest.param({"spec.podFailurePolicy": {"rules": [{"action": "FailJob"}]}}, id="policy"),
    ],
)
def test_refuses_a_job_with_the_messages_of_the_models(make, send, changes):
    body = make("DaskJob", set=changes)
    (problem,) = DaskJob.problems(body)
    assert str(problem) in send("create", body, check=False).stderr


def test_keeps_fields_of_another_kubernetes(make, created):
    containers = [{"name": "x", "ofTheFuture": {"a": [1]}}]
    spec = created(make(set={"spec.worker.spec.containers": containers}))["spec"]
    assert spec["worker"]["spec"]["containers"] == containers


def test_a_group_stays_with_its_cluster(make, send):
    send("apply", make("DaskWorkerGroup"))
    send("apply", make("DaskWorkerGroup", set={"spec.worker.replicas": 3}))
    done = send("apply", make("DaskWorkerGroup", set={"spec.cluster": "another"}), check=False)
    assert done.returncode != 0
    assert "spec.cluster: Invalid value" in done.stderr
    assert "cannot be changed" in done.stderr


def test_explains_fields(run):
    assert "my-cluster-highmem" in run("explain", "daskautoscaler.spec.groups.name").stdout
    containers = run("explain", "daskcluster.spec.worker.spec.containers").stdout
    assert "image\t<string>" in containers
    assert "How many workers." in run("explain", "daskworkergroup.spec.worker.replicas").stdout


def test_an_autoscaler_stays_with_its_cluster(make, send):
    send("apply", make("DaskAutoscaler"))
    send("apply", make("DaskAutoscaler", set={"spec.maximum": 20}))
    done = send("apply", make("DaskAutoscaler", set={"spec.cluster": "another"}), check=False)
    assert done.returncode != 0
    assert "spec.cluster: Invalid value" in done.stderr
    assert "cannot be changed" in done.stderr


@CUSTOM_RESOURCES
def test_keeps_the_whole_status(reported, here, kind, status):
    name = reported(kind, status)
    assert here.get(f"{kind}/{name}")["status"] == status


@pytest.mark.parametrize("kind, status", SCALED)
def test_scales(reported, run, kind, status):
    name = reported(kind, status)
    run("scale", kind, name, "--replicas=5")
    scale = json.loads(run("get", kind, name, "--subresource=scale", "-o", "json").stdout)
    assert scale["spec"] == {"replicas": 5}
    assert scale["status"] == {"replicas": 3, "selector": "a=b"}


@pytest.mark.parametrize(
    "args, columns",
    [
        pytest.param("dsk", "NAME WORKERS STATUS AGE", id="cluster"),
        pytest.param("daskcluster -o wide", "NAME WORKERS STATUS SCHEDULER AGE", id="cluster-wide"),
        pytest.param("daskworkers", "NAME CLUSTER WORKERS DESIRED AGE", id="group"),
        pytest.param("daskautoscaler", "NAME CLUSTER MINIMUM MAXIMUM DESIRED CURRENT AGE", id="autoscaler"),
        pytest.param("djb", "NAME STATUS NUMBER OF WORKERS AGE", id="job"),
    ],
)
def test_lists_in_columns(reported, run, args, columns):
    reported("DaskCluster", CLUSTER.to_dict())
    reported("DaskWorkerGroup", GROUP.to_dict())
    reported("DaskAutoscaler", AUTOSCALER.to_dict())
    reported("DaskJob", JOB.to_dict())
    head, row = run("get", *args.split()).stdout.splitlines()
    assert head.split() == columns.split()
    assert len(row.split()) == len(columns.replace("NUMBER OF WORKERS", "NUMBER").split())


@pytest.mark.parametrize("name", ["PodSpec", "ServiceSpec"])
def test_fields_of_templates_have_the_types_that_the_api_server_gives_them(kubectl, name):
    document = json.loads(kubectl("get", "--raw", "/openapi/v3/api/v1").stdout)
    served = document["components"]["schemas"]
    root = next(key for key in served if key.endswith(f".core.v1.{name}"))
    differences = dict(_differences(for_kubernetes_type(name), {"$ref": root}, served, name))
    assert differences == {}


def _differences(ours, theirs, served, path):
    """Yield the type here and there, of the fields that both know."""
    theirs = _resolved(theirs, served)
    types = _type(ours), _type(theirs)
    if types[0] != types[1]:
        yield path, types
    for key in ("items", "additionalProperties"):
        if key in ours and key in theirs:
            yield from _differences(ours[key], theirs[key], served, f"{path}[]")
    both = ours.get("properties", {}).keys() & theirs.get("properties", {}).keys()
    for field in sorted(both):
        inner = ours["properties"][field], theirs["properties"][field]
        yield from _differences(*inner, served, f"{path}.{field}")


def _resolved(schema, served):
    (schema,) = schema.get("allOf", [schema])
    return served[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _type(schema):
    if "oneOf" in schema or "x-kubernetes-int-or-string" in schema:  # IntOrString, or a quantity
        return "int-or-string"
    return schema["type"]
