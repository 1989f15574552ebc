"""An edit of each field of clusters and worker groups has the effect that the table of all fields says.

A cluster and a worker group are reconciled until nothing changes, before and after the edit.
"""

import pytest

from dask_k8s_controller.dask.cluster.reconcile import reconcile as reconcile_cluster
from dask_k8s_controller.dask.scheduler.answers import Retired
from dask_k8s_controller.dask.workergroup.reconcile import reconcile as reconcile_group
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.testing import FakeAgent, FakeWorld
from dask_k8s_crds import DaskCluster, DaskWorkerGroup, edits, labels
from dask_k8s_crds.edits import Effect
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS, SERVICES

from .builders import cluster, group

CLUSTER = Key(DASK_CLUSTERS, "ns", "c")
DEFAULT = Key(DASK_WORKER_GROUPS, "ns", "c-default")
OWN = Key(DASK_WORKER_GROUPS, "ns", "c-own")
WORKERS = 8
READY = {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}


class Lab(FakeWorld):
    """A cluster that runs, with a group that a user has created, and the agent in its scheduler."""

    def __init__(self):
        agent = FakeAgent(known=frozenset)
        super().__init__(cluster(replicas=WORKERS), group("c-own", replicas=WORKERS), scheduler=agent)

    async def turn(self):
        """Reconcile everything once; then new pods get ready."""
        for key in [CLUSTER, DEFAULT, OWN]:
            await (reconcile_cluster if key == CLUSTER else reconcile_group)(key, self)
        for body in list(self.objects.values()):
            if body["kind"] == "Pod" and "status" not in body:
                self.add({**body, "status": READY})

    async def settle(self, seconds=1.0):
        """Reconcile until nothing has been written for three turns."""
        quiet = 0
        while quiet < 3:
            before = len(self.writes)
            await self.turn()
            self.advance(seconds)
            quiet = quiet + 1 if len(self.writes) == before else 0

    def pods(self, group=None):
        """The manifests of the scheduler's pods, or of the workers of a group, by uid."""
        selected = {labels.WORKER_GROUP_NAME: group} if group else {labels.COMPONENT: labels.SCHEDULER}
        pods = [body for key, body in self.objects.items() if key.resource == PODS]
        return {
            pod["metadata"]["uid"]: pod
            for pod in pods
            if selected.items() <= pod["metadata"]["labels"].items()
        }


def edited(path, value):
    """Return the merge patch that sets one field."""
    for step in reversed(path.split(".")):
        value = {step: value}
    return value


def container(image):
    return {"containers": [{"name": "dask", "image": image, "args": ["dask", "worker"]}]}


# Evidence that an edit was followed: each takes the lab, settled after the edit, and the key of the object.


def group_of(key):
    return "c-default" if key == CLUSTER else key.name


async def metadata_of_workers(lab, key):
    return all("example" in str(pod["metadata"]) for pod in lab.pods(group_of(key)).values())


async def metadata_of_scheduler(lab, key):
    return all("example" in str(pod["metadata"]) for pod in lab.pods().values())


async def service(lab, key):
    return lab.objects[Key(SERVICES, "ns", "c-scheduler")]["spec"]["type"] == "NodePort"


async def replicas(lab, key):
    return len(lab.pods(group_of(key))) == 3


async def suspended(lab, key):
    return not lab.pods() and not lab.pods("c-default") and not lab.pods("c-own")


async def idle_timeout(lab, key):
    lab.scheduler.answers["idle"] = 2.0
    await reconcile_cluster(CLUSTER, lab)
    return CLUSTER not in lab.objects


async def idle_action(lab, key):
    lab.patch(CLUSTER, {"spec": {"idleTimeout": 1}})
    lab.scheduler.answers["idle"] = 2.0
    await reconcile_cluster(CLUSTER, lab)
    return lab.objects[CLUSTER]["spec"].get("suspend") is True


async def outdated_after_a_turn(lab, key):
    """Change the template of the workers; return how many of them are gone after one turn."""
    before = set(lab.pods(group_of(key)))
    lab.patch(key, edited("spec.worker.spec", container("another")))
    if key == CLUSTER:
        await reconcile_cluster(CLUSTER, lab)
    await reconcile_group(Key(DASK_WORKER_GROUPS, "ns", group_of(key)), lab)
    return len(before - set(lab.pods(group_of(key))))


async def no_rollout(lab, key):
    return await outdated_after_a_turn(lab, key) == 0


async def larger_steps(lab, key):
    return await outdated_after_a_turn(lab, key) == 7


async def more_at_a_time(lab, key):
    before = lab.pods(group_of(key)).keys()
    await outdated_after_a_turn(lab, key)
    return len(lab.pods(group_of(key)).keys() - before) == 7


async def shorter_drain(lab, key):
    lab.scheduler.answers["retire"] = lambda pods, *_: Retired(gone=frozenset(), retiring=frozenset(pods))
    await outdated_after_a_turn(lab, key)
    before = set(lab.pods(group_of(key)))
    lab.advance(10)
    await lab.turn()
    await lab.turn()
    return before != set(lab.pods(group_of(key)))


async def nothing(lab, key):
    return True


