"""What the controller makes of a scheduler's answers, and of a missing answer."""

import asyncio
import pickle
from dataclasses import replace

import orjson
import pytest
from aiohttp import web

from dask_k8s_controller.dask.scheduler import agent_client
from dask_k8s_controller.dask.scheduler.agent_client import (
    BASE,
    LARGEST_ANSWER,
    AgentEndpoint,
    Agents,
    Successors,
)
from dask_k8s_controller.dask.scheduler.answers import AgentError, Demand, Load, Waiting
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_crds import names
from dask_k8s_crds.resources import PODS

from .builders import LOAD

POD = Key(PODS, "ns", "c-scheduler")

DEMAND = {
    "target_duration": 5,
    "idle_seconds": None,
    "loads": [LOAD],
    "waiting": [{"resources": {}, "tasks": 4, "seconds": 2.0}],
    "of a later release": True,
}


SUCCESSORS = Successors(2, 300.0)


class Bomb:
    def __reduce__(self):
        return (print, ("exploded",))


@pytest.fixture
async def agents():
    async with Agents() as agents:
        yield agents


BOTH_FAMILIES = pytest.mark.parametrize(
    "scheduler", ["127.0.0.1", "::1"], ids=["IPv4", "IPv6"], indirect=True
)


@pytest.fixture
async def scheduler(request):
    """A scheduler with prepared answers, which records what it was asked."""
    asked = []
    answers = {}

    async def handle(request):
        asked.append(
            (request.method, request.path, request.headers.get("Authorization"), await request.read())
        )
        answer = answers.get((request.method, request.path), web.Response(status=404))
        answer = answer.pop(0) if isinstance(answer, list) else answer
        if callable(answer):
            return await answer(request)
        return answer if isinstance(answer, web.Response) else web.json_response(answer)

    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, getattr(request, "param", "127.0.0.1"), 0).start()
    host, port = runner.addresses[0][:2]
    yield AgentEndpoint(POD, names.host_port(host, port), "s3cret"), answers, asked
    await runner.cleanup()


@BOTH_FAMILIES
async def test_demand(agents, scheduler):
    endpoint, answers, asked = scheduler
    answers["GET", f"{BASE}/demand"] = DEMAND
    found = await agents.at(endpoint).demand()
    assert found == Demand(
        target_duration=5.0,
        idle_seconds=None,
        loads=(Load(**LOAD),),
        waiting=(Waiting(resources={}, tasks=4, seconds=2.0),),
    )
    assert asked == [("GET", f"{BASE}/demand", "Bearer s3cret", b"")]


@pytest.mark.parametrize(
    "answer, seconds", [({"idle_seconds": None}, None), ({"idle_seconds": 3}, 3.0)], ids=["busy", "idle"]
)
async def test_idle(agents, scheduler, answer, seconds):
    endpoint, answers, _ = scheduler
    answers["GET", f"{BASE}/idle"] = answer
    assert await agents.at(endpoint).idle() == seconds


@BOTH_FAMILIES
async def test_retire(agents, scheduler):
    endpoint, answers, asked = scheduler
    states = {"gone": ["a"], "retiring": ["b"], "stuck": {"c": "why"}, "waiting": ["d"]}
    answers["POST", f"{BASE}/retire"] = states
    found = await agents.at(endpoint).retire({"a": "10.0.0.1", "b": "", "c": "", "d": ""}, 3, SUCCESSORS)
    assert (found.gone, found.retiring, found.stuck) == ({"a"}, {"b"}, {"c": "why"})
    assert found.waiting == {"d"}
    question = orjson.loads(asked[0][3])
    assert (question["pods"], question["count"]) == ({"a": "10.0.0.1", "b": "", "c": "", "d": ""}, 3)
    assert question["successors"] == {"count": 2, "seconds": 300.0}


async def test_known(agents, scheduler):
    endpoint, answers, asked = scheduler
    answers["POST", f"{BASE}/known"] = {"known": ["a", "other"]}
    assert await agents.at(endpoint).known({"a": "10.0.0.1", "b": ""}) == {"a"}
    assert orjson.loads(asked[0][3]) == {"pods": {"a": "10.0.0.1", "b": ""}}


async def test_left(agents, scheduler):
    endpoint, answers, asked = scheduler
    answers["POST", f"{BASE}/left"] = {"left": {"a": 2, "other": 1}}
    assert await agents.at(endpoint).left({"a": "10.0.0.1", "b": ""}) == {"a": 2.0}
    assert orjson.loads(asked[0][3]) == {"pods": {"a": "10.0.0.1", "b": ""}}


