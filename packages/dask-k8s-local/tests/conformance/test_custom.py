"""Custom resources: registration, schemas, rules and subresources."""

import copy
import itertools
import json
import uuid
from typing import ClassVar

import pytest

from .conftest import JSON_PATCH, MERGE, STRATEGIC
from .test_lists import TABLE

pytestmark = pytest.mark.core

NOT_CHECKED_MESSAGE = (
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)
NOT_CHECKED = ("FieldValueInvalid", "<nil>", NOT_CHECKED_MESSAGE)
ONE_MAIN = "!has(self.names) || self.names.exists_one(n, n == 'main')"
WORKER = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "pattern": "^a+$", "maxLength": 5},
        "replicas": {"type": "integer", "minimum": 0, "default": 1},
        "size": {"type": "string", "enum": ["S", "L"]},
        "nullable": {"type": "object", "nullable": True, "properties": {"x": {"type": "integer"}}},
        "set": {"type": "array", "maxItems": 2, "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "map": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "value": {"type": "integer"}},
            },
        },
        "port": {"x-kubernetes-int-or-string": True},
        "free": {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": {"known": {"type": "string"}},
        },
        "numbers": {"type": "object", "additionalProperties": {"type": "integer"}},
        "share": {"type": "number", "maximum": 1},
        "on": {"type": "boolean"},
    },
}
SCHEMA = {
    "type": "object",
    "required": ["spec"],
    "x-kubernetes-validations": [{"rule": "self.metadata.name.size() <= 10", "message": "name too long"}],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["worker"],
            "x-kubernetes-validations": [
                {
                    "rule": "!has(self.max) || self.max >= self.min",
                    "message": "max must be at least min",
                    "fieldPath": ".max",
                },
                {"rule": "self.cluster == oldSelf.cluster", "message": "cluster is immutable"},
                {
                    "rule": "!has(self.names) || self.names.all(n, n.matches('^[a-z]+$'))",
                    "messageExpression": "'small letters only in ' + self.cluster",
                },
                {"rule": ONE_MAIN},
            ],
            "properties": {
                "min": {"type": "integer", "default": 0},
                "max": {"type": "integer"},
                "cluster": {"type": "string", "default": "c", "maxLength": 10},
                "names": {"type": "array", "maxItems": 10, "items": {"type": "string", "maxLength": 10}},
                "worker": WORKER,
            },
        },
        "status": {
            "type": "object",
            "properties": {
                "replicas": {"type": "integer"},
                "phase": {"type": "string"},
                "selector": {"type": "string"},
            },
        },
    },
}


def definition(group):
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": SCHEMA},
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.worker.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": [
            {"name": "Replicas", "type": "integer", "jsonPath": ".spec.worker.replicas"},
            {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
            {"name": "Cluster", "type": "string", "jsonPath": ".spec.cluster", "priority": 1},
        ],
    }
    names = {"kind": "Thing", "plural": "things", "shortNames": ["tg"]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
    }


DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(scope="module")
def group():
    return f"g{uuid.uuid4().hex[:8]}.conformance.test"


@pytest.fixture(scope="module")
def things(api, namespace, group):
    """The path of the collection."""
    assert api.post(DEFINITIONS, definition(group)).status == 201
    path = f"/apis/{group}/v1/namespaces/{namespace}/things"
    api.until(path, lambda answer: answer.status == 200)
    yield path
    api.delete(f"{DEFINITIONS}/things.{group}")


@pytest.fixture
def thing(group):
    def thing(name="a", /, metadata=None, status=None, **spec):
        spec = {"worker": {"name": "aaa"}, **spec}
        body = {"apiVersion": f"{group}/v1", "kind": "Thing", "metadata": {"name": name, **(metadata or {})}}
        return body | {"spec": spec} | ({"status": status} if status else {})

    return thing


