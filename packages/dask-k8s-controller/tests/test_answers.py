"""Answers of schedulers: what is read, what is refused and why, and that reading is bounded."""

import contextlib
import gc
import json
import time
import tracemalloc
from pathlib import Path

import orjson
import pytest
from hypothesis import assume
from hypothesis import strategies as st

from dask_k8s_controller.dask.scheduler import dask_api, limits
from dask_k8s_controller.dask.scheduler.agent_client import LARGE
from dask_k8s_controller.dask.scheduler.answers import Demand, Idle, Known, Left, Retired

from .builders import LOAD
from .properties import for_all, longest_hold, share

RECORDED = Path(__file__).parent / "recorded_answers"
WAITING = {"resources": {}, "tasks": 4, "seconds": 2.0}
DEMAND = {"target_duration": 5, "idle_seconds": None, "loads": [LOAD], "waiting": [WAITING]}
RETIRED = {"gone": ["a"], "retiring": [], "stuck": {"b": "why"}}
ANSWERS = {
    "demand": (Demand, DEMAND),
    "idle": (Idle, {"idle_seconds": 3.0}),
    "known": (Known, {"known": ["a"]}),
    "left": (Left, {"left": {"a": 1.5}}),
    "retire": (Retired, RETIRED),
    "workers": (dask_api.Workers, {"workers": [{"name": "a", "address": "tcp://10.0.0.1:1"}]}),
}
MOST_SECONDS = 0.05
"""For how long the event loop may pause."""
PODS = 10
"""How many pods the questions are about."""


def read(kind, answer):
    """Read an answer that is valid JSON or a value."""
    body = answer if isinstance(answer, bytes) else orjson.dumps(answer)
    return ANSWERS[kind][0].read(body, PODS)


def names(count, length=1):
    return {f"{n:0{length}}": 1 for n in range(count)}


def demand(**changes):
    """A demand whose only load is changed."""
    return {**DEMAND, "loads": [{**LOAD, **changes}]}


@pytest.mark.parametrize(
    "kind, answer, message",
    [
        pytest.param("demand", {**DEMAND, "loads": [LOAD] * 101}, "loads: .* 100 ", id="loads"),
        pytest.param("demand", {**DEMAND, "waiting": [WAITING] * 101}, "waiting: .* 100 ", id="waiting"),
        pytest.param(
            "demand", demand(resources=names(33)), "loads.0.resources: 33 entries, .*32", id="resources"
        ),
        pytest.param("demand", demand(asked=names(33)), "loads.0.asked: 33 entries", id="asked"),
        pytest.param("demand", demand(busy=names(1001)), "loads.0.busy: 1001 entries, .*1000", id="groups"),
        pytest.param(
            "demand", demand(resources=names(1, 65)), 'loads.0.resources: "0+": .*65 .*64', id="long name"
        ),
        pytest.param("demand", demand(busy=names(1, 64)), "loads.0.busy: .*64 .*63", id="long group"),
        pytest.param("demand", demand(workers=10**18 + 1), "loads.0.workers", id="a large number"),
        pytest.param("demand", demand(occupancy=1.1e18), "loads.0.occupancy", id="a large amount"),
        pytest.param("demand", demand(resources={"a": -1}), "loads.0.resources: a: not a number", id="-1"),
        pytest.param("demand", demand(resources={"a": True}), "loads.0.resources: a", id="a truth value"),
        pytest.param("demand", demand(busy={"a": 1.5}), "loads.0.busy: a: not a whole", id="no count"),
        pytest.param("demand", demand(busy=["a"]), "loads.0.busy: not an object", id="a list"),
        pytest.param("demand", demand(resources=None), "loads.0.resources: not an object", id="nothing"),
        pytest.param("demand", {**DEMAND, "x": [0] * 20_000}, "the answer: .*20000", id="ignored elements"),
        pytest.param("demand", {}, "target_duration: Field required", id="nothing at all"),
        pytest.param("demand", b"[" * 50_000, "the answer: ", id="depth"),
        pytest.param("demand", b'{"target_duration":' + b"9" * 10**6 + b"}", "the answer: ", id="digits"),
        pytest.param("demand", b'{"target_duration": NaN}', "the answer: ", id="NaN"),
        pytest.param("demand", b"\xff", "the answer: ", id="no UTF-8"),
        pytest.param("demand", b"", "the answer: ", id="empty"),
        pytest.param("idle", {"idle_seconds": 1, "x": [0] * 100}, "the answer: .*100", id="idle"),
        pytest.param("known", {"known": ["a"] * 111}, "the answer: .*110", id="more than asked for"),
        pytest.param("known", {"known": ["a", 1]}, "known.1: ", id="no name"),
        pytest.param("known", {"known": ["a" * 254]}, "known.0: .*253", id="a long name"),
        pytest.param("left", {"left": names(111)}, "the answer: .*110", id="many that left"),
        pytest.param("left", {"left": {"a": -1}}, "left: a: not a number", id="will leave"),
        pytest.param("left", {"left": {"a" * 254: 1}}, "left: .*254", id="a long name that left"),
        pytest.param("retire", {**RETIRED, "gone": ["a"] * 201}, "the answer: .*140", id="many gone"),
        pytest.param("retire", {**RETIRED, "stuck": {"a": 1}}, "stuck: a: not a text", id="no reason"),
        pytest.param("retire", {**RETIRED, "stuck": {"a" * 254: ""}}, "stuck: .*254", id="stuck long name"),
        pytest.param(
            "workers",
            {"workers": [{"name": 1, "address": ""}] * 20_001},
            "workers: .*20000",
            id="workers of Dask's API",
        ),
    ],
)
def test_an_answer_beyond_a_limit_is_refused_with_field_and_limit(kind, answer, message):
    with pytest.raises(ValueError, match=f"^{message}") as raised:
        read(kind, answer)
    assert len(str(raised.value)) < 400