async def test_agents_of_the_first_version_understand_questions_about_pods_of_two_families(agents, scheduler):
    endpoint, answers, asked = scheduler
    answers["POST", f"{BASE}/known"] = {"known": ["a"]}
    await agents.at(endpoint).known({"a": "10.0.0.1,fd00::1", "b": "fd00::2", "c": ""})
    question = {"pods": {"a": "10.0.0.1", "b": "fd00::2", "c": ""}, "ips": {"a": "10.0.0.1,fd00::1"}}
    assert orjson.loads(asked[0][3]) == question


@pytest.mark.parametrize(
    "address, ips",
    [
        pytest.param("tcp://10.0.0.2:1", "10.0.0.2", id="IPv4"),
        pytest.param("tcp://[fd00::2]:1", "fd00::2", id="IPv6"),
        pytest.param("tls://[FD00:0:0::2]:1", "fd00::2", id="another form"),
        pytest.param("tcp://[fe80::2%eth0]:1", "fe80::2", id="a scope"),
        pytest.param("tcp://[::ffff:10.0.0.2]:1", "10.0.0.2", id="IPv4 in IPv6"),
        pytest.param("tcp://10.0.0.2:1", "fd00::2,10.0.0.2", id="the second of two families"),
        pytest.param("tcp://[fd00::2]:1", "10.0.0.2,fd00::2", id="the other way round"),
    ],
)
async def test_known_where_there_is_no_agent(agents, scheduler, address, ips):
    endpoint, answers, _ = scheduler
    workers = [{"name": "a", "address": "tcp://10.0.0.1:1"}, {"name": 7, "address": address}]
    workers += [{"name": "", "address": text} for text in ("", "inproc://1/2", "[", "tcp://c:1", "10.0.0.3")]
    answers["GET", "/api/v1/get_workers"] = {"workers": workers}
    pods = {"a": "", "b": ips, "c": "10.0.0.30", "d": "10.0.0.4", "e": "10.0.0.4"}
    assert await agents.at(endpoint).known(pods) == {"a", "b"}


async def test_a_scheduler_has_no_say_in_pods_that_it_was_not_asked_about(agents, scheduler):
    endpoint, answers, _ = scheduler
    states = {"gone": ["a", "other"], "retiring": ["x"], "stuck": {"y": ""}, "waiting": ["z"]}
    answers["POST", f"{BASE}/retire"] = states
    found = await agents.at(endpoint).retire({"a": ""}, 1, SUCCESSORS)
    assert (found.gone, found.retiring, found.stuck) == ({"a"}, frozenset(), {})
    assert not found.waiting


@pytest.mark.parametrize(
    "answer, reason, message",
    [
        pytest.param(web.Response(status=401), "Unauthorized", "refuses the token", id="wrong token"),
        pytest.param(web.Response(status=404), "AgentMissing", "not there", id="no agent"),
        pytest.param(web.Response(status=500, text="oh"), "BadAnswer", "status 500", id="an internal error"),
        pytest.param(
            web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}),
            "BadAnswer",
            "status 302",
            id="a redirect",
        ),
        pytest.param(web.Response(text="<html>"), "BadAnswer", "invalid JSON", id="no JSON"),
        pytest.param(
            web.Response(body=pickle.dumps(Bomb())), "BadAnswer", "invalid JSON", id="a pickle bomb"
        ),
        pytest.param([[1, 2]], "BadAnswer", "the answer: ", id="no object"),
        pytest.param(
            web.json_response({**DEMAND, "target_duration": 0}), "BadAnswer", "target_duration", id="zero"
        ),
        pytest.param(
            web.Response(text=orjson.dumps(DEMAND).decode().replace("1.5", "1e999")),
            "BadAnswer",
            "the answer: invalid JSON",
            id="infinite",
        ),
        pytest.param(
            web.json_response({**DEMAND, "loads": [{**LOAD, "workers": -1}]}),
            "BadAnswer",
            "loads.0.workers",
            id="negative",
        ),
        pytest.param(
            web.json_response({**DEMAND, "loads": [{**LOAD, "workers": "2"}]}),
            "BadAnswer",
            "loads.0.workers",
            id="text for a number",
        ),
        pytest.param(
            web.Response(body=b" " * (LARGEST_ANSWER + 1)), "BadAnswer", "more than", id="without end"
        ),
    ],
)
async def test_bad_answers(agents, scheduler, capfd, answer, reason, message):
    endpoint, answers, _ = scheduler
    answers["GET", f"{BASE}/demand"] = answer
    with pytest.raises(AgentError, match=message) as raised:
        await agents.at(endpoint).demand()
    assert raised.value.reason == reason
    assert f"scheduler pod c-scheduler at {endpoint.address}: " in raised.value.message
    assert "s3cret" not in str(raised.value)
    assert "exploded" not in capfd.readouterr().out


