"""A cluster comes up: what is created, its names, its owners, and what the status reports."""

import re

import pytest

from dask_k8s_crds import labels

CLUSTER, GROUP, COMPONENT = "dask.org/cluster-name", "dask.org/workergroup-name", "dask.org/component"
SCHEDULER = {CLUSTER: "demo", COMPONENT: "scheduler"}
WORKER = {CLUSTER: "demo", GROUP: "demo-default", COMPONENT: "worker"}
BOOKKEEPING = {labels.LAST_APPLIED, "kubernetes.dask.org/template-digest"}
DEFAULT = {"sidecar.istio.io/inject": "false"}
SELECTOR = ",".join(f"{name}={WORKER[name]}" for name in (CLUSTER, GROUP, COMPONENT))


def environment(pod, container=0):
    variables = pod["spec"]["containers"][container]["env"]
    return [(each["name"], each["value"] if "value" in each else each["valueFrom"]) for each in variables]


def owner(item):
    (reference,) = item["metadata"]["ownerReferences"]
    return reference


@pytest.mark.core
def test_comes_up(world, cluster):
    world.apply(cluster())
    world.wait("daskcluster/demo", "condition=Ready")
    workers = world.workers("demo-default", 2)
    assert world.names("pods") == {"demo-scheduler", *workers}
    assert all(re.fullmatch(r"demo-default-worker-[0-9a-f]{10}", name) for name in workers)
    assert world.names("services") == {"demo-scheduler"}
    assert world.names("daskworkergroups") == {"demo-default"}

    status = world.get("daskcluster/demo")["status"]
    host = f"demo-scheduler.{world.namespace}.svc.cluster.local"
    assert {name: status[name] for name in status if name != "conditions"} == {
        "phase": "Running",
        "schedulerAddress": f"tcp://{host}:8786",
        "dashboardAddress": f"http://{host}:8787",
        "workers": "2/2",
        "replicas": 2,
        "readyReplicas": 2,
        "updatedReplicas": 2,
        "selector": SELECTOR,
        "observedGeneration": 1,
    }
    assert {found["type"]: found["status"] for found in status["conditions"]} == {
        "SchedulerReady": "True",
        "WorkersReady": "True",
        "Ready": "True",
        "Progressing": "False",
        "Degraded": "False",
    }


@pytest.mark.core
def test_a_listing_shows_how_it_is(world, cluster):
    world.apply(cluster())
    world.wait("daskcluster/demo", "condition=Ready")
    world.wait("daskworkergroup/demo-default", "condition=Ready")
    head, row = world.kubectl("get", "dsk").splitlines()
    assert head.split() == ["NAME", "WORKERS", "STATUS", "AGE"]
    assert row.split()[:-1] == ["demo", "2/2", "Running"]
    _, wide = world.kubectl("get", "daskcluster", "-o", "wide").splitlines()
    assert f"tcp://demo-scheduler.{world.namespace}.svc.cluster.local:8786" in wide.split()
    head, row = world.kubectl("get", "daskworkers").splitlines()
    assert head.split()[0] == "NAME"
    assert row.split()[:3] == ["demo-default", "demo", "2"]