@pytest.fixture
def made(api, things, thing):
    """The path of a new object."""
    name = f"t{uuid.uuid4().hex[:6]}"
    assert api.post(things, thing(name)).status == 201
    yield f"{things}/{name}"
    api.delete(f"{things}/{name}")


class TestDefinition:
    def test_established(self, api, things, group):
        status = api.until(
            f"{DEFINITIONS}/things.{group}",
            lambda answer: len(answer["status"].get("conditions") or ()) == 2,
        )["status"]
        conditions = {
            one["type"]: (one["status"], one["reason"], one["message"]) for one in status["conditions"]
        }
        assert conditions == {
            "NamesAccepted": ("True", "NoConflicts", "no conflicts found"),
            "Established": ("True", "InitialNamesAccepted", "the initial names have been accepted"),
        }
        assert status["acceptedNames"] == {
            "plural": "things",
            "singular": "thing",
            "shortNames": ["tg"],
            "kind": "Thing",
            "listKind": "ThingList",
        }
        assert status["storedVersions"] == ["v1"]

    def test_forgotten(self, api, things, kubernetes):
        if kubernetes.is_local:
            pytest.skip("a short history is tested on the store")
        # The history of a kind begins when it is first served; that of others may reach back to 1.
        with api.watch(things, resourceVersion="1") as watch:
            ((kind, status),) = itertools.islice(watch, 1)
        assert (kind, status["code"], status["reason"]) == ("ERROR", 410, "Expired")

    def test_discovery(self, api, things, group):
        (thing, scale, status) = sorted(
            api.get(f"/apis/{group}/v1")["resources"], key=lambda one: one["name"]
        )
        assert (thing["singularName"], thing["shortNames"], thing["kind"]) == ("thing", ["tg"], "Thing")
        assert (status["name"], status["kind"]) == ("things/status", "Thing")
        assert (scale["group"], scale["version"], scale["kind"]) == ("autoscaling", "v1", "Scale")

    def test_openapi(self, api, things, group):
        index = api.until("/openapi/v3", lambda answer: f"apis/{group}/v1" in answer["paths"])
        document = api.get(index["paths"][f"apis/{group}/v1"]["serverRelativeURL"]).body
        name = ".".join([*reversed(group.split(".")), "v1", "Thing"])
        schema = document["components"]["schemas"][name]
        assert schema["properties"]["spec"]["properties"]["min"] == {"type": "integer", "default": 0}
        assert schema["properties"]["metadata"]["allOf"][0]["$ref"].endswith("ObjectMeta")

    def change(self, group, change):
        body = copy.deepcopy(definition(group))
        change(body)
        return body

    REFUSED: ClassVar = {
        "name": (
            lambda body: body["metadata"].update(name="wrong"),
            "metadata.name",
            'Invalid value: "wrong": must be spec.names.plural+"."+spec.group',
        ),
        "no schema": (
            lambda body: body["spec"]["versions"][0].pop("schema"),
            "spec.versions[0].schema.openAPIV3Schema",
            "Required value",
        ),
        "no type": (
            lambda body: body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].pop(
                "type"
            ),
            "spec.validation.openAPIV3Schema.properties[spec].type",
            "Required value: must not be empty for specified object fields",
        ),
    }

    @pytest.mark.parametrize("change, field, message", REFUSED.values(), ids=REFUSED)
    def test_refused(self, api, group, change, field, message):
        answer = api.post(DEFINITIONS, self.change(group, change))
        assert answer.status == 422
        assert (field, message) in [(found, text) for _, found, text in answer.causes]

    def test_rule_that_cannot_be_read(self, api, group):
        rules = [{"rule": "self.("}]

        def change(body):
            schema = body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
            schema["x-kubernetes-validations"] = rules

        answer = api.post(DEFINITIONS, self.change(group, change))
        ((reason, field, message),) = answer.causes
        assert (answer.status, reason) == (422, "FieldValueInvalid")
        assert field == "spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule"
        assert "compilation failed" in message

    def test_deleted_with_its_objects(self, api, namespace):
        group = f"g{uuid.uuid4().hex[:8]}.conformance.test"
        path = f"/apis/{group}/v1/namespaces/{namespace}/things"
        api.post(DEFINITIONS, definition(group))
        api.until(path, lambda answer: answer.status == 200)
        body = {"apiVersion": f"{group}/v1", "kind": "Thing", "spec": {"worker": {"name": "a"}}}
        api.until(path, lambda _: api.post(path, {**body, "metadata": {"name": "x"}}).status in {201, 409})
        answer = api.delete(f"{DEFINITIONS}/things.{group}")
        assert {one["type"]: one["status"] for one in answer["status"]["conditions"]}["Terminating"] == "True"
        api.until(f"{DEFINITIONS}/things.{group}", lambda answer: answer.status == 404)
        api.until(path, lambda answer: answer.status == 404)


