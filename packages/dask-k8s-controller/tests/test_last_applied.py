"""Edits of existing children: what we changed or removed is patched, what others set stays."""

import pytest

from dask_k8s_controller.dask import last_applied
from dask_k8s_crds import labels


def child(own_labels=(), annotations=(), **sections):
    body = {"metadata": {"labels": dict(own_labels), "annotations": dict(annotations)}}
    last_applied.record(body["metadata"], **sections)
    return body


def patched(before, after):
    """Change a child by hand as others do, then patch it."""
    old = before["metadata"]
    patch = last_applied.metadata_patch(last_applied.recorded(before), after)
    others = {"others": "own"}
    found = {}
    for section in ("labels", "annotations"):
        merged = old[section] | others | patch.get(section, {})
        found[section] = {key: value for key, value in merged.items() if value is not None}
    return found


@pytest.mark.parametrize(
    "before, after",
    [
        pytest.param(child({"a": "1"}), child({"a": "1"}), id="nothing"),
        pytest.param(child({"a": "1"}), child({"a": "2"}), id="a value"),
        pytest.param(child({"a": "1"}), child({"b": "1"}), id="a label for another"),
        pytest.param(child({}, {"a": "1"}), child({}, {}), id="an annotation is removed"),
        pytest.param(child({"a": "1"}, {"a": "1"}), child({"b": "1"}, {"b": "1"}), id="all"),
    ],
)
def test_a_child_becomes_as_it_would_be_created_now(before, after):
    found = patched(before, after)
    for section in ("labels", "annotations"):
        assert found[section] == after["metadata"][section] | {"others": "own"}


def test_a_current_child_is_left_alone():
    assert last_applied.metadata_patch(last_applied.recorded(child({"a": "1"})), child({"a": "1"})) == {}


@pytest.mark.parametrize("before", ["", "nonsense", "[]", '{"labels": 5}', '{"labels": {"keys": ["a"]}}'])
def test_whatever_the_record_says_the_child_is_brought_in_line(before):
    desired = child({"b": "1"})
    patch = last_applied.metadata_patch(before, desired)
    assert patch["labels"] == {"b": "1"} | ({"a": None} if "keys" in before else {})
    assert patch["annotations"][labels.LAST_APPLIED] == last_applied.recorded(desired)


def test_sections_change_one_by_one():
    before = last_applied.recorded(child({"a": "1"}, spec={"x": 1, "y": 2}))
    desired = child({"a": "2"}, spec={"x": 1, "y": 2})
    assert not last_applied.differs(before, desired, "spec")
    desired = child({"a": "1"}, spec={"x": 1})
    assert last_applied.differs(before, desired, "spec")
    assert last_applied.removed_keys(before, desired, "spec") == {"y": None}
    assert set(last_applied.metadata_patch(before, desired)) == {"annotations"}


def test_a_pod_of_an_older_controller_counts_as_up_to_date():
    desired = child({"a": "1"})
    desired["metadata"]["annotations"][labels.TEMPLATE_DIGEST] = "now"
    current = last_applied.recorded(desired)
    assert last_applied.pod_patch(current, "", desired) == {"annotations": {labels.TEMPLATE_DIGEST: "now"}}
    assert last_applied.pod_patch(current, "before", desired) == {}
    assert labels.TEMPLATE_DIGEST not in last_applied.pod_patch("", "before", desired)["annotations"]


@pytest.mark.parametrize(
    "old, new, patch",
    [
        pytest.param({"a": 1}, {"b": 2}, {"a": None, "b": 2}, id="one for another"),
        pytest.param({"a": {"x": 1, "y": 1}}, {"a": {"x": 2}}, {"a": {"x": 2, "y": None}}, id="inside"),
        pytest.param({"a": [1, 2]}, {"a": [2]}, {"a": [2]}, id="lists are one value"),
        pytest.param({"a": 1}, {"a": {"x": 1}}, {"a": {"x": 1}}, id="an object for a value"),
        pytest.param(None, {"a": 1}, {"a": 1}, id="nothing before"),
    ],
)
def test_merge_patch(old, new, patch):
    assert last_applied.merge_patch(old, new) == patch


def test_a_digest_does_not_depend_on_the_order_of_fields():
    assert last_applied.digest({"a": 1, "b": [1, 2]}) == last_applied.digest({"b": [1, 2], "a": 1})
    assert last_applied.digest({"a": [1, 2]}) != last_applied.digest({"a": [2, 1]})


def test_a_pod_whose_record_is_kept_as_a_digest_is_patched_only_if_it_differs():
    many = {f"example.org/label-{at}": "1" for at in range(100)}
    before, same, after = child(many), child(many), child({"a": "1"})
    short = last_applied.short(last_applied.recorded(before), 640)
    assert len(short) < 100
    assert last_applied.metadata_patch(short, same) == {}
    assert last_applied.metadata_patch(short, after)["labels"] == {"a": "1"}


@pytest.mark.parametrize(
    "record",
    [
        pytest.param("[" * 1000, id="deep"),
        pytest.param('{"labels": {"keys": [[], {}, 5]}}', id="keys are no strings"),
        pytest.param('{"labels": {"keys": 5}}', id="keys are a number"),
    ],
)
def test_a_record_of_a_stranger_removes_nothing(record):
    assert last_applied.removed_keys(record, child({"a": "1"}), "labels") == {}
