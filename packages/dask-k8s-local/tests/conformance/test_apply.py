"""Server-side apply: field owners, conflicts, and removal of fields that are no longer applied."""

import pytest

from .conftest import config_map, service

pytestmark = pytest.mark.core


@pytest.fixture
def path(api, home, request):
    """The path of a ConfigMap that does not exist."""
    path = f"{home}/configmaps/{request.node.name.replace('_', '-').lower()}"
    api.delete(path)
    return path


def owners(answer):
    return {
        (one["manager"], one["operation"]): one["fieldsV1"]
        for one in answer["metadata"].get("managedFields") or ()
    }


def applied(path, data=None, **metadata):
    return config_map(path.rpartition("/")[2], data, **metadata)


def test_creates(api, path):
    answer = api.apply(path, applied(path, {"a": "1"}, labels={"l": "x"}), "me")
    assert answer.status == 201
    assert owners(answer) == {
        ("me", "Apply"): {"f:data": {"f:a": {}}, "f:metadata": {"f:labels": {"f:l": {}}}}
    }
    again = api.apply(path, applied(path, {"a": "1"}, labels={"l": "x"}), "me")
    assert (again.status, again.version) == (200, answer.version)


def test_conflict(api, path):
    api.apply(path, applied(path, {"a": "1", "b": "1", "c": "1"}), "me")
    answer = api.apply(path, applied(path, {"a": "2"}), "you")
    assert (answer.status, answer["reason"]) == (409, "Conflict")
    assert answer["message"] == 'Apply failed with 1 conflict: conflict with "me": .data.a'
    assert answer.causes == [("FieldManagerConflict", ".data.a", 'conflict with "me"')]
    answer = api.apply(path, applied(path, {"a": "2", "b": "2"}), "you")
    assert answer["message"] == 'Apply failed with 2 conflicts: conflicts with "me":\n- .data.a\n- .data.b'
    assert api.get(path)["data"] == {"a": "1", "b": "1", "c": "1"}


def test_same_value_is_shared(api, path):
    api.apply(path, applied(path, {"a": "1"}), "me")
    answer = api.apply(path, applied(path, {"a": "1"}), "you")
    assert answer.status == 200
    assert owners(answer) == {
        ("me", "Apply"): {"f:data": {"f:a": {}}},
        ("you", "Apply"): {"f:data": {"f:a": {}}},
    }
    api.apply(path, applied(path), "me")
    assert api.get(path)["data"] == {"a": "1"}
    api.apply(path, applied(path), "you")
    assert "data" not in api.get(path).body


def test_force(api, path):
    api.apply(path, applied(path, {"a": "1", "b": "1"}), "me")
    answer = api.apply(path, applied(path, {"a": "2"}), "you", force="true")
    assert answer["data"] == {"a": "2", "b": "1"}
    assert owners(answer) == {
        ("me", "Apply"): {"f:data": {"f:b": {}}},
        ("you", "Apply"): {"f:data": {"f:a": {}}},
    }


def test_what_is_no_longer_applied_goes(api, path):
    api.apply(path, applied(path, {"a": "1", "b": "1"}, labels={"l": "x"}), "me")
    api.patch(path, {"data": {"c": "1"}}, fieldManager="editor")
    answer = api.apply(path, applied(path, {"a": "1"}), "me")
    assert (answer["data"], "labels" in answer["metadata"]) == ({"a": "1", "c": "1"}, False)


def test_updates_own_what_they_change(api, path):
    api.apply(path, applied(path, {"a": "1", "b": "1"}), "me")
    answer = api.patch(path, {"data": {"a": "2", "c": "1"}}, fieldManager="editor")
    assert owners(answer) == {
        ("me", "Apply"): {"f:data": {"f:b": {}}},
        ("editor", "Update"): {"f:data": {"f:a": {}, "f:c": {}}},
    }
    answer = api.apply(path, applied(path, {"a": "1", "b": "1"}), "me")
    assert answer["message"].startswith('Apply failed with 1 conflict: conflict with "editor" using v1')


def test_created_by_post(api, home, path):
    body = applied(path, {"a": "1"}, labels={"l": "x"})
    answer = api.post(f"{home}/configmaps", body, fieldManager="maker")
    assert owners(answer) == {
        ("maker", "Update"): {
            "f:data": {".": {}, "f:a": {}},
            "f:metadata": {"f:labels": {".": {}, "f:l": {}}},
        }
    }
    answer = api.apply(path, applied(path, {"a": "2"}), "me")
    assert answer.status == 409


def test_managed_fields_can_be_forgotten(api, path):
    api.apply(path, applied(path, {"a": "1"}), "me")
    answer = api.patch(path, {"metadata": {"managedFields": [{}]}})
    assert "managedFields" not in answer["metadata"]


def test_lists_are_merged_by_key(api, home):
    path = f"{home}/services/by-key"

    def ports(*ports):
        return service(
            "by-key", ports=[{"port": port, "name": f"p{port}", "protocol": "TCP"} for port in ports]
        )

    answer = api.apply(path, ports(80, 81), "me")
    spec = owners(answer)["me", "Apply"]["f:spec"]
    assert spec["f:ports"] == {
        f'k:{{"port":{port},"protocol":"TCP"}}': {".": {}, "f:name": {}, "f:port": {}, "f:protocol": {}}
        for port in (80, 81)
    }
    answer = api.apply(path, ports(82), "you")
    assert answer.status == 200, answer
    assert [one["port"] for one in answer["spec"]["ports"]] == [80, 81, 82]
    answer = api.apply(path, ports(81), "me")
    assert [one["port"] for one in answer["spec"]["ports"]] == [81, 82]


def test_finalizers_are_a_set(api, path):
    api.apply(path, applied(path, finalizers=["a.b/c"]), "me")
    answer = api.apply(path, applied(path, finalizers=["a.b/d"]), "you")
    assert sorted(answer["metadata"]["finalizers"]) == ["a.b/c", "a.b/d"]
    assert owners(answer)["you", "Apply"] == {"f:metadata": {"f:finalizers": {'v:"a.b/d"': {}}}}
    answer = api.apply(path, applied(path), "me")
    assert answer["metadata"]["finalizers"] == ["a.b/d"]
    api.apply(path, applied(path), "you")


def test_yaml(api, path):
    name = path.rpartition("/")[2]
    body = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: b}}\n"
    assert api.apply(path, body.encode(), "me")["data"] == {"a": "b"}


def test_dry_run(api, path):
    assert api.apply(path, applied(path, {"a": "1"}), "me", dryRun="All").status == 201
    assert api.get(path).status == 404


REFUSED = {
    "no manager": ({}, {}, 422, "fieldManager: Required value: is required for apply patch"),
    "no kind": ({"kind": None}, {"fieldManager": "me"}, 400, "invalid object type"),
    "managed fields": (
        {"metadata": {"managedFields": [{"manager": "x"}]}},
        {"fieldManager": "me"},
        400,
        "metadata.managedFields must be nil",
    ),
    "unknown field": ({"foo": 1}, {"fieldManager": "me"}, 500, ".foo: field not declared in schema"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_refused(api, home, case):
    change, query, code, text = case
    body = {**config_map("refused", {"a": "b"}), **change}
    answer = api.patch(f"{home}/configmaps/refused", body, "application/apply-patch+yaml", **query)
    assert (answer.status, text in answer["message"]) == (code, True), answer