class TestSchema:
    def test_prunes_and_defaults(self, api, things, thing):
        worker = {
            "name": "a",
            "replicas": None,
            "nullable": None,
            "foo": 1,
            "free": {"x": {"y": None}, "known": "k"},
            "numbers": {"a": 1, "b": None},
        }
        body = {**thing("pruned", worker=worker, max=None), "foo": 1, "status": {"phase": "x"}}
        answer = api.post(things, body)
        assert answer.status == 201
        assert answer["spec"] == {
            "min": 0,
            "cluster": "c",
            "worker": {
                "name": "a",
                "replicas": 1,
                "nullable": None,
                "free": {"x": {"y": None}, "known": "k"},
                "numbers": {"a": 1},
            },
        }
        assert not {"foo", "status"} & answer.body.keys()
        warnings = answer.headers.get_all("Warning")
        assert sorted(warnings) == [
            r'299 - "unknown field \"foo\""',
            r'299 - "unknown field \"spec.worker.foo\""',
        ]
        api.delete(f"{things}/pruned")

    def test_strict(self, api, things, thing):
        body = thing("strict", {"bar": 1}, worker={"name": "a", "foo": 1})
        answer = api.post(things, body, fieldValidation="Strict")
        text = 'unknown field "metadata.bar", unknown field "spec.worker.foo"'
        assert (answer.status, answer["message"]) == (
            400,
            f'Thing in version "v1" cannot be handled as a Thing: strict decoding error: {text}',
        )

    W = "spec.worker"
    INVALID: ClassVar = {
        "minimum": (
            {"replicas": -1},
            [
                (
                    f"{W}.replicas",
                    f"Invalid value: -1: {W}.replicas in body should be greater than or equal to 0",
                ),
                (f".{W}.replicas", "Invalid value: -1: should be a non-negative integer"),
            ],
        ),
        "maximum": (
            {"share": 1.5},
            [(f"{W}.share", f"Invalid value: 1.5: {W}.share in body should be less than or equal to 1")],
        ),
        "pattern": (
            {"name": "b"},
            [(f"{W}.name", f"Invalid value: \"b\": {W}.name in body should match '^a+$'")],
        ),
        "set": ({"set": ["a", "a"]}, [(f"{W}.set[1]", 'Duplicate value: "a"')]),
        "map": (
            {"map": [{"name": "a"}, {"name": "a"}]},
            [(f"{W}.map[1]", 'Duplicate value: {"name":"a"}')],
        ),
    }
    BLOCKING: ClassVar = {
        "enum": ({"size": "M"}, [(f"{W}.size", 'Unsupported value: "M": supported values: "S", "L"')]),
        "too long": ({"name": "a" * 6}, [(f"{W}.name", "Too long: may not be more than 5 bytes")]),
        "too many": ({"set": ["a", "b", "c"]}, [(f"{W}.set", "Too many: 3: must have at most 2 items")]),
        "missing": ({"name": None}, [(f"{W}.name", "Required value")]),
        "missing in a list": ({"map": [{"value": 1}]}, [(f"{W}.map[0].name", "Required value")]),
        "text for a boolean": (
            {"on": "x"},
            [(f"{W}.on", f'Invalid value: "string": {W}.on in body must be of type boolean: "string"')],
        ),
        "number for text": (
            {"name": 1},
            [(f"{W}.name", f'Invalid value: "integer": {W}.name in body must be of type string: "integer"')],
        ),
        "text for an object": (
            {"nullable": "x"},
            [
                (
                    f"{W}.nullable",
                    f'Invalid value: "string": {W}.nullable in body must be of type object: "string"',
                )
            ],
        ),
        "text in a map of numbers": (
            {"numbers": {"a": "x"}},
            [
                (
                    f"{W}.numbers.a",
                    f'Invalid value: "string": {W}.numbers.a in body must be of type integer: "string"',
                )
            ],
        ),
        "fraction for int-or-string": (
            {"port": 1.5},
            [
                (
                    f"{W}.port",
                    f'Invalid value: "number": {W}.port in body must be of type integer,string: "number"',
                )
            ],
        ),
    }

    @pytest.mark.parametrize("worker, causes", INVALID.values(), ids=INVALID)
    def test_invalid(self, api, things, thing, worker, causes):
        answer = api.post(things, thing("x", worker={"name": "aaa", **worker}))
        assert (answer.status, answer["reason"]) == (422, "Invalid")
        assert [cause[1:] for cause in answer.causes] == causes

    @pytest.mark.parametrize("worker, causes", BLOCKING.values(), ids=BLOCKING)
    def test_blocks_rules(self, api, things, thing, worker, causes):
        answer = api.post(things, thing("x", worker={"name": "aaa", **worker}))
        *found, last = answer.causes
        assert (answer.status, [cause[1:] for cause in found]) == (422, causes)
        assert last == NOT_CHECKED

    def test_message(self, api, things, thing, group):
        answer = api.post(things, {**thing("x"), "spec": {}})
        found = f"spec.worker: Required value, <nil>: {NOT_CHECKED_MESSAGE}"
        assert answer["message"] == f'Thing.{group} "x" is invalid: [{found}]'

    @pytest.mark.parametrize("port", [80, "http"])
    def test_int_or_string(self, api, things, thing, port):
        answer = api.post(things, thing("x", worker={"name": "a", "port": port}), dryRun="All")
        assert answer["spec"]["worker"]["port"] == port

    def test_kind(self, api, things, thing, group):
        answer = api.post(things, {**thing("x"), "kind": "Other"})
        assert (answer.status, answer["message"]) == (
            422,
            f'Other.{group} "x" is invalid: kind: Invalid value: "Other": must be Thing',
        )
        answer = api.post(things, {**thing("x"), "apiVersion": f"{group}/v2"})
        text = f"({group}/v2) does not match the expected API version ({group}/v1)"
        assert (answer.status, answer["message"]) == (400, f"the API version in the data {text}")

    @pytest.fixture
    def other_pattern(self, api, things, thing, group):
        """Change the schema of names temporarily."""
        path = f"{DEFINITIONS}/things.{group}"
        schema = "/spec/versions/0/schema/openAPIV3Schema"
        place = f"{schema}/properties/spec/properties/worker/properties/name/pattern"
        for pattern, code in (("^b+$", 422), ("^a+$", 201)):
            api.patch(path, [{"op": "replace", "path": place, "value": pattern}], JSON_PATCH)
            api.until(things, lambda _, code=code: api.post(things, thing("x"), dryRun="All").status == code)
            if code == 422:
                yield

    def test_what_has_not_changed_is_not_refused(self, api, made, other_pattern):
        """Objects can still be changed after their schema became stricter."""
        assert api.patch(made, {"spec": {"max": 3}}).status == 200


