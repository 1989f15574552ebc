"""JSON that is nested more deeply than orjson reads; the API server stores up to 10,000 levels."""

import json

import orjson
import pytest

from dask_k8s_controller.runtime.decode import MAX_DEPTH, decode, without_deep_values


def nested(levels, inner="0"):
    """Arrays and objects in turn, as JSON."""
    opening = "".join("[" if at % 2 else '{"a": ' for at in range(levels))
    closing = "".join("]" if at % 2 else "}" for at in reversed(range(levels)))
    return f"{opening}{inner}{closing}"


def depth(value):
    levels = 0
    while isinstance(value, dict | list) and value:
        levels += 1
        value = next(iter(value.values() if isinstance(value, dict) else value))
    return levels


@pytest.mark.parametrize("levels", [1, 12, MAX_DEPTH])
def test_what_is_not_too_deep_is_the_same(levels):
    text = nested(levels, '"x"')
    assert decode(text.encode()) == orjson.loads(text)


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 1025, 1100, 9_998, 100_000])
def test_what_is_too_deep_is_null(levels):
    value = decode(nested(levels).encode())
    assert depth(value) == MAX_DEPTH


def test_the_rest_of_a_list_is_read_as_it_is():
    strings = {"quotes": '"[{', "escaped": "\\", "both": '\\"', "unicode": "ü😀]", "empty": ""}
    good = {"metadata": {"name": "good", "annotations": strings}, "spec": {"numbers": [1, 2.5, -3e10]}}
    deep = f'{{"metadata": {{"name": "deep"}}, "spec": {{"x": {nested(2000)}, "y": {nested(1200)}, "z": 1}}}}'
    text = (
        f'{{"items": [{json.dumps(good)}, {deep}, {json.dumps(good, ensure_ascii=False)}], "metadata": {{}}}}'
    )
    value = decode(text.encode())
    assert value["items"][0] == value["items"][2] == good
    assert value["metadata"] == {}
    assert value["items"][1]["metadata"] == {"name": "deep"}
    assert value["items"][1]["spec"]["z"] == 1
    # The list, the items, the item and the spec are four levels.
    assert depth(value["items"][1]["spec"]["x"]) == depth(value["items"][1]["spec"]["y"]) == MAX_DEPTH - 4


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html>", id="no JSON"),
        pytest.param(b'{"items": [', id="cut off"),
        pytest.param(b"[" * 5000, id="deep and cut off"),
        pytest.param(b"]" * 5000 + b"[" * 5000, id="closed before it is opened"),
        pytest.param(b'"' + b"[" * 5000, id="an open string"),
    ],
)
def test_what_is_not_json_is_refused(text):
    with pytest.raises(orjson.JSONDecodeError):
        decode(text)


def test_nothing_is_copied_if_nothing_is_too_deep():
    text = nested(MAX_DEPTH).encode()
    assert without_deep_values(text) is text