async def test_a_scheduler_that_is_not_there_is_left_alone_for_a_while(agents):
    endpoint = AgentEndpoint(POD, "127.0.0.1:1", "s3cret")
    with pytest.raises(AgentError) as first:
        await agents.at(endpoint).idle()
    with pytest.raises(AgentError) as second:
        await agents.at(endpoint).idle()
    assert first.value.reason == "SchedulerUnreachable"
    assert second.value is first.value


async def test_a_silent_scheduler(agents, scheduler, monkeypatch):
    monkeypatch.setattr(agent_client, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(agent_client, "REST_SECONDS", 0.0)
    endpoint, answers, _ = scheduler
    answered = asyncio.Event()

    async def late(_):
        await answered.wait()
        return web.json_response({"idle_seconds": None})

    answers["GET", f"{BASE}/idle"] = late
    with pytest.raises(AgentError) as raised:
        await agents.at(endpoint).idle()
    assert raised.value.reason == "SchedulerSilent"
    answered.set()
    assert await agents.at(endpoint).idle() is None


def worker(name, address):
    return {"name": name, "address": address}


WORKERS = "/api/v1/get_workers"
BY_NAME, BY_HOST, NUMBERED = (
    worker("a", "tcp://10.0.0.9:1"),
    worker(7, "tcp://10.0.0.2:2"),
    worker("c-0", "x:3"),
)


@pytest.mark.parametrize(
    "before, after, count, gone, stuck, asked_for",
    [
        pytest.param([BY_NAME], [], 1, {"b"}, [], None, id="a pod without a worker first: nothing to move"),
        pytest.param([BY_NAME, BY_HOST], [BY_HOST], 2, {"a", "c"}, [], ["tcp://10.0.0.9:1"], id="by name"),
        pytest.param(
            [BY_NAME, BY_HOST, NUMBERED],
            [BY_NAME],
            3,
            {"b", "c"},
            ["a"],
            ["tcp://10.0.0.9:1", "tcp://10.0.0.2:2", "x:3"],
            id="by host and number; the data of one cannot be moved",
        ),
    ],
)
async def test_without_an_agent_by_the_api_of_dask(
    agents, scheduler, before, after, count, gone, stuck, asked_for
):
    endpoint, answers, asked = scheduler
    answers["GET", WORKERS] = [{"workers": before}, {"workers": after}]
    answers["POST", "/api/v1/retire_workers"] = {}
    found = await agents.at(endpoint).retire(
        {"a": "10.0.0.1", "b": "10.0.0.2", "c": "10.0.0.3"}, count, SUCCESSORS
    )
    assert found.gone == gone
    assert list(found.stuck) == stuck
    bodies = [orjson.loads(body) for _, path, _, body in asked if path.endswith("retire_workers")]
    assert bodies == ([{"workers": asked_for}] if asked_for else [])


async def test_without_any_route_it_says_so(agents, scheduler):
    endpoint, _, _ = scheduler
    with pytest.raises(AgentError) as raised:
        await agents.at(endpoint).retire({"a": ""}, 1, SUCCESSORS)
    assert raised.value.reason == "AgentMissing"


async def test_a_controller_that_leads_no_more_while_it_connects_retires_nobody(
    agents, scheduler, slow_connections
):
    endpoint, answers, asked = scheduler
    answers["POST", f"{BASE}/retire"] = {"gone": ["w"], "retiring": [], "stuck": {}}
    retirement = asyncio.create_task(agents.at(endpoint).retire({"w": "10.0.0.1"}, 1, SUCCESSORS))
    await slow_connections.connected.wait()
    agents.may_send = lambda: False
    slow_connections.go_on.set()
    with pytest.raises(AgentError, match="another controller may lead"):
        await retirement
    assert asked == []


async def test_schedulers_that_hang_in_one_namespace_do_not_delay_another(agents, scheduler, monkeypatch):
    endpoint, answers, _ = scheduler
    monkeypatch.setattr(agents.throttle, "slots", 4)
    monkeypatch.setattr(agent_client, "ANSWER_SECONDS", 0.5)
    hang = asyncio.Event()

    async def wait(_):
        await hang.wait()
        return web.json_response({"idle_seconds": None})

    answers["GET", f"{BASE}/idle"] = wait
    answers["GET", f"{BASE}/demand"] = DEMAND
    hanging = [
        replace(endpoint, pod=Key(PODS, "many", f"c{number}-scheduler"), token=str(number))
        for number in range(40)
    ]
    waiting = [asyncio.create_task(agents.at(each).idle()) for each in hanging]
    await asyncio.sleep(0)
    asked = asyncio.create_task(agents.at(endpoint).demand())
    done, _ = await asyncio.wait([asked, *waiting], return_when=asyncio.FIRST_COMPLETED)
    assert done
    # It has the first slot that becomes free, although 36 others have waited for longer.
    assert await asked
    assert sum(task.done() for task in waiting) <= 4
    hang.set()
    await asyncio.gather(*waiting, return_exceptions=True)