class TestRules:
    RULES: ClassVar = {
        "at the root": ("elevenchars", {}, [("<nil>", 'Invalid value: "object": name too long')]),
        "with a path": (
            "x",
            {"min": 3, "max": 2},
            [("spec.max", 'Invalid value: "object": max must be at least min')],
        ),
        "with a message of its own": (
            "x",
            {"names": ["main", "B"]},
            [("spec", 'Invalid value: "object": small letters only in c')],
        ),
        "without message": (
            "x",
            {"names": ["a"]},
            [
                (
                    "spec",
                    f'Invalid value: "object": failed rule: {ONE_MAIN}',
                )
            ],
        ),
    }

    @pytest.mark.parametrize("case", RULES.values(), ids=RULES)
    def test_broken(self, api, things, thing, case):
        name, spec, causes = case
        answer = api.post(things, thing(name, **spec))
        assert (answer.status, [cause[1:] for cause in answer.causes]) == (422, causes)

    def test_kept(self, api, things, thing):
        answer = api.post(things, thing("tencharact", min=2, max=2, names=["main", "other"]), dryRun="All")
        assert answer.status == 201

    def test_of_a_transition(self, api, made):
        answer = api.patch(made, {"spec": {"cluster": "d"}})
        assert (answer.status, [cause[1:] for cause in answer.causes]) == (
            422,
            [("spec", 'Invalid value: "object": cluster is immutable')],
        )