EXAMPLE = {"example": "example"}
WORKER = {
    "spec.worker.metadata.labels": (EXAMPLE, metadata_of_workers),
    "spec.worker.metadata.annotations": (EXAMPLE, metadata_of_workers),
    "spec.worker.spec": (container("another"), nothing),
    "spec.worker.replicas": (3, replicas),
    "spec.worker.daskResources": ({"GPU": 1}, nothing),
    "spec.worker.cluster": ("another", nothing),
    "spec.updateStrategy.type": ("OnDelete", no_rollout),
    "spec.updateStrategy.maxUnavailable": (7, larger_steps),
    "spec.updateStrategy.maxSurge": (7, more_at_a_time),
    "spec.updateStrategy.drainTimeoutSeconds": (5, shorter_drain),
}
CASES = {
    CLUSTER: {
        **WORKER,
        "spec.scheduler.metadata.labels": (EXAMPLE, metadata_of_scheduler),
        "spec.scheduler.metadata.annotations": (EXAMPLE, metadata_of_scheduler),
        "spec.scheduler.spec": (container("another"), nothing),
        "spec.scheduler.service": ({"type": "NodePort"}, service),
        "spec.idleTimeout": (1, idle_timeout),
        "spec.idleAction": ("Suspend", idle_action),
        "spec.suspend": (True, suspended),
    },
    OWN: WORKER,
}
MODELS = {CLUSTER: DaskCluster, OWN: DaskWorkerGroup}
FIELDS = [
    pytest.param(key, path, id=f"{key.resource.kind}-{path}")
    for key, model in MODELS.items()
    for path in edits.fields(model)
    if edits.edit(key.resource.kind, path).effect != Effect.REFUSED
]


@pytest.mark.parametrize("key, path", FIELDS)
async def test_an_edit_has_the_effect_in_the_table(key, path):
    value, evidence = CASES[key][path]
    lab = Lab()
    await lab.settle()
    schedulers, workers = lab.pods(), lab.pods(group_of(key))
    assert (len(schedulers), len(workers)) == (1, WORKERS)
    lab.patch(key, edited(path, value))
    writes = len(lab.writes)
    await lab.settle()

    replaced = lab.pods() if path.startswith("spec.scheduler") else lab.pods(group_of(key))
    before = schedulers if path.startswith("spec.scheduler") else workers
    match edits.edit(key.resource.kind, path).effect:
        case Effect.ROLLING:
            assert len(replaced) == len(before)
            assert not replaced.keys() & before.keys(), "pods from before the edit are still there"
        case Effect.IN_PLACE:
            assert replaced.keys() <= before.keys(), "pods were replaced"
        case Effect.NONE:
            changed = [write for write in lab.writes[writes:] if not write.startswith("report")]
            # The cluster passes the template of its workers on, as a whole.
            assert changed == []
    assert await evidence(lab, key), "the edit was not followed"


RESTART = {labels.RESTARTED_AT: "2026-11-23T12:00:00Z"}
OF_WORKERS = "spec.worker.metadata.annotations"
OF_SCHEDULER = "spec.scheduler.metadata.annotations"


@pytest.mark.parametrize(
    "key, path, annotations, replaced",
    [
        (CLUSTER, "metadata.annotations", RESTART, {"c-default", "c-own"}),
        (OWN, "metadata.annotations", RESTART, {"c-own"}),
        (CLUSTER, OF_WORKERS, RESTART, {"c-default"}),
        (CLUSTER, OF_WORKERS, {"rollme": "b"}, {"c-default"}),
        (CLUSTER, OF_WORKERS, {"checksum/config": "b"}, {"c-default"}),
        (CLUSTER, OF_WORKERS, {"kubectl.kubernetes.io/restartedAt": "b"}, {"c-default"}),
        (OWN, OF_WORKERS, {"rollme": "b"}, {"c-own"}),
        (CLUSTER, OF_SCHEDULER, {"checksum/config": "b"}, {None}),
        (CLUSTER, "metadata.annotations", {"rollme": "b", "checksum/config": "b"}, set()),
        (CLUSTER, OF_WORKERS, {"rollme-not": "b", "example.org/checksum": "b"}, set()),
    ],
)
async def test_a_restart_on_purpose(key, path, annotations, replaced):
    lab = Lab()
    lab.patch(key, edited(path, dict.fromkeys(annotations, "a")))
    await lab.settle()
    before = {group: lab.pods(group).keys() for group in (None, "c-default", "c-own")}
    lab.patch(key, edited(path, annotations))
    await lab.settle()
    after = {group: lab.pods(group).keys() for group in before}
    assert {group: len(pods) for group, pods in after.items()} == {None: 1, "c-default": 8, "c-own": 8}
    assert {group for group in before if not before[group] & after[group]} == replaced
    assert {group for group in before if before[group] != after[group]} == replaced


async def test_outdated_pods_keep_the_annotations_that_say_what_they_have_read():
    lab = Lab()
    lab.patch(OWN, {"spec": {"updateStrategy": {"type": "OnDelete"}}})
    lab.patch(OWN, edited(OF_WORKERS, {"rollme": "a", "example": "a"}))
    await lab.settle()
    before = lab.pods("c-own").keys()
    lab.patch(OWN, edited(OF_WORKERS, {"rollme": "b", "example": "b"}))
    await lab.settle()
    found = [pod["metadata"]["annotations"] for pod in lab.pods("c-own").values()]
    assert lab.pods("c-own").keys() == before
    assert {(each["rollme"], each["example"]) for each in found} == {("a", "b")}
    lab.patch(OWN, {"spec": {"updateStrategy": {"type": "RollingUpdate"}}})
    await lab.settle()
    found = [pod["metadata"]["annotations"] for pod in lab.pods("c-own").values()]
    assert {(each["rollme"], each["example"]) for each in found} == {("b", "b")}
