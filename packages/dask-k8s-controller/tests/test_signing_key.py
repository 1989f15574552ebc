"""The key of agents' tokens: one for all controllers, without the right to read Secrets. Time is virtual."""

import asyncio
import base64
from random import Random

import pytest

from dask_k8s_controller.app.operator import Operator
from dask_k8s_controller.app.settings import Settings
from dask_k8s_controller.dask import plugin
from dask_k8s_controller.runtime.leader_election import Election
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.signing_key import SigningKey
from dask_k8s_crds import names
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import LEASES, SECRETS

from .simulation.faults import Faults, ModelApi
from .simulation.model import Model

pytestmark = pytest.mark.looptime

SECRET = Key(SECRETS, "home", names.AGENT_KEY)


class Server(ModelApi):
    """An API server that lets nobody read Secrets, and raises the errors that a test sets."""

    def __init__(self, faults=None, seed=1):
        super().__init__(Model(Random(seed)), faults or Faults(latency=0.1))
        self.errors = {}
        self.login_problem = ""

    async def get(self, path, **parameters):
        assert "/secrets" not in path
        return await super().get(path, **parameters)

    async def watch(self, path, **parameters):
        assert "/secrets" not in path
        async for event in super().watch(path, **parameters):
            yield event

    async def create(self, path, body):
        if error := self.errors.get("create"):
            raise error
        return await super().create(path, body)

    async def patch(self, path, body):
        if error := self.errors.get("patch"):
            raise error
        return await super().patch(path, body)

    def stored(self):
        return self.model.get(SECRET)


@pytest.fixture
async def server():
    return Server()


async def loaded(server):
    key = SigningKey(server, SECRET)
    await key.load()
    return key


async def test_the_first_creates_it_and_later_ones_read_it(server):
    first = await loaded(server)
    secret = server.stored()
    assert len(base64.b64decode(secret["data"]["key"])) == 32
    assert secret["immutable"] is True
    second = await loaded(server)
    assert first.sign("text") == second.sign("text")
    # Reading it is not a write.
    assert server.stored()["metadata"]["resourceVersion"] == secret["metadata"]["resourceVersion"]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(Faults(), id="calm"),
        pytest.param(Faults(lost=0.3), id="lost"),
        pytest.param(Faults(unanswered=0.3), id="unanswered"),
        pytest.param(Faults(refused=0.3), id="refused"),
    ],
)
async def test_controllers_that_start_at_the_same_time_have_the_same(faults, seed):
    server = Server(faults, seed)
    found = await asyncio.gather(*(loaded(server) for _ in range(5)))
    assert len({key.sign("text") for key in found}) == 1


async def test_after_it_was_deleted_it_stays_in_use_until_a_controller_starts(server):
    running = await loaded(server)
    before = running.sign("text")
    server.model.vanish(SECRET)
    assert running.sign("text") == before
    assert (await loaded(server)).sign("text") != before


async def test_signatures_differ_by_key_and_text(server):
    key, other = await loaded(server), await loaded(Server())
    signatures = {key.sign("a"), key.sign("b"), other.sign("a"), other.sign("b")}
    assert len(signatures) == 4
    assert {len(each) for each in signatures} == {64}


async def test_no_text_contains_it(server, caplog):
    caplog.set_level("DEBUG")
    key = await loaded(server)
    stored = server.stored()["data"]["key"]
    key.api = None
    for text in (repr(key), str(key), caplog.text):
        for secret in (stored, base64.b64decode(stored).hex(), repr(base64.b64decode(stored))):
            assert secret not in text


async def test_nothing_is_signed_without_it(server):
    with pytest.raises(RuntimeError, match=f"the key in the Secret home/{names.AGENT_KEY} is not loaded"):
        SigningKey(server, SECRET).sign("text")


FORBIDDEN = ApiError(403, "Forbidden", 'secrets is forbidden: User "u" cannot create resource "secrets"')
GRANT = (
    'grant the controller the rights to "create" Secrets in the namespace home and to "patch" this one, as '
    'the Role in "dask-k8s-controller manifests --controller-namespace home" does'
)


@pytest.mark.parametrize(
    "verb, error, problem",
    [
        pytest.param("create", FORBIDDEN, GRANT, id="no right to create it"),
        pytest.param("patch", FORBIDDEN, GRANT, id="no right to patch it"),
        pytest.param(
            "create", ApiError(403, "Forbidden", "exceeded quota: q"), "exceeded quota: q", id="a quota"
        ),
        pytest.param(
            "create", ApiError(404, "NotFound", 'namespaces "home" not found'), "not found", id="no namespace"
        ),
    ],
)
async def test_a_problem_is_reported_until_it_is_solved(server, caplog, verb, error, problem):
    if verb == "patch":
        await loaded(server)
    server.errors[verb] = error
    key = SigningKey(server, SECRET)
    loading = asyncio.create_task(key.load())
    await asyncio.sleep(100)
    assert key.problem.startswith(f"cannot create or read the Secret home/{names.AGENT_KEY}: {error}")
    assert key.problem.endswith(problem)
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == [key.problem]
    server.errors.clear()
    await asyncio.wait_for(loading, 60)
    assert not key.problem
    assert key.sign("text")


@pytest.mark.parametrize("data", [None, {}, {"key": ""}, {"key": base64.b64encode(b"short").decode()}])
async def test_one_that_is_unusable_is_not_used(server, data):
    server.model.create(SECRET, {"metadata": {"name": SECRET.name, "namespace": "home"}, "data": data})
    key = SigningKey(server, SECRET)
    loading = asyncio.create_task(key.load())
    await asyncio.sleep(10)
    assert key.problem == (
        f'the Secret home/{names.AGENT_KEY} has no "key" of at least 32 bytes in its data: delete the '
        "Secret, and the controller creates another"
    )
    server.model.vanish(SECRET)
    await asyncio.wait_for(loading, 60)
    assert key.sign("text")


def operator(server, election=None):
    settings = Settings(namespaces=("ns",))
    return Operator(server, [plugin.PLUGIN], settings, SigningKey(server, SECRET), election=election)


async def test_a_controller_is_not_ready_without_it(server):
    server.errors["create"] = FORBIDDEN
    controller = operator(server)
    running = asyncio.create_task(controller.run())
    await asyncio.sleep(10)
    assert not controller.ready.is_set()
    assert controller.unready() == [controller.signing_key.problem]
    assert GRANT in controller.unready()[0]
    server.errors.clear()
    await asyncio.wait_for(controller.ready.wait(), 60)
    assert controller.unready() == []
    running.cancel()


async def test_a_standby_that_begins_to_lead_reads_it_again(server):
    """The leader may have been restarted after the key was replaced."""
    lease = Key(LEASES, "home", "lease")
    await loaded(server)
    holder = {"holderIdentity": "another", "leaseDurationSeconds": 600}
    server.model.create(lease, {"metadata": {"name": "lease", "namespace": "home"}, "spec": holder})
    standby = operator(server, Election(server, lease, on_lost=lambda: None))
    running = asyncio.create_task(standby.run())
    await asyncio.wait_for(standby.ready.wait(), 60)
    server.model.vanish(SECRET)
    leader = await loaded(server)
    assert leader.sign("text") != standby.signing_key.sign("text")
    server.model.patch(lease, {"spec": {"holderIdentity": ""}})
    await asyncio.wait_for(standby.leading.wait(), 60)
    assert leader.sign("text") == standby.signing_key.sign("text")
    running.cancel()