class TestSubresources:
    def test_generation_counts_changes_of_the_spec(self, api, made):
        generations = [
            api.patch(made, change)["metadata"]["generation"]
            for change in (
                {"metadata": {"labels": {"a": "b"}}},
                {"spec": {"worker": {"replicas": 2}}},
                {"spec": {"worker": {"replicas": 2}}},
                {"status": {"phase": "x"}},
            )
        ]
        assert generations == [1, 2, 2, 2]

    def test_status(self, api, made):
        assert "status" not in api.patch(made, {"status": {"phase": "x"}}).body
        change = {
            "status": {"phase": "Running", "foo": 1},
            "spec": {"min": 9},
            "metadata": {"labels": {"a": "b"}},
        }
        answer = api.patch(f"{made}/status", change)
        assert answer["status"] == {"phase": "Running"}
        assert (answer["spec"]["min"], "labels" in answer["metadata"]) == (0, False)
        assert answer["metadata"]["generation"] == 1
        body = {**answer.body, "status": {"phase": "Put"}, "spec": {"worker": {"name": "aaa"}, "min": 5}}
        assert api.put(f"{made}/status", body)["status"] == {"phase": "Put"}
        assert api.get(made)["spec"]["min"] == 0

    def test_scale(self, api, made, group):
        api.patch(f"{made}/status", {"status": {"replicas": 3, "selector": "a=b"}})
        scale = api.get(f"{made}/scale")
        assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
        assert (scale["spec"], scale["status"]) == ({"replicas": 1}, {"replicas": 3, "selector": "a=b"})
        assert api.patch(f"{made}/scale", {"spec": {"replicas": 4}})["spec"] == {"replicas": 4}
        assert api.get(made)["spec"]["worker"]["replicas"] == 4
        old = api.put(f"{made}/scale", scale.body)
        assert (old.status, old["reason"]) == (409, "Conflict")
        refused = api.patch(f"{made}/scale", {"spec": {"replicas": -1}})
        assert (refused.status, refused["details"]["kind"]) == (422, "Thing")
        current = api.get(f"{made}/scale").body
        assert api.put(f"{made}/scale", {**current, "spec": {}})["spec"] == {}
        assert api.get(made)["spec"]["worker"]["replicas"] == 0

    def test_no_strategic_merge_of_scale(self, api, made):
        refused = api.patch(f"{made}/scale", {"spec": {"replicas": 4}}, STRATEGIC)
        assert (refused.status, refused["reason"]) == (415, "UnsupportedMediaType")
        assert api.get(f"{made}/scale")["spec"] == {"replicas": 1}

    def test_columns(self, api, things, made):
        api.patch(f"{made}/status", {"status": {"phase": "Running"}})
        answer = api.get(things, accept=TABLE, fieldSelector=f"metadata.name={made.rpartition('/')[2]}")
        assert [(one["name"], one["type"], one["priority"]) for one in answer["columnDefinitions"]] == [
            ("Name", "string", 0),
            ("Replicas", "integer", 0),
            ("Phase", "string", 0),
            ("Cluster", "string", 1),
        ]
        assert answer["rows"][0]["cells"][1:] == [1, "Running", "c"]


