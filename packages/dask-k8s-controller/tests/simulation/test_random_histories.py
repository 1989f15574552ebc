"""Whatever happens in whatever order: never one is too many, and in the end there is what was asked for."""

import asyncio
from collections import defaultdict
from random import Random

import pytest

from dask_k8s_controller.app.operator import Operator
from dask_k8s_controller.app.settings import Settings
from dask_k8s_controller.dask import plugin
from dask_k8s_controller.dask.cluster.desired import children
from dask_k8s_controller.dask.workergroup.desired import Desired
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.signing_key import SigningKey
from dask_k8s_crds import DaskCluster, DaskWorkerGroup, labels, names
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS, SECRETS, SERVICES
from dask_k8s_crds.updates import UpdateStrategy

from .agents import Agents
from .faults import Faults, ModelApi
from .model import VIRTUAL_TIME, Model, VirtualClock, owners

pytestmark = [VIRTUAL_TIME, pytest.mark.usefixtures("virtual_time")]
SETTINGS = Settings(namespaces=("ns",))
CLUSTER = Key(DASK_CLUSTERS, "ns", "c")
EXTRA = Key(DASK_WORKER_GROUPS, "ns", "c-extra")
KEY = Key(SECRETS, "home", names.AGENT_KEY)
DEFAULT = Key(DASK_WORKER_GROUPS, "ns", "c-default")
MEMORY = 20.0
"""For so many seconds, the controller may still act on an earlier number of replicas."""


def living(body):
    return "deletionTimestamp" not in body["metadata"] and body["status"]["phase"] in {"Pending", "Running"}


def component(body):
    return body["metadata"]["labels"][labels.COMPONENT]


def like(body):
    """What an object and its like have in common: with the digest of what it is made from."""
    metadata = body["metadata"]
    own = {key: value for key, value in metadata["annotations"].items() if key != labels.FAILURES}
    return metadata["labels"], own


def template(command):
    return {"containers": [{"name": command, "args": ["dask", command]}]}


