"""Scaling down loses no data: results are moved before workers end."""

import json
import os
import time

import pytest
from distributed import Client, Event, wait

from dask_k8s_client import KubeCluster, make_cluster_spec

from .conftest import quick
from .work import SIZE, computed, data, group_of, slow

GROUP = "daskworkergroup/fewer-default"

# A lambda, because it is pickled by value: no worker can import this file.
held = lambda: __import__("distributed").Event("go").wait()  # noqa: E731


def places(client):
    """Return the addresses of workers by the names of their pods."""
    return {
        worker["name"]: address for address, worker in client.scheduler_info(n_workers=-1)["workers"].items()
    }


@pytest.fixture(scope="module")
def running(kubernetes, served):
    """A cluster for many tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(kubernetes.kubeconfig))
        spec = quick(make_cluster_spec("fewer", n_workers=0))
        with KubeCluster(custom_cluster_spec=spec, namespace=served) as cluster:
            yield cluster


@pytest.fixture
def workers(running, kube):
    """`workers(3)` returns the cluster with so many workers, and with no others that are leaving it."""

    def scaled(number):
        running.scale(number)
        kube.wait(GROUP, f"jsonpath={{.status.replicas}}={number}")
        kube.wait(GROUP, f"jsonpath={{.status.readyReplicas}}={number}")
        running.wait_for_workers(number)
        return running

    return scaled


@pytest.mark.core
def test_data_and_work_survive(workers, kube):
    cluster = workers(4)
    with Client(cluster) as client:
        kept = client.map(data, range(40), pure=False)
        wait(kept)
        keys = [future.key for future in kept]
        work = client.map(slow, kept[:16], pure=False)
        cluster.scale(2)
        assert client.gather(work) == [number + SIZE for number in range(16)]
        kube.wait(GROUP, "jsonpath={.status.retiring}=0")
        kube.wait(GROUP, "condition=Ready")

        left = group_of(kube, "fewer-default")
        assert len(left) == 2
        assert places(client).keys() == left.keys()
        assert computed(client, keys) == dict.fromkeys(keys, 1)
        assert all(client.who_has(kept).values())
        assert client.gather(kept) == [data(number) for number in range(40)]
        # The workers that stayed are the same processes.
        restarts = [
            status["restartCount"]
            for pod in kube.get("pods")["items"]
            if pod["metadata"]["name"] in left
            for status in pod["status"]["containerStatuses"]
        ]
        assert restarts == [0, 0]


def test_another_group_is_left_alone(workers, kube):
    cluster = workers(2)
    cluster.add_worker_group("more", n_workers=1)
    cluster.wait_for_workers(3)
    others = group_of(kube, "fewer-more")
    with Client(cluster) as client:
        kept = client.map(data, range(24), pure=False)
        wait(kept)
        keys = [future.key for future in kept]
        cluster.scale(1)
        kube.wait(GROUP, "jsonpath={.status.replicas}=1")
        kube.wait(GROUP, "jsonpath={.status.retiring}=0")
        assert client.gather(kept) == [data(number) for number in range(24)]
        assert computed(client, keys) == dict.fromkeys(keys, 1)
        assert group_of(kube, "fewer-more") == others
    cluster.delete_worker_group("more")
    kube.until("pods", lambda pods: not pods, "dask.org/workergroup-name=fewer-more")


def test_idle_workers_go_first(workers, kube):
    cluster = workers(3)
    with Client(cluster) as client:
        names = places(client)
        busy = min(names)
        work = client.submit(held, workers=[names[busy]], pure=False)
        cluster.scale(1)
        kube.wait(GROUP, "jsonpath={.status.replicas}=1")
        assert list(group_of(kube, "fewer-default")) == [busy]
        Event("go").set()
        assert work.result()


def test_to_zero_and_back(workers, kube):
    cluster = workers(2)
    with Client(cluster) as client:
        kept = client.map(data, range(4), pure=False)
        wait(kept)
        cluster.scale(0)
        kube.wait(GROUP, "jsonpath={.status.replicas}=0")
        cluster.scale(1)
        # Results that no other worker had memory for are computed again.
        assert client.gather(kept) == [data(number) for number in range(4)]


def test_a_scheduler_that_is_away_is_waited_for(workers, kube):
    """While the scheduler's process is stopped, all workers stay: the results that they hold are unknown."""
    cluster = workers(2)
    pause = "import os, signal; os.kill({pid}, signal.SIG{signal})"
    with Client(cluster) as client:
        pid = client.run_on_scheduler(os.getpid)
    kube("exec", "fewer-scheduler", "--", "python", "-c", pause.format(pid=pid, signal="STOP"))
    try:
        cluster.scale(1)
        reason = "jsonpath={.status.conditions[?(@.type=='Progressing')].reason}"
        kube.wait(GROUP, f"{reason}=SchedulerSilent")
        assert len(group_of(kube, "fewer-default")) == 2
    finally:
        kube("exec", "fewer-scheduler", "--", "python", "-c", pause.format(pid=pid, signal="CONT"))
    kube.wait(GROUP, "jsonpath={.status.replicas}=1")


