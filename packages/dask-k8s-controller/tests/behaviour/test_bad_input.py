"""What cannot work: refused at ``kubectl apply``, or else a condition with the API server's message."""

import pytest

IMAGE = "ghcr.io/dask/dask:latest"


def container(**fields):
    return {"name": "worker", "image": IMAGE, "imagePullPolicy": "IfNotPresent", **fields}


def worker(**spec):
    return {"spec": {"worker": {"replicas": 1, "spec": spec}}}


def service(**spec):
    return {"spec": {"scheduler": {"service": spec}}}


SLEEPS = worker(containers=[container(command=["sleep", "infinity"])])


@pytest.mark.parametrize(
    "change, message",
    [
        pytest.param(
            {"spec": {"idleTimeot": 3}},
            'unknown field "spec.idleTimeot"',
            id="unknown field",
            marks=pytest.mark.core,
        ),
        pytest.param(
            {"spec": {"worker": {"replcas": 3}}}, 'unknown field "spec.worker.replcas"', id="misspelt field"
        ),
        pytest.param(
            {"spec": {"worker": {"replicas": "3"}}}, "spec.worker.replicas: Invalid value", id="wrong type"
        ),
        pytest.param(
            {"spec": {"worker": {"replicas": -1}}},
            "spec.worker.replicas in body should be greater than or equal to 0",
            id="negative replicas",
        ),
        pytest.param({"metadata": {"name": "a" * 54}}, "must be at most 53 characters", id="long name"),
        pytest.param({"metadata": {"name": "foo.bar"}}, "metadata.name: Invalid value", id="name with dots"),
        pytest.param(
            service(ports=[{"name": "a", "port": 1}, {"name": "a", "port": 2}]),
            "spec.scheduler.service.ports: Invalid value",
            id="two ports of one name",
        ),
        pytest.param(
            worker(containers=None), "spec.worker.spec.containers: Required value", id="no containers"
        ),
        pytest.param(
            worker(containers=[container(image=7)]),
            "spec.worker.spec.containers[0].image: Invalid value",
            id="wrong type in a PodSpec",
        ),
    ],
)
def test_refused_at_apply(change, message, world, crds, cluster):
    assert message in world.apply(cluster("demo", change), check=False)
    assert world.names("daskclusters") == set()


def test_an_explicit_null_means_absent(world, cluster):
    containers = [container(command=["sleep", "infinity"], resources=None, env=None)]
    world.apply(cluster("demo", worker(containers=containers)))
    world.wait("daskcluster/demo", "condition=Ready")


@pytest.mark.core
def test_a_misspelt_field_of_the_pod_spec(world, cluster):
    """The CRD lets it pass, as it does with fields of a later Kubernetes; the API server knows better."""
    world.apply(cluster("demo", worker(containers=[container(comand=["sleep", "infinity"])])))
    for target in ("daskworkergroup/demo-default", "daskcluster/demo"):
        degraded = world.condition(target, "Degraded", "InvalidSpec")
        assert degraded["status"] == "True"
        assert 'unknown field "spec.containers[0].comand"' in degraded["message"]
    assert world.get("daskcluster/demo")["status"]["phase"] == "Error"
    assert world.names("pods", "dask.org/component=worker") == set()

    for target in ("daskworkergroup/demo-default", "daskcluster/demo"):
        world.patch(target, SLEEPS)
    world.wait("daskcluster/demo", "condition=Ready")
    world.condition("daskcluster/demo", "Degraded", "Healthy")


def test_a_misspelt_field_of_the_schedulers_pod_spec(world, cluster):
    spec = {"scheduler": {"spec": {"restartPolcy": "Never"}}, "worker": {"replicas": 1}}
    world.apply(cluster("demo", {"spec": spec}))
    degraded = world.condition("daskcluster/demo", "Degraded", "InvalidSpec")
    assert 'unknown field "spec.restartPolcy"' in degraded["message"]
    assert world.get("daskcluster/demo")["status"]["phase"] == "Error"
    world.patch("daskcluster/demo", {"spec": {"scheduler": {"spec": {"restartPolcy": None}}}})
    world.wait("daskcluster/demo", "condition=Ready")
    assert world.get("daskcluster/demo")["status"]["phase"] == "Running"


def test_a_template_that_kubernetes_refuses(world, cluster):
    world.apply(cluster("demo", worker(restartPolicy="Sometimes")))
    degraded = world.condition("daskworkergroup/demo-default", "Degraded", "InvalidSpec")
    assert 'spec.restartPolicy: Unsupported value: "Sometimes"' in degraded["message"]