class Simulation:
    """A model with a cluster's users, and controllers that come and go."""

    def __init__(self, seed, faults):
        self.random = Random(seed)
        self.model = Model(self.random, self.check)
        self.api = ModelApi(self.model, faults)
        self.agents = Agents(self.random, silent=faults.lost, slow=3.0)
        self.replicas = defaultdict(list)
        self.controllers = []
        self.overlap = False
        self.broken = []
        self.companions = set()

    async def begin(self):
        operator = Operator(
            self.api,
            [plugin.PLUGIN],
            SETTINGS,
            SigningKey(self.api, KEY),
            self.agents,
            clock=VirtualClock(),
            random=self.random,
        )
        self.controllers.append(asyncio.create_task(operator.run()))

    async def kill(self):
        controller = self.controllers.pop(0)
        controller.cancel()
        await asyncio.wait([controller])

    async def restart(self):
        """A controller makes way for another, with a pause between them or a while together."""
        pause = self.random.uniform(-20, 5) if self.overlap else self.random.uniform(0, 5)
        for act in (self.kill, self.begin) if pause > 0 else (self.begin, self.kill):
            await act()
            await asyncio.sleep(abs(pause))

    def check(self, key):
        """What must hold after every change."""
        body = self.model.objects.get(key)
        if key.resource == DASK_WORKER_GROUPS and body:
            change = (asyncio.get_running_loop().time(), body["spec"]["worker"]["replicas"])
            self.replicas[body["metadata"]["uid"]].append(change)
        if CLUSTER in self.model.objects and EXTRA in self.model.objects:
            group, cluster = (self.model.objects[key]["metadata"]["uid"] for key in (EXTRA, CLUSTER))
            self.companions.add((group, cluster))
        if (
            key == EXTRA
            and body
            and not all((body["metadata"]["uid"], uid) in self.companions for uid in owners(body))
        ):
            self.broken.append(f"{key} is adopted by a cluster that was gone before it came\n{self.story()}")
        if key.resource == PODS and self.model.history[-1][1] == "ADDED":
            self.check_pods(*owners(body))

    def check_pods(self, owner):
        """Nothing is made where there is enough, apart from what is on its way out."""
        pods = [body for body in self.model.all(PODS) if owner in owners(body)]
        alive = [body for body in pods if living(body) and body["metadata"]["uid"] not in self.api.let_go]
        allowed = 1 if component(pods[0]) == "scheduler" else self.allowed(owner)
        if len(alive) > allowed:
            self.broken.append(f"{len(alive)} pods of {owner}, allowed {allowed}\n{self.story()}")

    def allowed(self, uid):
        changes = self.replicas[uid]
        since = asyncio.get_running_loop().time() - MEMORY
        before = [replicas for time, replicas in changes if time < since][-1:]
        most = max([*before, *(replicas for time, replicas in changes if time >= since)])
        return most + UpdateStrategy().surge(most)

    def story(self):
        """The last changes, for the person who has to find out."""
        return "\n".join(f"{version} {kind} {key}" for version, kind, key, _ in self.model.history[-60:])

    def make(self, replicas):
        worker = {"replicas": replicas, "spec": template("worker")}
        scheduler = {"spec": template("scheduler"), "service": {"ports": []}}
        body = {
            "apiVersion": DASK_CLUSTERS.api_version,
            "kind": DASK_CLUSTERS.kind,
            "metadata": {"name": CLUSTER.name, "namespace": "ns"},
            "spec": {"scheduler": scheduler, "worker": worker},
        }
        self.model.create(CLUSTER, body)

    def make_group(self, replicas):
        worker = {"replicas": replicas, "spec": template("worker")}
        body = {
            "apiVersion": DASK_WORKER_GROUPS.api_version,
            "kind": DASK_WORKER_GROUPS.kind,
            "metadata": {"name": EXTRA.name, "namespace": "ns"},
            "spec": {"cluster": CLUSTER.name, "worker": worker},
        }
        self.model.create(EXTRA, body)

    def scale(self, key):
        if key in self.model.objects:
            self.model.patch(key, {"spec": {"worker": {"replicas": self.random.randrange(8)}}})

    def edit(self):
        """A user changes a template, labels, or the service, or suspends the cluster."""
        target, role = self.random.choice([(CLUSTER, "worker"), (CLUSTER, "scheduler"), (EXTRA, "worker")])
        if target not in self.model.objects:
            return
        variant = str(self.random.randrange(3))
        change = self.random.choice(
            [
                {"spec": {role: {"spec": {"priorityClassName": variant}}}},
                {"spec": {role: {"spec": {"priorityClassName": None}}}},
                {"spec": {role: {"metadata": {"labels": {"variant": variant}}}}},
                {"spec": {role: {"metadata": {"labels": None}}}},
                {"metadata": {"labels": {f"variant-{variant}": variant}}},
                {"spec": {"updateStrategy": {"type": self.random.choice(["RollingUpdate", "Recreate"])}}},
                *([{"spec": {"suspend": True}}, {"spec": {"suspend": False}}] * (target == CLUSTER)),
                *(
                    [{"spec": {role: {"service": {"ports": [{"port": int(variant) + 1}]}}}}]
                    * (role == "scheduler")
                ),
            ]
        )
        self.model.patch(target, change)

    def something_happens_to_a_pod(self):
        pods = sorted(key for key in self.model.objects if key.resource == PODS)
        if pods:
            happens = self.random.choice([self.model.delete, self.model.vanish, self.model.fail])
            happens(self.random.choice(pods))

    async def something_happens(self):
        """One thing that a user, a node or a platform does."""
        match self.random.randrange(12):
            case 0 | 1:
                self.scale(CLUSTER)
            case 2:
                self.scale(DEFAULT)
            case 3:
                self.scale(EXTRA) if EXTRA in self.model.objects else self.make_group(
                    self.random.randrange(4)
                )
            case 4 | 5 | 6:
                self.something_happens_to_a_pod()
            case 7:
                await self.restart()
            case 8:
                target = self.random.choice([EXTRA, DEFAULT, Key(SERVICES, "ns", "c-scheduler"), CLUSTER])
                self.model.vanish(target)
                if CLUSTER not in self.model.objects:
                    self.make(self.random.randrange(6))
            case 9 | 10 | 11:
                self.edit()
        await asyncio.sleep(self.random.choice([0, 0.02, 1, 5, 40]) * self.random.random())

    def settled(self):
        """Compare the world with the specs, object by object."""
        expected, found = [], []
        runs = not self.model.objects[CLUSTER]["spec"].get("suspend", False)
        for key in (DEFAULT, EXTRA):
            if key in self.model.objects:
                body = self.model.objects[key]
                expected += [(key.name, body["metadata"]["uid"])] * body["spec"]["worker"]["replicas"] * runs
        cluster = self.model.objects[CLUSTER]["metadata"]["uid"]
        expected += [("c", cluster)] * runs
        assert self.model.objects[CLUSTER]["status"]["phase"] == ("Running" if runs else "Suspended")
        for body in self.model.all(PODS):
            [owner] = body["metadata"]["ownerReferences"]
            assert living(body)
            found.append((owner["name"], owner["uid"]))
        assert sorted(found) == sorted(expected)
        [service] = self.model.all(SERVICES)
        assert service["metadata"]["ownerReferences"][0]["uid"] == cluster
        for key in (DEFAULT, *([EXTRA] if EXTRA in self.model.objects else [])):
            body = self.model.objects[key]
            assert body["metadata"]["ownerReferences"][0]["uid"] == cluster
            replicas = body["spec"]["worker"]["replicas"] * runs
            status = body["status"]
            assert (status["replicas"], status["readyReplicas"], status["retiring"]) == (
                replicas,
                replicas,
                0,
            )
            assert status["updatedReplicas"] == replicas
            held = {each["type"]: each["status"] for each in status["conditions"]}
            assert held == {"Ready": str(runs), "Progressing": "False", "Degraded": "False"}
        self.as_new()

    def as_new(self):
        """Every child is as one that is made now from the same spec, apart from names and times."""
        parsed = DaskCluster.parse(self.model.objects[CLUSTER])
        fresh = children(parsed, token="token")
        [service] = self.model.all(SERVICES)
        assert like(service) == like(fresh.service)
        assert service["spec"] == fresh.service["spec"]
        assert like(self.model.objects[DEFAULT]) == like(fresh.default_group)
        made_from = {**self.model.objects[DEFAULT]["spec"]["worker"], "replicas": 0}
        assert made_from == {**fresh.default_group["spec"]["worker"], "replicas": 0}
        examples = {parsed.metadata.uid: fresh.scheduler}
        for key in (DEFAULT, EXTRA):
            if key in self.model.objects:
                group = DaskWorkerGroup.parse(self.model.objects[key])
                examples[group.metadata.uid] = Desired(group, parsed, SETTINGS.cluster_domain).pod
        for pod in self.model.all(PODS):
            [owner] = owners(pod)
            assert like(pod) == like(examples[owner])


