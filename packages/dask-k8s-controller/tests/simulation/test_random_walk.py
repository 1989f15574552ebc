"""After edits, losses and restarts of the controller a cluster is like one that was just made.

The idea is Acto's (Gu et al., SOSP 2023): what a history leads to is compared with a fresh start.
"""

import asyncio
import copy
import difflib
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from random import Random

import pytest

from dask_k8s_crds import labels
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS, SERVICES, Resource

from .line import Line
from .picture import picture
from .scenario import Body, Scene, going, owner, ready, template

pytestmark = pytest.mark.core

STEPS = 500
PAUSE_EVERY = 50
MORE = "c-more"


def fresh_cluster() -> Body:
    def section(command):
        return {"metadata": {"labels": {}, "annotations": {}}, "spec": template(command)}

    service = {"ports": [{"name": "tcp-comm", "port": 8786}, {"name": "http-dashboard", "port": 8787}]}
    return {
        "metadata": {"name": "c", "labels": {}, "annotations": {}},
        "spec": {
            "scheduler": {**section("scheduler"), "service": service},
            "worker": {"replicas": 3, **section("worker")},
        },
    }


def fresh_group() -> Body:
    worker = {"replicas": 2, "spec": template("worker"), "metadata": {"labels": {}, "annotations": {}}}
    return {
        "metadata": {"name": MORE, "labels": {}, "annotations": {}},
        "spec": {"cluster": "c", "worker": worker},
    }


@dataclass
class Wish:
    """What the user wants at present, and how it comes to want something else."""

    random: Random
    cluster: Body = field(default_factory=fresh_cluster)
    group: Body | None = None

    def template(self) -> None:
        """The image, a variable, arguments or resources of a template, set or taken away."""
        container = self._section()["spec"]["containers"][0]
        change = self.random.choice(["image", "env", "args", "resources"])
        if change == "image":
            container["image"] = f"registry.invalid/dask:{self.random.randrange(4)}"
        elif change in container and self.random.random() < 0.4:
            del container[change]
        else:
            number = str(self.random.randrange(9))
            container[change] = {
                "env": [{"name": name, "value": number} for name in self.random.sample("AB", 1)],
                "args": ["dask", "anything", number],
                "resources": {"limits": {"memory": f"{number}Gi"}},
            }[change]

    def several(self) -> None:
        for _ in range(3):
            self.template()

    def tags(self) -> None:
        """A label or an annotation of anything, set or taken away."""
        owners = [self.cluster, self._section(), *filter(None, [self.group])]
        tags = self.random.choice(owners)["metadata"][self.random.choice(["labels", "annotations"])]
        name = f"example.org/{self.random.choice('xyz')}"
        if name in tags and self.random.random() < 0.5:
            del tags[name]
        else:
            tags[name] = self.random.choice("abc")

    def service(self) -> None:
        ports = self.cluster["spec"]["scheduler"]["service"]["ports"]
        port = self.random.choice(ports)
        port["port"] = self.random.choice([8786, 8886, 8986]) + (port["name"] == "http-dashboard")

    def replicas(self) -> None:
        owner = self.random.choice(list(filter(None, [self.cluster, self.group])))
        owner["spec"]["worker"]["replicas"] = self.random.randrange(5)

    def strategy(self) -> None:
        kinds = [
            {"type": "Recreate"},
            {"type": "RollingUpdate", "maxUnavailable": self.random.choice([1, 2, "50%", "100%"])},
        ]
        self.cluster["spec"]["updateStrategy"] = self.random.choice(kinds)

    def suspend(self) -> None:
        self.cluster["spec"]["suspend"] = self.random.random() < 0.5

    def another_group(self) -> None:
        self.group = fresh_group() if self.group is None else None

    def misspell(self) -> None:
        """What only the API server's check of pods finds."""
        self._section()["spec"]["restartPolice"] = "Always"

    def mend(self) -> None:
        for section in self._sections():
            section["spec"].pop("restartPolice", None)

    def _section(self) -> Body:
        return self.random.choice(self._sections())

    def _sections(self) -> list[Body]:
        spec = self.cluster["spec"]
        own = [self.group["spec"]["worker"]] if self.group else []
        return [spec["scheduler"], spec["worker"], *own]