def test_labels_and_owners(world, cluster):
    world.apply(cluster())
    (first, *_) = world.workers("demo-default", 2)
    dask_cluster = world.get("daskcluster/demo")
    scheduler, service = world.get("pod/demo-scheduler"), world.get("service/demo-scheduler")
    group, worker = world.get("daskworkergroup/demo-default"), world.get(f"pod/{first}")

    assert scheduler["metadata"]["labels"] == SCHEDULER | DEFAULT
    assert service["metadata"]["labels"] == SCHEDULER | DEFAULT
    assert service["spec"]["selector"] == SCHEDULER
    assert worker["metadata"]["labels"] == WORKER | DEFAULT
    assert group["metadata"]["labels"] == SCHEDULER | {COMPONENT: "workergroup"} | DEFAULT
    for child in (scheduler, service, group):
        assert owner(child) == {
            "apiVersion": "kubernetes.dask.org/v1",
            "kind": "DaskCluster",
            "name": "demo",
            "uid": dask_cluster["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    assert (owner(worker)["kind"], owner(worker)["uid"]) == ("DaskWorkerGroup", group["metadata"]["uid"])
    assert owner(worker)["controller"]


def test_labels_and_annotations_are_passed_on(world, cluster):
    metadata = {
        "labels": {"team": "weather", "tier": "top", COMPONENT: "mine"},
        "annotations": {
            "note": "top",
            "kopf.zalando.org/last-handled": "{}",
            "kubectl.kubernetes.io/restartedAt": "yesterday",
        },
    }
    scheduler = {"labels": {"tier": "scheduler"}, "annotations": {"note": "scheduler", "port": "8787"}}
    worker = {"labels": {"tier": "worker", "sidecar.istio.io/inject": "true"}, "annotations": {"gpu": "none"}}
    spec = {"scheduler": {"metadata": scheduler}, "worker": {"metadata": worker, "replicas": 1}}
    world.apply(cluster("demo", {"metadata": metadata, "spec": spec}, hold=True))
    (name,) = world.workers("demo-default", 1, ready=False)

    def seen(target):
        found = world.get(target)["metadata"]
        annotations = found.get("annotations", {})
        return found["labels"], {name: annotations[name] for name in annotations if name not in BOOKKEEPING}

    for target in ("pod/demo-scheduler", "service/demo-scheduler"):
        labels, annotations = seen(target)
        assert labels == SCHEDULER | DEFAULT | {"team": "weather", "tier": "scheduler"}
        assert annotations == {"note": "scheduler", "port": "8787"}
    labels, annotations = seen("daskworkergroup/demo-default")
    assert (labels["team"], labels["tier"], labels[COMPONENT]) == ("weather", "worker", "workergroup")
    assert (annotations["note"], annotations["gpu"]) == ("top", "none")
    labels, annotations = seen(f"pod/{name}")
    assert labels == WORKER | {"team": "weather", "tier": "worker", "sidecar.istio.io/inject": "true"}
    assert annotations == {"note": "top", "gpu": "none"}


def test_the_users_environment_wins(world, cluster):
    own = [
        {"name": "DASK_WORKER_NAME", "value": "mine"},
        {"name": "HELLO", "value": "$(DASK_SCHEDULER_ADDRESS)"},
    ]
    containers = [{"name": "named", "image": "dask", "env": own}, {"name": "plain", "image": "dask"}]
    worker = {"replicas": 1, "spec": {"containers": containers}}
    world.apply(cluster("demo", {"spec": {"worker": worker}}, hold=True))
    (name,) = world.workers("demo-default", 1, ready=False)
    pod = world.get(f"pod/{name}")
    address = f"tcp://demo-scheduler.{world.namespace}.svc.cluster.local:8786"
    assert environment(pod) == [
        ("DASK_SCHEDULER_ADDRESS", address),
        ("DASK_WORKER_NAME", "mine"),
        ("HELLO", "$(DASK_SCHEDULER_ADDRESS)"),
    ]
    (own_name, own), (_, own_address) = environment(pod, 1)
    assert (own_name, own["fieldRef"]["fieldPath"], own_address) == (
        "DASK_WORKER_NAME",
        "metadata.name",
        address,
    )
    assert pod["spec"]["enableServiceLinks"] is False


def test_the_users_ports_are_in_the_addresses(world, cluster):
    ports = [{"name": "tcp-comm", "port": 9786}, {"name": "http-dashboard", "port": 80}]
    world.apply(cluster("demo", {"spec": {"scheduler": {"service": {"ports": ports}}}}, hold=True))
    (name, _) = world.workers("demo-default", 2, ready=False)
    world.wait("daskcluster/demo", "jsonpath={.status.observedGeneration}=1")
    status = world.get("daskcluster/demo")["status"]
    assert status["schedulerAddress"].endswith(":9786")
    assert status["dashboardAddress"].endswith(":80")
    assert status["schedulerAddress"] in dict(environment(world.get(f"pod/{name}"))).values()


def test_a_load_balancer_without_an_address_is_waited_for(world, cluster):
    world.apply(cluster("demo", {"spec": {"scheduler": {"service": {"type": "LoadBalancer"}}}}))
    world.condition("daskcluster/demo", "SchedulerReady", "LoadBalancerPending")
    assert world.get("daskcluster/demo")["status"]["phase"] == "Pending"
    ingress = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}
    world.patch("service/demo-scheduler", ingress, subresource="status")
    world.wait("daskcluster/demo", "jsonpath={.status.phase}=Running")


def test_fields_of_a_later_kubernetes_pass(world, cluster):
    """What the CRDs do not know they keep; whether it exists only the API server can say."""
    spec = {"worker": {"replicas": 1, "spec": {"runtimeOfTomorrow": {"speed": 11}}}}
    world.apply(cluster("demo", {"spec": spec}))
    kept = world.get("daskcluster/demo")["spec"]["worker"]["spec"]
    assert kept["runtimeOfTomorrow"] == {"speed": 11}