FAULTS = {
    "calm": Faults(),
    "stale": Faults(lag=5.0),
    "lost": Faults(lost=0.1, cut=0.05),
    "unanswered": Faults(unanswered=0.2),
    "refused": Faults(refused=0.2),
    "all at once": Faults(lost=0.1, unanswered=0.1, refused=0.1, latency=1.0, lag=2.0, cut=0.05),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
async def test_random_history(seed, faults):
    simulation = Simulation(seed, faults)
    simulation.make(3)
    await simulation.begin()
    for _ in range(40):
        await simulation.something_happens()
        assert not simulation.broken, simulation.broken[0]
    simulation.api.calm()
    await asyncio.sleep(120)
    simulation.settled()
    writes = simulation.api.writes
    await asyncio.sleep(1000)
    assert simulation.api.writes == writes
    await simulation.kill()


@pytest.mark.parametrize("seed", range(8))
async def test_hand_over(seed):
    simulation = Simulation(seed, Faults())
    simulation.overlap = True
    simulation.make(3)
    await simulation.begin()
    for _ in range(40):
        await simulation.something_happens()
        assert not simulation.broken, simulation.broken[0]
    await asyncio.sleep(120)
    simulation.settled()
    await simulation.kill()


class Asked(Simulation):
    """Workers come and go: none that runs goes unasked, whatever the cache shows."""

    going = frozenset()

    def roll_out(self, key):
        variant = str(self.random.randrange(3))
        self.model.patch(key, {"spec": {"worker": {"spec": {"priorityClassName": variant}}}})

    def check(self, key):
        super().check(key)
        pods = {body["metadata"]["name"]: body for body in self.model.all(PODS)}
        going = {name for name, body in pods.items() if "deletionTimestamp" in body["metadata"]}
        for name in going - self.going - self.agents.ends.keys():
            if pods[name]["status"]["phase"] == "Running":
                self.broken.append(f"{name} runs and goes unasked\n{self.story()}")
        self.going = going
        self.agents.ends = {name: end for name, end in self.agents.ends.items() if name in pods}


@pytest.mark.parametrize("seed", range(3))
async def test_who_runs_is_asked(seed):
    simulation = Asked(seed, Faults(lag=5.0))
    simulation.make(3)
    await simulation.begin()
    await asyncio.sleep(60)
    for _ in range(60):
        simulation.random.choice([simulation.scale, simulation.roll_out])(CLUSTER)
        await asyncio.sleep(simulation.random.uniform(0, 12))
    assert not simulation.broken, simulation.broken[0]
    simulation.api.calm()
    await asyncio.sleep(120)
    simulation.settled()
    await simulation.kill()
