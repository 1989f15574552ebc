"""Agents and controllers of different versions."""

import json
from pathlib import Path

RECORDED = Path(__file__).parents[1] / "recorded_answers"
OPEN = ("resources", "asked", "busy", "stuck")
"""Fields with names that users choose."""


def fields(value, path=""):
    """All fields of an answer by their path; elements of lists have the same path."""
    if isinstance(value, dict) and not path.endswith(OPEN):
        return {path}.union(*(fields(each, f"{path}.{name}") for name, each in value.items()))
    return {path}.union(*(fields(each, path) for each in value)) if isinstance(value, list) else {path}


async def test_fields_are_only_added(dask):
    await dask.workers("plain", "gpu", resources={"GPU": 1})
    await dask.run("waits = client.submit(int, 1, resources={'FPGA': 1})")
    demand = await dask.until("demand", lambda demand: demand["waiting"])
    answers = {"demand": demand, "idle": await dask.get("idle"), "retire": await dask.retire(["plain"], 1)}
    answers["known"] = (await dask.ask("POST", "known", json={"pods": {"gpu": ""}}))[1]
    for file in RECORDED.glob("*.json"):
        assert fields(json.loads(file.read_text())) <= fields(answers), file.stem


async def test_unknown_fields_of_a_question_are_ignored(dask):
    await dask.workers("a")
    status, answer = await dask.ask("POST", "known", json={"pods": {"a": ""}, "added": {"in": ["later"]}})
    assert (status, answer) == (200, {"known": ["a"]})