def test_the_largest_answers_that_agents_give_are_read():
    resources = names(limits.RESOURCES, limits.RESOURCE_NAME)
    load = {**LOAD, "resources": resources, "asked": resources, "busy": names(10, limits.GROUP_NAME)}
    waiting = {**WAITING, "resources": resources}
    largest = {**DEMAND, "loads": [load] * limits.KINDS, "waiting": [waiting] * limits.KINDS}
    body = json.dumps(largest).encode()
    assert len(body) < limits.LARGEST_ANSWER / 4  # each character may be written as six: \\u4e2d
    assert len(read("demand", body).loads) == limits.KINDS
    reason = "it holds actors, which cannot be moved"
    pods = [f"{n:0{limits.POD_NAME}}" for n in range(PODS)]
    assert read("retire", {"gone": [], "retiring": [], "stuck": dict.fromkeys(pods, reason)}).stuck
    assert read("known", {"known": pods}).known == frozenset(pods)
    assert read("left", {"left": dict.fromkeys(pods, 0.5)}).left.keys() == set(pods)


def test_reading_ends_at_the_first_fault():
    body = orjson.dumps({"known": [1] * 10_000})
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"^known\.0: "):
            Known.read(body, 10_000)
        # A report of each fault would take 3 MiB.
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_reasons_are_shown_on_one_line_of_limited_length():
    stuck = read("retire", {**RETIRED, "stuck": {"a": "x" * 5000, "b": "1\n2\x1b"}}).stuck
    assert stuck == {"a": "x" * limits.REASON + "…", "b": "1\ufffd2\ufffd"}


@pytest.mark.parametrize("file", sorted(RECORDED.glob("*.json")), ids=lambda file: file.stem)
def test_answers_of_all_versions_of_the_agent_are_read(file):
    answers = json.loads(file.read_text())
    assert answers.keys() == ANSWERS.keys() - {"workers", "left"}  # later or of Dask
    for kind, answer in answers.items():
        read(kind, answer)


@pytest.mark.parametrize("kind", ANSWERS)
def test_fields_of_later_versions_are_ignored(kind):
    model, answer = ANSWERS[kind]
    added = {**answer, "added": {"in": ["a", "later", "version"]}, "state": "Unheard"}
    for field in ("loads", "waiting"):
        added |= {field: [{**each, "added": 1} for each in answer[field]]} if field in answer else {}
    assert read(kind, added) == model.read(orjson.dumps(answer), PODS)


# --- arbitrary answers ---

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=20,
)


@st.composite
def near_valid(draw, value):
    """A value of which parts are replaced, removed or repeated."""
    match draw(st.integers(0, 12)):
        case 0:
            return draw(JSON)
        case 1:
            return [value] * draw(st.sampled_from([0, 1, 2, 101]))
        case 2:
            return dict.fromkeys(map(str, range(draw(st.sampled_from([1, 33, 1001])))), value)
        case 3:
            return draw(st.sampled_from([-1, 0, 2**53, 2**63, 2**64, 10**400, 1e308, 5e-324, "x" * 10**5]))
    if isinstance(value, dict):
        kept = {name: draw(near_valid(each)) for name, each in value.items() if draw(st.integers(0, 30))}
        return kept | draw(st.dictionaries(st.text(max_size=80), JSON, max_size=2))
    if isinstance(value, list):
        return [draw(near_valid(each)) for each in value] * draw(st.sampled_from([1, 1, 1, 2, 101]))
    return value