def test_an_evicted_worker_hands_over_while_its_hook_gives_it_time(make, kube):
    spec = make_cluster_spec("spot", n_workers=2)
    worker = spec["spec"]["worker"]["spec"]
    worker["terminationGracePeriodSeconds"] = 60
    worker["containers"][0]["lifecycle"] = {"preStop": {"sleep": {"seconds": 50}}}
    cluster = make("spot", spec=spec)
    cluster.wait_for_workers(2)
    with Client(cluster) as client:
        kept = client.map(data, range(20), pure=False)
        wait(kept)
        keys = [future.key for future in kept]
        evicted, leaving = min(places(client).items())
        path = f"/api/v1/namespaces/{kube.namespace}/pods/{evicted}/eviction"
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": evicted}}
        kube("create", "--raw", path, "-f", "-", input=json.dumps(body))
        while any(leaving in holders for holders in client.who_has(kept).values()):
            time.sleep(0.1)
        kube("delete", "pod", evicted, "--grace-period=1")
        assert client.gather(kept) == [data(number) for number in range(20)]
        assert computed(client, keys) == dict.fromkeys(keys, 1)
        kube.wait("daskworkergroup/spot-default", "jsonpath={.status.replicas}=2")
        assert len(group_of(kube, "spot-default")) == 2


# Print the agent's answer to an authorized request, once all workers have come.
ASK = """
import json, sys, time, urllib.error, urllib.request
token, workers = sys.argv[1:]
token = open("/dask-k8s/token").read() if token == "known" else token
headers = {"Authorization": f"Bearer {token}"}
request = urllib.request.Request("http://127.0.0.1:8787/dask-k8s/v1/idle", headers=headers)
deadline = time.monotonic() + 120
try:
    while json.load(urllib.request.urlopen(request))["workers"] < int(workers):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    print(200)
except urllib.error.HTTPError as error:
    print(error.code)
"""


def test_releases_of_dask(kubernetes, kube, quick_spec):
    """The oldest and the newest supported versions; images mean nothing to the local Kubernetes."""
    releases = ["2026.8.0"] if kubernetes.is_local else ["2024.1.0", "2026.8.0"]
    names = {release: f"release-{release.replace('.', '-')}" for release in releases}
    for release, name in names.items():
        kube.apply(quick_spec(make_cluster_spec(name, image=f"ghcr.io/dask/dask:{release}", n_workers=3)))
    for name in names.values():
        kube.wait(f"daskcluster/{name}", "condition=Ready")
        for token, status in (("known", "200"), ("guessed", "401")):
            command = ("exec", f"{name}-scheduler", "--", "python", "-c", ASK, token, "3")
            assert kube(*command).strip() == status
        kube("scale", f"daskworkergroup/{name}-default", "--replicas=1")
        kube.wait(f"daskworkergroup/{name}-default", "jsonpath={.status.replicas}=1")
        assert kube("logs", f"{name}-scheduler").count(" is to be closing_gracefully") == 2
        kube.delete(f"daskcluster/{name}")