def nested(levels, text='"x"'):
    return '{"a":' * levels + text + "}" * levels


@pytest.mark.alone  # clients of other tests cannot list objects that are nested so deeply
class TestNestedJson:
    """A real API server stores 10,000 levels."""

    @pytest.fixture
    def body(self, thing):
        """A function that returns the text of an object with this text in a field without schema."""

        def body(name, text):
            whole = json.dumps(thing(name, worker={"name": "aaa", "free": {"any": "(nested)"}}))
            return whole.replace('"(nested)"', text).encode()

        return body

    @pytest.mark.parametrize("levels", [100, 300, 1500, 9000])
    def test_is_kept(self, api, things, body, levels):
        name = f"deep{levels}"
        assert api.text("POST", things, body(name, nested(levels)))[0] == 201
        assert nested(levels) in api.text("GET", f"{things}/{name}")[2]
        assert nested(levels) in api.text("GET", things)[2]
        change = json.dumps({"spec": {"worker": {"free": {"any": None}}}}).encode()
        assert api.text("PATCH", f"{things}/{name}", change, content_type=MERGE)[0] == 200
        assert api.get(f"{things}/{name}")["spec"]["worker"].get("free", {}) == {}

    @pytest.mark.parametrize("text", [nested(10_001), nested(1500, "x"), nested(1500) + "}"])
    def test_is_refused(self, api, things, body, text):
        assert api.text("POST", things, body("bad", text))[0] == 400
        assert api.get(f"{things}/bad").status == 404


class TestWrites:
    def test_put_needs_a_version(self, api, made, thing, group):
        name = made.rpartition("/")[2]
        answer = api.put(made, thing(name))
        text = "metadata.resourceVersion: Invalid value: 0: must be specified for an update"
        assert (answer.status, answer["message"]) == (422, f'things.{group} "{name}" is invalid: {text}')

    def test_no_strategic_merge(self, api, made):
        assert api.patch(made, {"spec": {"min": 1}}, STRATEGIC).status == 415

    def test_delete_answers_with_status(self, api, things, thing, group):
        api.post(things, thing("gone"))
        answer = api.delete(f"{things}/gone")
        assert (answer["status"], answer["details"]["group"]) == ("Success", group)

    def test_apply(self, api, things, thing):
        path = f"{things}/applied"
        answer = api.apply(
            path, thing("applied", worker={"name": "a", "map": [{"name": "x", "value": 1}]}), "me"
        )
        assert answer.status == 201
        (entry,) = answer["metadata"]["managedFields"]
        assert entry["fieldsV1"] == {
            "f:spec": {
                "f:worker": {
                    "f:name": {},
                    "f:map": {'k:{"name":"x"}': {".": {}, "f:name": {}, "f:value": {}}},
                }
            }
        }
        answer = api.apply(
            path, thing("applied", worker={"name": "a", "map": [{"name": "y", "value": 2}]}), "you"
        )
        assert [one["name"] for one in answer["spec"]["worker"]["map"]] == ["x", "y"]
        answer = api.apply(path, thing("applied", worker={"name": "a"}), "me")
        assert [one["name"] for one in answer["spec"]["worker"]["map"]] == ["y"]
        status = {key: answer[key] for key in ("apiVersion", "kind")}
        status |= {"metadata": {"name": "applied"}, "status": {"phase": "P"}}
        assert api.apply(f"{path}/status", status, "reporter")["status"] == {"phase": "P"}
        api.delete(path)