def bodies(kind):
    valid = near_valid(ANSWERS[kind][1]).map(lambda value: json.dumps(value).encode())
    cut = st.tuples(valid, st.integers(0, 500)).map(lambda pair: pair[0][: -pair[1]])
    return st.tuples(st.just(kind), valid | cut | st.binary() | JSON.map(lambda it: json.dumps(it).encode()))


@share(0.25)
@for_all(st.sampled_from(sorted(ANSWERS)).flatmap(bodies))
def test_whatever_the_answer_is_it_is_read_or_refused(case):
    kind, body = case
    assume(len(body) <= limits.LARGEST_ANSWER)
    began = time.thread_time()
    try:
        answer = ANSWERS[kind][0].read(body, PODS)
    except ValueError as error:
        message = str(error)
        assert len(message) < 600
        assert message.isprintable()
    else:
        assert len(answer.model_dump_json()) <= 6 * len(body) + 1000
    if time.thread_time() - began > MOST_SECONDS:
        # A large one, and with its checks. The controller reads it in a thread.
        assert len(body) > LARGE
        assert seconds_of_a_pause(kind, body) < MOST_SECONDS


def seconds_of_a_pause(kind, body, pods=PODS):
    """For how long the event loop pauses at most while a thread reads an answer."""

    def read():
        with contextlib.suppress(ValueError):
            ANSWERS[kind][0].read(body, pods)

    gc.disable()  # a full collection takes as long as the other tests have left objects
    try:
        # The shortest of several: other processes slow down this one, also in seconds of the processor.
        found = [longest_hold(read)]
        while len(found) < 20 and min(found) >= MOST_SECONDS:
            found.append(longest_hold(read))
        return min(found)
    finally:
        gc.enable()


def filled(start, element, end):
    """As many elements as an answer may have bytes."""
    return start + element * ((limits.LARGEST_ANSWER - len(start) - len(end)) // len(element)) + end


NAMES = [f"{n:0{limits.POD_NAME}}" for n in range(10_000)]
LARGEST = {
    "many loads": ("demand", {**DEMAND, "loads": [{**LOAD, "busy": names(190, 63)}] * 100}),
    "a long text": ("demand", filled(b'{"target_duration": "', b"x", b'"}')),
    "a long name": ("demand", filled(b'{"loads": [{"resources": {"', b"x", b'": 1}}]}')),
    "a name of escapes": ("demand", filled(b'{"loads": [{"resources": {"', rb"\u0001", b'": 1}}]}')),
    "a long number": ("demand", filled(b'{"target_duration": 0.', b"9", b"}")),
    "ignored texts": ("demand", {**DEMAND, "x": ["\u4e2d" * 60] * 19_000}),
    "ignored names": ("demand", {**DEMAND, "x": names(19_000, 200)}),
    "known pods": ("known", {"known": NAMES}),
    "reasons to stay": ("retire", {**RETIRED, "stuck": dict.fromkeys(NAMES, "\1" * 20)}),
    "workers": ("workers", {"workers": [{"name": f"w{n}", "address": ""} for n in range(20_000)]}),
}


@pytest.mark.parametrize("answer", LARGEST.values(), ids=LARGEST)
def test_no_answer_keeps_the_event_loop_for_long(answer):
    kind, content = answer
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    assert LARGE < len(body) <= limits.LARGEST_ANSWER
    assert seconds_of_a_pause(kind, body, len(NAMES)) < MOST_SECONDS


REPEATED = ["[]", "{}", '"a"', "1.5", "true", '{"resources":[]}', '{"a":{}}', "[[]]", '{"name":[]}', "-1"]


@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("element", REPEATED)
def test_an_answer_that_is_wrong_in_every_element_costs_little_memory(kind, element):
    fields = dict.fromkeys(ANSWERS[kind][0].model_fields)
    count = limits.LARGEST_ANSWER // (len(element) + 1) // 2
    whole = b"[" + b",".join([element.encode()] * count) + b"]"
    entries = b"{" + b",".join(b'"%x":%b' % (n, element.encode()) for n in range(count // 8)) + b"}"
    for field in fields:
        for value in (whole, entries, whole[: len(whole) // count * 900].rpartition(b",")[0] + b"]"):
            body = b'{"%b":%b}' % (field.encode(), value)
            tracemalloc.start()
            try:
                with pytest.raises(ValueError, match=r"\w: "):
                    ANSWERS[kind][0].read(body, PODS)
                assert tracemalloc.get_traced_memory()[1] < 4 * limits.LARGEST_ANSWER
            finally:
                tracemalloc.stop()
