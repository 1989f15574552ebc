"""A write that keeps failing is reported in the status, whatever the code of the answer. Time is virtual."""

import asyncio
from random import Random

import pytest

from dask_k8s_controller.app.operator import Operator
from dask_k8s_controller.app.settings import Settings
from dask_k8s_controller.dask import plugin
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.signing_key import SigningKey
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.names import AGENT_KEY
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS, SECRETS, SERVICES

from .builders import cluster
from .simulation.faults import Faults, ModelApi
from .simulation.model import Model

pytestmark = pytest.mark.looptime

CLUSTER = Key(DASK_CLUSTERS, "ns", "c")
NO_ENDPOINTS = (
    'Internal error occurred: failed calling webhook "services.example.com": no endpoints available for '
    'service "hook"'
)
WEBHOOK = ApiError(500, "InternalError", NO_ENDPOINTS)


class Server(ModelApi):
    """Refuses one kind of write while ``error`` is set."""

    error: ApiError | None = None
    refused = ("create", PODS)
    attempts = 0

    async def _write(self, verb, key, *args, **more):
        is_refused = (verb.__name__, key.resource) == self.refused and not more.get("status")
        if self.error is not None and is_refused:
            self.attempts += 1
            raise self.error
        return await super()._write(verb, key, *args, **more)


class Stand:
    """A controller on an API server in virtual time, and what `Degraded` has shown of each resource."""

    def __init__(self):
        self.model = Model(Random(1), self._changed)
        self.server = Server(self.model, Faults(latency=0.0, lag=0.0))
        key = SigningKey(self.server, Key(SECRETS, "home", AGENT_KEY))
        self.operator = Operator(self.server, [plugin.PLUGIN], Settings(namespaces=("ns",)), key)
        self.shown = {DASK_CLUSTERS: [], DASK_WORKER_GROUPS: []}

    def _changed(self, key):
        conditions = self.model.objects.get(key, {}).get("status", {}).get("conditions", ())
        shown = self.shown.get(key.resource, [])
        shown += [each for each in conditions if each["type"] == "Degraded" and each not in shown[-1:]]

    async def refuse(self, verb, resource, error):
        """Have the controller carry out a write that fails."""
        self.server.refused = (verb, resource)
        if verb == "create":
            self.server.error = error
            self.model.create(CLUSTER, cluster(replicas=2))
            return
        self.model.create(CLUSTER, cluster(replicas=2))
        await asyncio.sleep(60)
        self.server.error = error
        if verb == "patch":
            template = {"metadata": {"labels": {"team": "a"}}}
            self.model.patch(CLUSTER, {"spec": {"scheduler": template, "worker": template}})
        else:
            self.model.patch(CLUSTER, {"spec": {"suspend": True}})

    async def until(self, resource, status, within):
        """Wait for this status of `Degraded`; return the condition."""
        shown, end = self.shown[resource], asyncio.get_running_loop().time() + within
        while not shown or shown[-1]["status"] != status:
            assert asyncio.get_running_loop().time() < end, shown
            await asyncio.sleep(0.05)
        return shown[-1]


@pytest.fixture
async def stand():
    stand = Stand()
    task = asyncio.create_task(stand.operator.run())
    await stand.operator.ready.wait()
    yield stand
    assert not task.done(), task.exception()
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize(
    "error, reason",
    [
        pytest.param(WEBHOOK, "WebhookFailed", id="webhook that is down"),
        pytest.param(ApiError(500, "InternalError", "etcd"), "ApiServerError", id="500"),
        pytest.param(ApiError(502, "Bad Gateway", ""), "ApiServerError", id="proxy"),
        pytest.param(ApiError(503, "ServiceUnavailable", "later"), "ApiServerError", id="503"),
        pytest.param(ApiError(504, "Timeout", "too slow"), "ApiServerError", id="504"),
        pytest.param(ApiError(0, "Timeout", "no answer to POST"), "ApiServerError", id="no answer"),
        pytest.param(ApiError(429, "TooManyRequests", "slow down"), "TooManyRequests", id="429"),
        pytest.param(ApiError(418, "I'm a teapot", "no coffee"), "Refused", id="no CamelCase"),
        pytest.param(ApiError(403, "Forbidden", "no right"), "Forbidden", id="403"),
    ],
)
async def test_whatever_the_code_it_is_reported(stand, error, reason):
    await stand.refuse("create", SERVICES, error)
    shown = await stand.until(DASK_CLUSTERS, "True", within=4)
    assert shown["reason"] == reason
    assert shown["message"] == f"create Service ns/c-scheduler: {error.message}"


