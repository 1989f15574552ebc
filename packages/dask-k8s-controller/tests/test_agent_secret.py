"""The Secret with a scheduler's agent: it is there before the scheduler, and nobody has to read it."""

import pytest

from dask_k8s_controller.dask.cluster.agent import REPLACE_SECONDS
from dask_k8s_controller.dask.cluster.desired import agent_secret
from dask_k8s_controller.dask.cluster.observe import Observed
from dask_k8s_controller.dask.cluster.reconcile import reconcile
from dask_k8s_controller.dask.scheduler import agent_delivery
from dask_k8s_controller.dask.scheduler.agent_client import AgentEndpoint, Agents
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.plan import Create, Plan
from dask_k8s_controller.runtime.results import After, WriteError
from dask_k8s_controller.testing import FakeWorld
from dask_k8s_crds import DaskCluster, names
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import DASK_CLUSTERS, PODS, SECRETS

from .builders import NOW, cluster

CLUSTER = Key(DASK_CLUSTERS, "ns", "c")
SCHEDULER = Key(PODS, "ns", "c-scheduler")
STARTS = {"spec": {"nodeName": "n"}, "status": {"phase": "Pending"}}
WAITS = {"status": {"phase": "Pending"}}
RUNS = {"spec": {"nodeName": "n"}, "status": {"phase": "Running"}}


def secret(token="token", version=None):
    file = agent_delivery.digest() if version is None else version
    return Key(SECRETS, "ns", names.agent("c", token=token, file=file))


@pytest.fixture
async def world():
    """A world in which a cluster has just been created."""
    world = FakeWorld(cluster(replicas=0))
    await reconcile(CLUSTER, world)
    return world


async def reconciled(world):
    """What another reconcile writes, apart from the status."""
    before = len(world.writes)
    await reconcile(CLUSTER, world)
    return [write for write in world.writes[before:] if not write.startswith("report")]


def degraded(world):
    found = {each["type"]: each for each in world.objects[CLUSTER]["status"]["conditions"]}["Degraded"]
    return found["reason"], found["message"]


async def test_it_is_created_before_the_scheduler_that_mounts_it(world):
    assert world.writes[:2] == [f"create {secret()}", f"create {SCHEDULER}"]
    *_, volume = world.objects[SCHEDULER]["spec"]["volumes"]
    assert volume["secret"]["secretName"] == secret().name
    made = world.objects[secret()]
    assert made["data"] == agent_delivery.data("token")
    assert made["immutable"] is True
    assert made["metadata"]["ownerReferences"][0]["uid"] == "uid-of-cluster"


async def test_no_scheduler_is_created_that_could_not_mount_it():
    world = FakeWorld(cluster())
    world.refuse = lambda action: (
        ApiError(403, "Forbidden", "exceeded quota: q") if action.key.resource == SECRETS else None
    )
    with pytest.raises(ExceptionGroup):
        await reconcile(CLUSTER, world)
    assert SCHEDULER not in world.objects
    # Everything else is created.
    assert [write for write in world.writes if write.startswith("create")] == [
        "create Service ns/c-scheduler",
        "create DaskWorkerGroup ns/c-default",
    ]
    assert degraded(world) == ("QuotaExceeded", f"create {secret()}: exceeded quota: q")
    world.refuse = lambda _: None
    assert await reconciled(world) == [f"create {secret()}", f"create {SCHEDULER}"]


@pytest.mark.parametrize(
    "pod, created",
    [
        pytest.param(WAITS, False, id="a scheduler without a node: not yet"),
        pytest.param(STARTS, True, id="a scheduler that starts"),
        pytest.param(RUNS, False, id="a scheduler that runs, and has mounted it"),
        pytest.param(RUNS | {"status": {"phase": "Succeeded"}}, False, id="a scheduler that has ended"),
    ],
)
async def test_after_it_was_deleted(world, pod, created):
    world.patch(SCHEDULER, pod)
    world.remove(secret())
    assert await reconciled(world) == [f"create {secret()}"] * created