def test_a_template_that_is_too_large(world, cluster):
    script = {"name": "SCRIPT", "value": "x" * 180_000}
    large = worker(containers=[container(env=[script])])
    world.apply(cluster("demo", large))
    message = world.condition("daskcluster/demo", "Degraded", "InvalidSpec")["message"]
    assert "spec.worker.spec: Too long" in message
    assert "at most 131072; move large values" in message
    assert world.names("pods") == set()
    # It starts as soon as the spec is smaller.
    world.apply(cluster("demo", SLEEPS))
    world.workers("demo-default", 1)


def test_a_service_that_kubernetes_refuses(world, cluster):
    world.apply(cluster("demo", service(ports=[{"name": "tcp-comm", "port": 99999}])))
    degraded = world.condition("daskcluster/demo", "Degraded", "InvalidSpec")
    assert "spec.ports[0].port: Invalid value: 99999" in degraded["message"]


@pytest.mark.core
def test_an_image_that_cannot_be_pulled(world, cluster):
    world.apply(cluster("demo", worker(containers=[container(image="registry.invalid/dask:nope")])))
    for target in ("daskworkergroup/demo-default", "daskcluster/demo"):
        degraded = world.condition(target, "Degraded", "ImagePullBackOff")
        assert 'image "registry.invalid/dask:nope"' in degraded["message"]
    world.wait("daskcluster/demo", "condition=SchedulerReady")
    assert world.get("daskcluster/demo")["status"]["phase"] == "Running"


def test_a_pod_that_no_node_takes(world, cluster):
    world.apply(cluster("demo", worker(nodeSelector={"tests.dask.org/planet": "mars"})))
    degraded = world.condition("daskcluster/demo", "Degraded", "Unschedulable")
    assert "node(s) didn't match Pod's node affinity/selector" in degraded["message"]


def test_more_memory_than_any_node_has(world, cluster):
    containers = [container(command=["sleep", "infinity"], resources={"requests": {"memory": "4Pi"}})]
    world.apply(cluster("demo", worker(containers=containers)))
    degraded = world.condition("daskcluster/demo", "Degraded", "Unschedulable")
    assert "Insufficient memory" in degraded["message"]


def test_a_container_that_keeps_crashing(world, cluster):
    scheduler = {"spec": {"containers": [container(name="scheduler", command=["sh", "-c", "exit 7"])]}}
    world.apply(cluster("demo", {"spec": {"scheduler": scheduler}}))
    degraded = world.condition("daskcluster/demo", "Degraded", "CrashLoopBackOff")
    message = "pod demo-scheduler: container scheduler keeps ending with exit code 7 (Error)"
    assert message in degraded["message"]
    ready = world.condition("daskcluster/demo", "Ready", "CrashLoopBackOff")
    assert ready["status"] == "False"


@pytest.mark.core
def test_an_exhausted_quota(world, cluster):
    world.kubectl("create", "quota", "small", "--hard=pods=3")
    world.wait("resourcequota/small", "jsonpath={.status.hard.pods}=3")
    world.apply(cluster("demo", {"spec": {"worker": {"replicas": 4}}}))
    degraded = world.condition("daskcluster/demo", "Degraded", "QuotaExceeded")
    assert "exceeded quota: small, requested: pods=1, used: pods=3, limited: pods=3" in degraded["message"]
    assert world.names("pods", "dask.org/component=scheduler") == {"demo-scheduler"}
    world.workers("demo-default", 2)
    world.wait("daskcluster/demo", "condition=SchedulerReady")

    world.patch("resourcequota/small", {"spec": {"hard": {"pods": "5"}}})
    world.workers("demo-default", 4)
    world.condition("daskcluster/demo", "Degraded", "Healthy")


def test_a_quota_of_one_namespace_holds_up_no_other(world, another, run_controller, cluster):
    other = another()
    run_controller(namespaces=(world.namespace, other.namespace))
    world.kubectl("create", "quota", "none", "--hard=pods=0")
    world.wait("resourcequota/none", "jsonpath={.status.hard.pods}=0")
    world.apply(cluster())
    world.condition("daskcluster/demo", "Degraded", "QuotaExceeded")
    other.apply(cluster())
    other.wait("daskcluster/demo", "condition=Ready")


def test_a_name_that_a_stranger_has(world, cluster):
    world.kubectl("create", "service", "clusterip", "demo-scheduler", "--tcp=80:80")
    world.apply(cluster())
    degraded = world.condition("daskcluster/demo", "Degraded", "AlreadyExists")
    which = f"Service {world.namespace}/demo-scheduler"
    message = f"create {which}: {which} exists and is controlled by nobody: delete or rename one of the two"
    assert degraded["message"] == message
    world.workers("demo-default", 2)
    world.kubectl("delete", "service/demo-scheduler")
    world.wait("daskcluster/demo", "condition=Ready")