@pytest.mark.parametrize(
    "verb, resource, teller",
    [
        pytest.param("create", PODS, DASK_CLUSTERS, id="scheduler pod"),
        pytest.param("create", PODS, DASK_WORKER_GROUPS, id="workers"),
        pytest.param("create", SERVICES, DASK_CLUSTERS, id="service"),
        pytest.param("create", SECRETS, DASK_CLUSTERS, id="secret"),
        pytest.param("create", DASK_WORKER_GROUPS, DASK_CLUSTERS, id="group"),
        pytest.param("patch", SERVICES, DASK_CLUSTERS, id="edit of the service"),
        pytest.param("patch", DASK_WORKER_GROUPS, DASK_CLUSTERS, id="edit of the group"),
        pytest.param("patch", PODS, DASK_WORKER_GROUPS, id="edit of workers"),
        pytest.param("delete", PODS, DASK_WORKER_GROUPS, id="deletion of workers"),
    ],
)
async def test_whatever_the_write_it_is_reported_until_it_succeeds(stand, verb, resource, teller):
    await stand.refuse(verb, resource, WEBHOOK)
    shown = await stand.until(teller, "True", within=3)
    assert shown["reason"] == "WebhookFailed"
    assert shown["message"].startswith(f"{verb} {resource.kind} ns/c-")
    assert shown["message"].endswith(NO_ENDPOINTS)
    number = len(stand.shown[teller])
    await asyncio.sleep(60)
    assert stand.shown[teller][number:] == []
    attempts = stand.server.attempts
    await asyncio.sleep(300)
    assert stand.server.attempts <= attempts + 100, "with back-off"

    stand.server.error = None
    await stand.until(teller, "False", within=40)
    await asyncio.sleep(60)
    assert stand.shown[teller][-1]["status"] == "False"


@pytest.mark.parametrize("status", [0, 429, 500, 503])
async def test_a_failure_that_is_over_in_a_moment_is_not_reported(stand, status):
    await stand.refuse("create", SERVICES, ApiError(status, "", "moment"))
    await asyncio.sleep(1)
    assert stand.server.attempts
    stand.server.error = None
    await asyncio.sleep(60)
    assert {each["status"] for each in stand.shown[DASK_CLUSTERS]} == {"False"}
    assert len(stand.model.all(SERVICES)) == 1


async def test_what_is_no_longer_requested_is_no_trouble(stand):
    await stand.refuse("create", PODS, WEBHOOK)
    await stand.until(DASK_CLUSTERS, "True", within=3)
    await stand.until(DASK_WORKER_GROUPS, "True", within=3)
    stand.model.patch(CLUSTER, {"spec": {"suspend": True}})
    await stand.until(DASK_CLUSTERS, "False", within=10)
    await stand.until(DASK_WORKER_GROUPS, "False", within=10)


async def test_a_deleted_object_leaves_nothing_behind(stand):
    await stand.refuse("create", PODS, WEBHOOK)
    await stand.until(DASK_CLUSTERS, "True", within=3)
    stand.model.delete(CLUSTER)
    await asyncio.sleep(60)
    refusals = stand.operator.loop.world.applier.refusals
    assert refusals._failures == {}  # noqa: SLF001  # memory that would grow has no other sign