async def test_it_is_not_created_in_every_turn(world):
    world.patch(SCHEDULER, STARTS)
    assert await reconciled(world) == []
    world.remove(secret())
    assert await reconciled(world) == [f"create {secret()}"]
    assert await reconciled(world) == []


@pytest.mark.parametrize("pod", [WAITS, STARTS], ids=["without a node", "that starts"])
async def test_a_scheduler_that_has_not_run_is_replaced_if_its_token_is_of_the_previous_key(world, pod):
    world.patch(SCHEDULER, pod)
    world.agent_token = lambda _: "of the new key"
    world.advance(1)
    before = len(world.writes)
    assert await reconcile(CLUSTER, world) == After(REPLACE_SECONDS - 1)
    assert not [write for write in world.writes[before:] if not write.startswith("report")]
    world.advance(REPLACE_SECONDS - 1)
    assert await reconciled(world) == [f"delete {SCHEDULER}"]
    assert await reconciled(world) == [f"create {secret('of the new key')}", f"create {SCHEDULER}"]
    assert degraded(world)[0] == "Healthy"


async def test_one_that_has_started_meanwhile_is_not_deleted(world):
    world.patch(SCHEDULER, STARTS)
    world.agent_token = lambda _: "of the new key"
    world.advance(REPLACE_SECONDS)
    world.lagging = True
    world.patch(SCHEDULER, {"status": {"phase": "Running"}})
    await reconcile(CLUSTER, world)
    assert SCHEDULER in world.objects


async def test_a_scheduler_that_runs_stays_and_a_condition_says_what_to_do(world):
    world.patch(SCHEDULER, RUNS)
    assert await reconciled(world) == []
    assert degraded(world)[0] == "Healthy"
    world.agent_token = lambda _: "of the new key"
    assert await reconciled(world) == []
    reason, message = degraded(world)
    assert reason == "AgentTokenOutdated"
    assert message.startswith(
        "pod c-scheduler has a token of another key than the controller's: no worker is "
    )
    assert "until you delete the pod; its tasks and results are lost then" in message
    world.remove(SCHEDULER)
    assert await reconciled(world) == [f"create {secret('of the new key')}", f"create {SCHEDULER}"]
    assert degraded(world)[0] == "Healthy"


@pytest.mark.parametrize("pod", [WAITS, STARTS, RUNS], ids=["without a node", "that starts", "that runs"])
async def test_another_version_of_the_agent_leaves_the_scheduler_alone(world, pod):
    world.patch(SCHEDULER, pod)
    [*others, volume] = world.objects[SCHEDULER]["spec"]["volumes"]
    mounted = {"name": volume["name"], "secret": {"secretName": secret(version="of another version").name}}
    world.patch(SCHEDULER, {"spec": {"volumes": [*others, mounted]}})
    assert await reconciled(world) == []
    assert degraded(world)[0] == "Healthy"


@pytest.mark.parametrize("volumes", [None, [], [{"name": "dask-k8s-agent", "emptyDir": {}}]])
async def test_a_scheduler_without_an_agent_is_left_alone(world, volumes):
    world.patch(SCHEDULER, RUNS)
    world.patch(SCHEDULER, {"spec": {"volumes": volumes}})
    world.agent_token = lambda _: "of the new key"
    assert await reconciled(world) == []
    assert degraded(world)[0] == "Healthy"


def test_no_text_contains_a_token():
    """Not even one for developers."""
    token = "s3cret" * 10
    create = Create(SECRETS, agent_secret(DaskCluster.parse(cluster()), token), named_by_content=True)
    data = create.body["data"]["token"]
    endpoint = AgentEndpoint(Key(PODS, "ns", "c-scheduler"), "127.0.0.1:1", token)
    error = WriteError(create, ApiError(403, "Forbidden", "no"))
    observed = Observed((), token, None, (), frozenset(), NOW)
    plan = Plan(create=(create,))
    for value in (create, plan, error, observed, endpoint, Agents().at(endpoint), endpoint.error("A", "b")):
        for text in (str(value), repr(value)):
            assert token not in text
            assert data not in text
