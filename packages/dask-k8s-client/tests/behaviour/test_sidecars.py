"""Pods whose first container is not Dask's: the agent, logs, scaling, images and commands."""

import operator

import pytest
from distributed import Client

from dask_k8s_client import KubeCluster, make_cluster_spec

SHIPPER = {"name": "log-shipper", "command": ["sh", "-c", "echo shipping; exec sleep infinity"]}


def with_sidecars(name, n_workers):
    """Return a cluster in whose pods a log shipper comes first, and Dask's containers are named otherwise."""
    spec = make_cluster_spec(name, n_workers=n_workers)
    for component in ("scheduler", "worker"):
        containers = spec["spec"][component]["spec"]["containers"]
        (own,) = containers
        own["name"] = f"dask-{component}"
        if component == "scheduler":
            own["readinessProbe"] |= {"periodSeconds": 1}
        spec["spec"][component]["spec"]["terminationGracePeriodSeconds"] = 1
        containers.insert(0, {**SHIPPER, "image": own["image"]})
    return spec


@pytest.fixture
def cluster(here, kube):
    with KubeCluster(custom_cluster_spec=with_sidecars("sidecars", 2), namespace=here) as cluster:
        cluster.wait_for_workers(2)
        yield cluster


def condition_of(kube, target, type_):
    conditions = kube.get(target)["status"]["conditions"]
    return next(each for each in conditions if each["type"] == type_)


def containers_of(kube, group):
    template = kube.get(f"daskworkergroup/{group}")["spec"]["worker"]["spec"]
    return {each["name"]: each for each in template["containers"]}


@pytest.mark.core
def test_everything_works_on_the_container_of_dask(cluster, kube):
    with Client(cluster) as client:
        assert client.submit(operator.add, 1, 2).result() == 3
    # A worker retires through the agent, which was delivered to the scheduler's container.
    kube("scale", "daskworkergroup", "sidecars-default", "--replicas=1")
    kube.wait("daskworkergroup/sidecars-default", "jsonpath={.status.replicas}=1")
    kube.poll(lambda: len(kube.names("pods", "dask.org/workergroup-name=sidecars-default")) == 1)
    assert condition_of(kube, "daskcluster/sidecars", "Degraded")["status"] == "False"
    # The autoscaler asks the agent too.
    cluster.adapt(minimum=0, maximum=2)
    kube.wait("daskautoscaler/sidecars", "condition=Active")
    # A group that differs from the cluster's own workers differs in the container of Dask.
    before = containers_of(kube, "sidecars-default")
    cluster.add_worker_group("more", n_workers=0, image="other/image:2", worker_command="dask worker -v")
    after = containers_of(kube, "sidecars-more")
    assert after["log-shipper"] == before["log-shipper"]
    assert after["dask-worker"]["image"] == "other/image:2"
    assert after["dask-worker"]["args"][:3] == ["dask", "worker", "-v"]
    logs = "".join(cluster.get_logs().values())
    assert "--- dask-worker ---" in logs
    assert "--- log-shipper ---\nshipping" in logs


def test_where_nothing_shows_the_container_the_conditions_say_so(kube, here):
    """The cluster works if the first one is Dask's; an argument for the container of Dask is refused."""
    spec = make_cluster_spec("unidentified", n_workers=1)
    for component in ("scheduler", "worker"):
        template = spec["spec"][component]["spec"]
        (own,) = template["containers"]
        own["name"] = "main"
        own["command"] = [
            "python",
            "-c",
            f"import dask.cli, sys; sys.argv[1:] = ['{component}']; dask.cli.run_cli()",
        ]
        for field in ("args", "ports", "readinessProbe", "livenessProbe", "startupProbe"):
            own.pop(field, None)
        if component == "scheduler":
            own["readinessProbe"] = {"tcpSocket": {"port": 8786}, "periodSeconds": 1}
        template["containers"].append({**SHIPPER, "image": own["image"]})
        template["terminationGracePeriodSeconds"] = 1
    for port in spec["spec"]["scheduler"]["service"]["ports"]:
        port["targetPort"] = port["port"]
    with KubeCluster(custom_cluster_spec=spec, namespace=here) as cluster:
        cluster.wait_for_workers(1)
        group = condition_of(kube, "daskworkergroup/unidentified-default", "Degraded")
        assert (group["status"], group["reason"]) == ("True", "ContainerUnidentified")
        assert group["message"].startswith("spec.worker.spec: none of its 2 containers runs `dask worker`")
        own = condition_of(kube, "daskcluster/unidentified", "Degraded")
        assert own["message"].startswith(
            "spec.scheduler.spec: none of its 2 containers runs `dask scheduler`"
        )
        assert own["message"].endswith('name the one that does "scheduler"')
        kube.wait("daskcluster/unidentified", "condition=Ready")
        with pytest.raises(ValueError, match="of the cluster: none of its 2 containers"):
            cluster.add_worker_group("more", n_workers=0, image="other/image:2")
        assert not kube.exists("daskworkergroup/unidentified-more")