EDITS: dict[Callable[[Wish], None], int] = {
    Wish.template: 8,
    Wish.several: 2,
    Wish.tags: 6,
    Wish.service: 2,
    Wish.replicas: 6,
    Wish.strategy: 2,
    Wish.suspend: 1,
    Wish.another_group: 1,
    Wish.misspell: 1,
    Wish.mend: 3,
}
REFUSED = (
    {"spec": {"worker": {"replicas": -1}}},
    {"spec": {"updateStrategy": {"type": "RollingUpdate", "maxUnavailable": "much"}}},
    {"spec": {"scheduler": {"spec": {"containers": []}}}},
    {"spec": {"worker": None}},
)


@dataclass
class User:
    """Writes wishes into a namespace, and loses things there."""

    scene: Scene
    random: Random

    async def write(self, wish: Wish) -> None:
        await self._put(DASK_CLUSTERS, wish.cluster)
        if wish.group is not None:
            await self._put(DASK_WORKER_GROUPS, wish.group)
        elif (DASK_WORKER_GROUPS, MORE) in self.scene.objects:
            await self._delete(DASK_WORKER_GROUPS, MORE)

    async def _put(self, resource: Resource, desired: Body) -> None:
        """As `kubectl replace` does, again where the controller wrote meanwhile."""
        client, namespace, name = self.scene.client, self.scene.namespace, desired["metadata"]["name"]
        desired = {"apiVersion": resource.api_version, "kind": resource.kind, **copy.deepcopy(desired)}
        while True:
            there = await client.json("GET", resource.path(namespace, name))
            if there is None:
                done = await client.json("POST", resource.path(namespace), desired)
            elif going(there):
                done = await self._delete(resource, name)
                await self.scene.change()
            else:
                metadata = {**there["metadata"], **desired["metadata"]}
                metadata["annotations"] = {**_kept(there), **desired["metadata"]["annotations"]}
                body = {**desired, "metadata": metadata}
                done = await client.json("PUT", resource.path(namespace, name), body)
            if done is not None:
                return

    async def refused(self) -> None:
        path = DASK_CLUSTERS.path(self.scene.namespace, "c")
        headers = {"Content-Type": "application/merge-patch+json"}
        change = self.random.choice(REFUSED)
        async with await self.scene.client.send("PATCH", path, json=change, headers=headers) as answer:
            assert answer.status == 422, change

    async def lose(self) -> str:
        """Delete something of the cluster behind the controller's back; return what."""
        made = [
            (of, name) for of, name in self.scene.objects if of in {PODS, SERVICES} or name == "c-default"
        ]
        if not made:
            return "nothing"
        resource, name = self.random.choice(sorted(made, key=str))
        await self._delete(resource, name)
        return name

    async def _delete(self, resource: Resource, name: str) -> None:
        await self.scene.client.json("DELETE", resource.path(self.scene.namespace, name))


def _kept(body: Body) -> Body:
    """The controller's own book-keeping on a group, which no user takes away."""
    found = body["metadata"].get("annotations") or {}
    return {key: value for key, value in found.items() if key in labels.BOOKKEEPING}


