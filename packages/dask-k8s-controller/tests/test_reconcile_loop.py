"""What follows a reconcile: the next one, a retry with back-off, never the end of others. Time is virtual."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.plan import Create
from dask_k8s_controller.runtime.reconcile_loop import ReconcileLoop
from dask_k8s_controller.runtime.results import After, WriteError
from dask_k8s_controller.runtime.throttle import Throttle
from dask_k8s_controller.runtime.work_queue import WorkQueue
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import PODS

from .builders import pod

pytestmark = pytest.mark.looptime

KEY = Key(PODS, "ns", "a")
REFUSED = ApiError(422, "Invalid", "spec.x: no")
LATER = ApiError(429, "TooManyRequests", "later", retry_after=7.0)
WRITE = WriteError(Create(PODS, pod("p")), LATER)
DEFECT = ValueError("a defect")


async def turns_of(*answers):
    """Reconcile a key with these answers, one per turn; return the times of its turns."""
    times = []
    others = []
    left = list(answers)

    async def reconcile(key, _):
        now = asyncio.get_running_loop().time()
        if key != KEY:
            others.append(now)
            return None
        times.append(now)
        answer = left.pop(0) if left else None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    queue = WorkQueue()
    task = asyncio.create_task(ReconcileLoop(queue, {PODS: reconcile}, None).run())
    queue.put(KEY)
    for _ in range(100):
        queue.put(Key(PODS, "ns", "other"))
        await asyncio.sleep(1)
    assert not task.done()
    task.cancel()
    assert len(others) == 100
    return times


@pytest.mark.parametrize(
    "answers, times",
    [
        pytest.param([None], [0], id="done"),
        pytest.param([After(5.0), After(0.0)], [0, 5, 5.1], id="again after a while, and at once"),
        pytest.param([REFUSED, REFUSED], [0, 0.25, 0.75], id="refused: back-off"),
        pytest.param([LATER], [0, 7], id="the server asked to wait"),
        pytest.param([WRITE], [0, 7], id="a write that the server asked to wait with"),
        pytest.param(
            [ExceptionGroup("", [REFUSED, ExceptionGroup("", [WRITE])])], [0, 7], id="several refused"
        ),
        pytest.param([DEFECT], [0, 0.25], id="a defect of the reconciler"),
        pytest.param([ExceptionGroup("", [WRITE, DEFECT])], [0, 7], id="a refusal and a defect"),
        pytest.param([5.0], [0, 0.25], id="not a valid result"),
    ],
)
async def test_turns(answers, times):
    assert await turns_of(*answers) == times


async def test_refusals_are_logged_in_one_line_and_defects_with_a_traceback(caplog):
    await turns_of(ExceptionGroup("", [REFUSED, WRITE]), DEFECT)
    refused, defect = [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}]
    assert refused.getMessage() == "Pod ns/a: Invalid: spec.x: no (and 1 more); retrying in 7.0 s"
    assert refused.exc_info is None
    assert defect.levelname == "ERROR"
    assert defect.exc_info


async def test_turns_and_failures_are_counted():
    def counted():
        kind = {"kind": "Pod"}
        errors = [{**kind, "cause": cause} for cause in ("api", "defect")]
        samples = [
            ("dask_k8s_reconcile_duration_seconds_count", kind),
            *(("dask_k8s_reconcile_errors_total", labels) for labels in errors),
        ]
        return [REGISTRY.get_sample_value(*sample) or 0 for sample in samples]

    before = counted()
    await turns_of(REFUSED, ExceptionGroup("", [WRITE, DEFECT]), WRITE, None)
    assert [after - known for after, known in zip(counted(), before, strict=True)] == [100 + 4, 2, 1]


async def test_keys_are_reconciled_at_the_same_time_and_each_only_once():
    running = []
    together = 0

    async def reconcile(key, _):
        nonlocal together
        assert key not in running
        running.append(key)
        together = max(together, len(running))
        await asyncio.sleep(1)
        running.remove(key)

    queue = WorkQueue()
    task = asyncio.create_task(ReconcileLoop(queue, {PODS: reconcile}, None).run())
    for _ in range(30):
        for name in "abc":
            queue.put(Key(PODS, "ns", name))
        await asyncio.sleep(0.1)
    assert together == 3
    task.cancel()
    await asyncio.wait([task])
    assert not running or task.cancelled()


async def test_a_key_is_not_delayed_by_others_whose_writes_wait():
    """Nor does its namespace matter. Each of the others has a hundred objects to create, one per second."""
    throttle, ended = Throttle(slots=1, rate=1.0), {}

    async def reconcile(key, _):
        for _ in range(1 if key.name.startswith("small") else 100):
            async with throttle.slot(key):
                pass
        ended[key.namespace] = asyncio.get_running_loop().time()

    queue = WorkQueue()
    task = asyncio.create_task(ReconcileLoop(queue, {PODS: reconcile}, None).run())
    for number in range(400):
        queue.put(Key(PODS, "large", f"large-{number}"))
    await asyncio.sleep(10)
    queue.put(Key(PODS, "small", "small"))
    await asyncio.sleep(10)
    assert ended == {"small": pytest.approx(12, abs=1)}
    queue.put(Key(PODS, "large", "small"))
    await asyncio.sleep(402)  # each of the others may write once before
    assert ended["large"] <= 422
    task.cancel()


async def test_timers_and_others_run_between_the_beginnings_of_many_reconciles():
    begun = 0

    async def reconcile(key, _):
        nonlocal begun
        begun += 1

    queue = WorkQueue()
    for number in range(1000):
        queue.put(Key(PODS, "ns", f"w{number}"))
    task = asyncio.create_task(ReconcileLoop(queue, {PODS: reconcile}, None).run())
    for step in range(500):
        assert begun <= step + 1
        await asyncio.sleep(0)
    assert begun > 400
    task.cancel()


async def test_keys_that_must_not_be_reconciled_are_left_out():
    reconciled = []

    async def reconcile(key, _):
        reconciled.append(key)

    queue, served = WorkQueue(), Key(PODS, "served", "w")
    loop = ReconcileLoop(queue, {PODS: reconcile}, None, lambda key: key.namespace == "served")
    task = asyncio.create_task(loop.run())
    queue.put(KEY)
    queue.put(served)
    await asyncio.sleep(1)
    assert reconciled == [served]
    assert queue.longest_wait() == 0
    task.cancel()
