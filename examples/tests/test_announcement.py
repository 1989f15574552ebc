"""The announcement's YAML, commands and Python do what it shows."""

import json
import re

import pytest

FOLDER = "announcement"
LISTING = "kubectl get all -A -l dask.org/cluster-name=my-cluster"


@pytest.fixture
def place(kubectl, shared):
    """The namespace that all tests share, which is empty again after the test."""
    yield shared
    shared.shell("kubectl delete daskjobs,daskautoscalers,daskclusters,configmaps --all")
    wait_for_deletion(kubectl, shared, "dask.org/cluster-name")


def wait_for_deletion(kubectl, place, selector):
    """Wait until all objects of a cluster are deleted.

    Workers that lose their scheduler do not react to SIGTERM, so their grace period, once it has begun, is
    made shorter.
    """
    terminating = lambda pods: all("deletionTimestamp" in pod["metadata"] for pod in pods)  # noqa: E731
    kubectl.within(place.namespace).until("pods", terminating, selector)
    place.shell(f"kubectl delete pods -l {selector} --grace-period=1")
    place.shell(f"kubectl wait pods,services -l {selector} --for=delete --timeout=240s")


@pytest.fixture
def gone(kubectl, place):
    """Wait until all objects of a cluster are deleted."""
    return lambda cluster: wait_for_deletion(kubectl, place, f"dask.org/cluster-name={cluster}")


@pytest.fixture
def listing(shell, place):
    """What the announcement lists, row by row; others may have a cluster of the same name elsewhere."""

    def rows() -> list[list[str]]:
        lines = [line.split() for line in shell(LISTING).splitlines()]
        return [columns[1:] for columns in lines if columns[:1] == [place.namespace]]

    return rows


def scaled(shell, group, workers):
    ready = f"--for=jsonpath={{.status.readyReplicas}}={workers}"
    shell(f"kubectl wait daskworkergroup {group} {ready} --timeout=240s")


def memory(shell, group):
    """What each worker of a group asks for and may have."""
    found = json.loads(shell(f"kubectl get pods -l dask.org/workergroup-name={group} -o json"))
    containers = [pod["spec"]["containers"][0] for pod in found["items"]]
    return [
        (each["resources"]["requests"]["memory"], each["resources"]["limits"]["memory"])
        for each in containers
    ]


def test_without_python(shell, listing, gone):
    """First the user sets the number of workers, then an autoscaler."""
    created = shell("kubectl apply -f my-cluster.yaml", FOLDER)
    assert created == "daskcluster.kubernetes.dask.org/my-cluster created\n"
    shell("kubectl wait daskcluster my-cluster --for=condition=Ready --timeout=240s")
    assert shell("kubectl get daskcluster").splitlines()[1].split()[0] == "my-cluster"

    *workers, scheduler, service = listing()
    assert len(workers) == 3
    for name, *state, _ in workers:
        assert re.fullmatch(r"pod/my-cluster-default-worker-[0-9a-f]{10}", name)
        assert state == ["1/1", "Running", "0"]
    assert scheduler[:4] == ["pod/my-cluster-scheduler", "1/1", "Running", "0"]
    assert service[:2] == ["service/my-cluster-scheduler", "ClusterIP"]
    assert service[3:5] == ["<none>", "8786/TCP,8787/TCP"]

    answer = shell("kubectl scale --replicas=5 daskworkergroup my-cluster-default")
    assert answer.startswith("daskworkergroup.kubernetes.dask.org/my-cluster-default")
    scaled(shell, "my-cluster-default", 5)
    assert len(listing()) == 7
    assert "LegacyCommand" in shell("kubectl describe daskcluster my-cluster")

    shell("kubectl scale --replicas=2 daskworkergroup my-cluster-default")
    scaled(shell, "my-cluster-default", 2)
    created = shell("kubectl apply -f my-autoscaler.yaml", FOLDER)
    assert created == "daskautoscaler.kubernetes.dask.org/my-cluster created\n"
    scaled(shell, "my-cluster-default", 1)
    shell("kubectl wait daskautoscaler my-cluster --for=condition=Active --timeout=240s")
    row = shell("kubectl get daskautoscaler my-cluster").splitlines()[1].split()
    assert row[:4] == ["my-cluster", "my-cluster", "1", "100"]

    answer = shell("kubectl delete daskcluster my-cluster")
    assert answer.startswith('daskcluster.kubernetes.dask.org "my-cluster" deleted')
    gone("my-cluster")
    assert "No resources found" in shell("kubectl get all -l dask.org/cluster-name=my-cluster")
    shell("kubectl wait daskautoscaler my-cluster --for=delete --timeout=240s")


@pytest.mark.core
def test_from_python(shell, prompt, listing, gone):
    first = prompt("announcement/create.py")
    assert first.ask("cluster.name") == "my-cluster"
    scaled(shell, "my-cluster-default", 3)

    second = prompt("announcement/from_name.py")
    assert second.ask("client.submit(pow, 7, 5).result()") == "16807"
    assert second.ask("client.submit(__import__('os').getenv, 'FOO').result()") == "bar"
    scaled(shell, "my-cluster-default", 5)
    assert second.ask("client.wait_for_workers(5, timeout=60)") == "None"
    second.end()
    assert len(listing()) == 7

    first.end()
    gone("my-cluster")
    assert listing() == []


def test_worker_groups_of_different_memory(shell, prompt):
    """No laptop has so much memory: what counts is what is asked for."""
    both = prompt("announcement/worker_groups.py")
    assert both.ask("cluster.name") == "foo"
    for group, workers in (("foo-default", 5), ("foo-highmem", 2)):
        made = f"--for=jsonpath={{.status.replicas}}={workers}"
        shell(f"kubectl wait daskworkergroup {group} {made} --timeout=240s")
    assert memory(shell, "foo-default") == [("16Gi", "16Gi")] * 5
    assert memory(shell, "foo-highmem") == [("64Gi", "64Gi")] * 2


def autoscaler(shell):
    """Names of the autoscalers there are, with their bounds."""
    items = json.loads(shell("kubectl get daskautoscalers -o json"))["items"]
    return {each["metadata"]["name"]: (each["spec"]["minimum"], each["spec"]["maximum"]) for each in items}


def test_autoscaling_from_python(shell, prompt):
    """With nothing to do, five workers are too many; with `scale` the user decides again."""
    python = prompt("announcement/adapt.py")
    assert python.ask("cluster.name") == "my-cluster"
    assert autoscaler(shell) == {"my-cluster": (1, 100)}
    fewer = "--for=jsonpath={.spec.worker.replicas}=4"
    shell(f"kubectl wait daskworkergroup my-cluster-default {fewer} --timeout=240s")

    assert python.ask("cluster.scale(5)") == "None"
    assert autoscaler(shell) == {}
    scaled(shell, "my-cluster-default", 5)


def test_a_job(shell):
    shell("kubectl create configmap my-job --from-file=job.py", FOLDER)
    created = shell("kubectl apply -f my-job.yaml", FOLDER)
    assert created == "daskjob.kubernetes.dask.org/my-job created\n"
    shell("kubectl wait daskjob my-job --for=condition=Complete --timeout=240s")
    assert shell("kubectl get daskjob").splitlines()[1].split()[:3] == ["my-job", "Successful", "3"]
    shell("kubectl wait daskcluster my-job --for=delete --timeout=240s")
    shell("kubectl delete daskjob my-job")
    shell("kubectl wait job my-job-runner --for=delete --timeout=240s")
