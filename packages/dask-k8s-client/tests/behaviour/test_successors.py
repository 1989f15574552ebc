"""Successors: workers take the data of those that leave, a scheduler replaces one on a lost node."""

import json
from collections import Counter
from itertools import count

import pytest
from distributed import Client, wait

from dask_k8s_client import KubeCluster, make_cluster_spec

from .conftest import quick
from .test_losses import lose
from .work import group_of

# Lambdas, because they are pickled by value: no worker can import this file.
counted = lambda number, *_: (  # noqa: E731
    __import__("distributed").get_worker().log_event("executed", number),
    __import__("time").sleep(0.4 if _ else 0),
    number,
)[2]


class Work:
    """Data of which each worker has the only copy of some, and slow tasks on it that go on."""

    numbers = count()

    def __init__(self, client, workers, *, scatters=True):
        self.client = client
        self.executions = {}
        self.scattered = (
            client.scatter([f"part {n}" for n in range(4 * workers)], hash=False) if scatters else []
        )
        self.data = self._map([[]] * 6 * workers)
        wait(self.data)
        assert len(client.has_what()) == workers
        assert all(client.has_what().values())
        self.tasks = self._map([[each] for each in self.data * 2])

    def _map(self, arguments):
        numbers = [next(self.numbers) for _ in arguments]
        futures = [
            self.client.submit(counted, n, *more, pure=False)
            for n, more in zip(numbers, arguments, strict=True)
        ]
        self.executions |= {future.key: number for future, number in zip(futures, numbers, strict=True)}
        return futures

    def check(self, *lost_workers):
        """Everything is there; nothing but what was lost with these workers was executed twice."""
        wait([*self.data, *self.tasks])
        events = [
            event for _, event in self.client.get_events("all") if event.get("action") == "remove-worker"
        ]
        lost = set()
        for event in events:
            keys = {*event["lost-computed-tasks"], *event["lost-scattered-tasks"]}
            if event["worker"] in lost_workers:
                lost |= keys | set(event["processing-tasks"])
            else:
                assert not keys, event
        futures = [*self.data, *self.tasks]
        assert self.client.gather(futures) == [self.executions[future.key] for future in futures]
        assert self.client.gather(self.scattered) == [f"part {n}" for n in range(len(self.scattered))]
        executed = Counter(number for _, number in self.client.get_events("executed"))
        times = {key: executed[number] for key, number in self.executions.items() if executed[number] != 1}
        assert times.keys() <= lost


@pytest.mark.core
def test_data_outlives_all_workers(make, kube):
    """Rolling updates of groups of 1, 2 and 3 workers, a move to another group, a lost node meanwhile."""
    spec = make_cluster_spec("heirs", n_workers=1)
    cluster = make("heirs", spec=spec)

    def edit(group, workers):
        before = group_of(kube, group)
        env = [{"name": "EDITED", "value": str(workers)}]
        container = {**spec["spec"]["worker"]["spec"]["containers"][0], "env": env}
        kube.patch(f"daskworkergroup/{group}", {"spec": {"worker": {"spec": {"containers": [container]}}}})
        return before

    def replaced(group, before, workers):
        def done():
            present = group_of(kube, group)
            return len(present) == workers and not set(present.values()) & set(before.values())

        kube.poll(done)
        kube.wait(f"daskworkergroup/{group}", "condition=Progressing=False")

    with Client(cluster) as client:
        for workers in (1, 2, 3):
            cluster.scale(workers)
            client.wait_for_workers(workers)
            work = Work(client, workers)
            replaced("heirs-default", edit("heirs-default", workers), workers)
            work.check()

        work = Work(client, 3)
        cluster.add_worker_group("more", n_workers=3)
        cluster.scale(0)
        kube.until("pods", lambda pods: not pods, "dask.org/workergroup-name=heirs-default")
        client.wait_for_workers(3)
        work.check()

        work = Work(client, 3, scatters=False)
        before = edit("heirs-more", 4)
        kube.poll(lambda: len(group_of(kube, "heirs-more")) == 4)
        victim = min(before)
        known = client.scheduler_info(n_workers=-1)["workers"]
        address = next(key for key, each in known.items() if each["name"] == victim)
        lose(kube, victim)
        replaced("heirs-more", before, 3)
        work.check(address)


@pytest.fixture
def lost_node(kubectl, here):
    """A node on which nothing ever runs or ends."""
    name = f"lost-{here}"
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
    kubectl("apply", "-f", "-", input=json.dumps(node))
    yield name
    kubectl("delete", "node", name)


def bind(kube, pod, node):
    """Do as a scheduler of Kubernetes does."""
    body = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": pod},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    }
    path = f"/api/v1/namespaces/{kube.namespace}/pods/{pod}/binding"
    kube("create", "--raw", path, "-f", "-", input=json.dumps(body))


def works(node):
    conditions = node.get("status", {}).get("conditions", ())
    is_ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return is_ready and not node.get("spec", {}).get("taints")


def test_the_successor_of_a_scheduler_on_a_lost_node_is_asked(kubectl, kube, here, lost_node):
    """The dead one is still there: terminating, running and ready, as far as its node has reported."""
    spec = quick(make_cluster_spec("lost", n_workers=0, idle_timeout=3600))
    spec["spec"]["scheduler"]["spec"]["schedulerName"] = "tests.dask.org"
    kube.apply(spec)
    label = "dask.org/cluster-name=lost,dask.org/component=scheduler"
    kube.until("pods", lambda pods: len(pods) == 1, label)
    bind(kube, "lost-scheduler", lost_node)
    now = kube.get("pod/lost-scheduler")["metadata"]["creationTimestamp"]
    running = {
        "phase": "Running",
        "podIP": "192.0.2.1",
        "podIPs": [{"ip": "192.0.2.1"}],
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [
            {
                "name": "scheduler",
                "ready": True,
                "restartCount": 0,
                "image": "any",
                "imageID": "any",
                "state": {"running": {"startedAt": now}},
            }
        ],
    }
    kube.patch("pod/lost-scheduler", {"status": running}, subresource="status")
    kube.wait("daskcluster/lost", "condition=SchedulerReady")
    kube("delete", "pod", "lost-scheduler", "--wait=false")
    try:
        pods = kube.until("pods", lambda pods: len(pods) == 2, label)
        (successor,) = {pod["metadata"]["name"] for pod in pods} - {"lost-scheduler"}
        nodes = json.loads(kubectl("get", "nodes", "-o", "json").stdout)["items"]
        bind(kube, successor, next(node["metadata"]["name"] for node in nodes if works(node)))
        kube.wait("daskcluster/lost", "condition=SchedulerReady")

        with KubeCluster.from_name("lost", namespace=here) as cluster, Client(cluster) as client:
            kube.wait("daskcluster/lost", "jsonpath={.status.idleSince}")
            cluster.adapt(minimum=1, maximum=2, interval="1 s")
            work = client.map(counted, range(20), [1] * 20, pure=False)
            assert client.gather(work) == list(range(20))
            kube("delete", "daskautoscaler", "lost")
            cluster.scale(2)
            kube.wait("daskworkergroup/lost-default", "jsonpath={.status.readyReplicas}=2")
            client.wait_for_workers(2)
            cluster.scale(1)
            kube.wait("daskworkergroup/lost-default", "jsonpath={.status.replicas}=1")
            assert client.gather(work) == list(range(20))
        assert "deletionTimestamp" in kube.get("pod/lost-scheduler")["metadata"]
    finally:
        lose(kube, "lost-scheduler")
        kube.delete("daskcluster/lost")