def complete(scene: Scene, wish: Wish) -> bool:
    """Whether a cluster that was just made is all there."""
    spec = wish.cluster["spec"]
    groups = [spec["worker"], *([wish.group["spec"]["worker"]] if wish.group else [])]
    clusters, pods = scene.all(DASK_CLUSTERS), scene.all(PODS)
    if len(clusters) != 1 or len(scene.all(DASK_WORKER_GROUPS)) != len(groups):
        return False
    reporting = [*clusters, *scene.all(DASK_WORKER_GROUPS)]
    if not all(owner(each) for each in reporting[1:]) or any(
        each.get("status", {}).get("observedGeneration") != each["metadata"]["generation"]
        for each in reporting
    ):
        return False
    if spec.get("suspend"):
        return clusters[0]["status"].get("phase") == "Suspended" and not pods
    total = sum(each["replicas"] for each in groups)
    return (
        len(pods) == total + 1
        and all(ready(pod) and not going(pod) for pod in pods)
        and clusters[0]["status"].get("workers") == f"{total}/{total}"
        and clusters[0]["status"].get("readyReplicas") == groups[0]["replicas"]
        and clusters[0]["status"].get("phase") == "Running"
        and len(scene.all(SERVICES)) == 1
        and all(_conditions(each)["Ready"] == "True" for each in reporting)
        and all(_conditions(each)["Progressing"] == "False" for each in reporting)
    )


def _conditions(body: Body) -> dict[str, str]:
    return {each["type"]: each["status"] for each in body["status"]["conditions"]}


async def fresh(stage, namespace: str, wish: Wish) -> dict[str, list[str]]:
    """The picture of a cluster that is made as the wish is now."""
    scene = await stage.scene(namespace)
    async with scene.controller():
        await User(scene, wish.random).write(wish)
        await scene.until(lambda: complete(scene, wish))
        found = picture(scene)
        await scene.client.json("DELETE", DASK_CLUSTERS.path(namespace, "c"))
    return found


def differences(expected: dict[str, list[str]], found: dict[str, list[str]]) -> str:
    lines = (
        (f"{kind}: {line}" for kind, all_ in each.items() for line in all_) for each in (expected, found)
    )
    return "\n".join(difflib.ndiff(*map(list, lines)))


@dataclass
class Walk:
    """A user who edits and loses things while the controller comes and goes."""

    scene: Scene
    random: Random
    wish: Wish
    story: list[str] = field(default_factory=list)
    _controllers: AsyncExitStack | None = None

    async def step(self) -> None:
        """Edit something, and perhaps lose something, with or without a controller."""
        user = User(self.scene, self.random)
        if self._happens(0.1):
            await self.kill()
        edit = self.random.choices(list(EDITS), list(EDITS.values()))[0]
        edit(self.wish)
        self.story.append(edit.__name__)
        await user.write(self.wish)
        if self._happens(0.1):
            await user.refused()
        if self._happens(0.2):
            self.story.append(f"lost: {await user.lose()}")
        if self._happens(0.7):
            await self.start()
        if self._happens(0.5) and self._controllers is not None:
            await moment(self.scene)

    async def start(self) -> None:
        """Have a controller."""
        if self._controllers is None:
            self.story.append("controller")
            self._controllers = AsyncExitStack()
            await self._controllers.enter_async_context(self.scene.controller())

    async def kill(self) -> None:
        """Have none."""
        if self._controllers is not None:
            self.story.append("killed")
            controllers, self._controllers = self._controllers, None
            await controllers.aclose()

    def _happens(self, share: float) -> bool:
        return self.random.random() < share


async def moment(scene: Scene) -> None:
    """Until somebody did something, and not for long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            await scene.change()


@pytest.mark.timeout(600)
@pytest.mark.alone
async def test_random_walk(stage, unique):
    random = Random(2023)
    wish = Wish(random)
    walk = Walk(await stage.scene(unique, Line(late=0.002)), random, wish)
    try:
        for number in range(STEPS // PAUSE_EVERY):
            for _ in range(PAUSE_EVERY):
                await walk.step()
            wish.mend()
            wish.cluster["spec"]["suspend"] = number % 3 == 2  # more often there are pods to compare
            await User(walk.scene, random).write(wish)
            await walk.start()
            expected = await fresh(stage, f"{unique}-{number}", wish)
            try:
                await walk.scene.until(lambda expected=expected: picture(walk.scene) == expected)
            except AssertionError as error:
                different = differences(expected, picture(walk.scene))
                raise AssertionError(f"after {walk.story[-PAUSE_EVERY:]}:\n{different}") from error
            walk.story.append("as fresh")
    finally:
        await walk.kill()
