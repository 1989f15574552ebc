"""The table of what an edit of each field does: it is complete, and the API server refuses what it says.

The other effects are tested where they happen, in the packages of the controller and of its plugins.
"""

import copy

import pytest

from dask_k8s_crds import edits, manifests
from dask_k8s_crds.edits import Effect
from dask_k8s_crds.manifests import MODELS
from dask_k8s_crds.structural_schema import PRESERVE
from dask_k8s_local.pytest_plugin import RequestError

IMAGE = "example.org/other:1"
POLICY = {
    "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
}
BASES = {
    "DaskAutoscaler": {"spec.groups": [{"name": "example-more", "minimum": 1, "maximum": 10}]},
    "DaskJob": {"spec.job.spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}},
}
"""What is added to the base of a kind, so that each field can be edited."""
FIELDS = [
    pytest.param(model, path, id=f"{model.resource.kind}-{path}")
    for model in MODELS
    for path in edits.fields(model)
]
EVERY_MODEL = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.resource.kind)
STARTED = {"jobStatus": "Running", "runnerUid": "1", "clusterUid": "2"}


def schema_of(model, path):
    schema = model.structural_schema()
    for step in path.split("."):
        schema = schema["properties"][step.removesuffix("[]")]
        schema = schema["items"] if step.endswith("[]") else schema
    return schema


def other(schema, value):
    """Return another valid value of a field."""
    match schema:
        case {"enum": values}:
            return next(each for each in values if each != value)
        case {"type": "boolean"}:
            return not value
        case {"type": "integer" | "number"}:
            return (value or schema.get("minimum", 0)) + 1
        case {"x-kubernetes-int-or-string": True}:
            return 7
        case {"type": "string"}:
            return "example-other"
        case {"additionalProperties": {"type": kind}}:
            return {**(value or {}), "example": "other" if kind == "string" else 2}
        case {"properties": {"containers": _}}:
            return {**value, "containers": [{**each, "image": IMAGE} for each in value["containers"]]}
        case {"properties": {"ports": _}}:
            return {**value, "type": "NodePort"}
        case {"properties": {"rules": _}}:
            return POLICY
    raise AssertionError(schema)


def change(model, path, body):
    """Return the merge patch of the spec that edits one field."""
    *outer, field = path.split(".")
    patch = inner = {}
    for step in outer:
        name = step.removesuffix("[]")
        body = body.get(name) or {}
        if step.endswith("[]"):
            (body,) = copy.deepcopy(body)
            inner[name], inner = [body], body
        else:
            inner[name] = inner = {}
    inner[field] = other(schema_of(model, path), body.get(field))
    return patch


@EVERY_MODEL
def test_every_field_is_in_the_table_and_nothing_else(model):
    for path in edits.fields(model):
        assert edits.edit(model.resource.kind, path)
    assert edits.unused_entries(model) == set()


def test_a_field_that_is_not_in_the_table_is_an_error():
    with pytest.raises(KeyError):
        edits.edit("DaskJob", "spec.newField")


@pytest.fixture
def edit(here, created, make):
    """Create an object, edit it, and return what the API server refuses; empty if it accepts the edit."""

    def edit(model, path, *, status=None, patch=None, unset=(), **more):
        kind = model.resource.kind
        body = make(kind, set={**BASES.get(kind, {}), **more}, unset=unset)
        target = f"{kind}/{created(body)['metadata']['name']}"
        if status is not None:
            here.patch(target, {"status": status}, subresource="status")
        try:
            here.patch(target, patch or change(model, path, here.get(target)))
        except RequestError as error:
            return f"{error.status} {error}"
        return ""

    return edit


@pytest.mark.parametrize("model, path", FIELDS)
def test_the_api_server_refuses_what_the_table_says(edit, model, path):
    refusal = edit(model, path)
    assert bool(refusal) == (edits.edit(model.resource.kind, path).effect == Effect.REFUSED), refusal
    if refusal:
        assert refusal.startswith("422")
        assert "create" in refusal  # what to do instead


@pytest.mark.parametrize(
    "model, path", [field for field in FIELDS if field.values[0].resource.kind == "DaskJob"]
)
def test_a_suspended_job_takes_more(edit, model, path):
    entry = edits.edit("DaskJob", path)
    more = {"spec.suspend": True}
    assert bool(edit(model, path, **more)) == ((entry.suspended or entry.effect) == Effect.REFUSED)


ONE, NAMED = {"spec.clusterName": "one"}, {"unset": ["spec.cluster"]}
PODS = {"containers": [{"name": "a", "image": IMAGE}]}
JOBS = {
    "cluster-name-removed": ({"clusterName": None, "cluster": {"spec": {}}}, ONE, NAMED, ".clusterName"),
    "cluster-name-changed": ({"clusterName": "two"}, ONE, NAMED, ".clusterName"),
    "cluster-name-while-suspended": (
        {"clusterName": "two"},
        {**ONE, "spec.suspend": True},
        NAMED,
        ".clusterName",
    ),
    "cluster-name-as-before": ({"clusterName": "one", "suspend": True}, ONE, NAMED, ""),
    "cluster-name-instead-of-a-cluster": ({"clusterName": "one", "cluster": None}, {}, {}, ".clusterName"),
    "runner-after-a-start": ({"job": {"spec": PODS}}, {"spec.suspend": True}, {"status": STARTED}, ".job"),
    "runner-before-a-start": (
        {"job": {"spec": PODS}},
        {"spec.suspend": True},
        {"status": {"failures": 0}},
        "",
    ),
    "runner-with-resume": ({"job": {"spec": PODS}, "suspend": False}, {"spec.suspend": True}, {}, ""),
    "runner-with-suspend": ({"job": {"spec": PODS}, "suspend": True}, {}, {}, ".job"),
    "runner-with-a-field-of-another-kubernetes": (
        {"job": {"spec": {"ofTheFuture": {"a": 1}}}},
        {},
        {},
        ".job",
    ),
    "policy-removed": (
        {"podFailurePolicy": None},
        {"spec.podFailurePolicy": POLICY},
        {},
        ".podFailurePolicy",
    ),
    "cluster-after-a-start": (
        {"cluster": {"spec": {"worker": {"replicas": 5}}}},
        {"spec.suspend": True},
        {"status": STARTED},
        "",
    ),
    "cluster-with-suspend": ({"cluster": {"spec": {"worker": {"replicas": 5}}}, "suspend": True}, {}, {}, ""),
    "cluster-with-resume": (
        {"cluster": {"spec": {"worker": {"replicas": 5}}}, "suspend": False},
        {"spec.suspend": True},
        {},
        "",
    ),
    "limits-removed": ({"backoffLimit": None}, {"spec.backoffLimit": 3}, {}, ""),
}


@pytest.mark.parametrize("spec, more, options, refused", JOBS.values(), ids=JOBS)
def test_edits_of_jobs(edit, spec, more, options, refused):
    (job,) = (model for model in MODELS if model.resource.kind == "DaskJob")
    if spec.get("cluster") == {"spec": {}}:
        spec["cluster"] = {"spec": {"scheduler": {"spec": PODS, "service": {}}, "worker": {"spec": PODS}}}
    refusal = edit(job, "", patch={"spec": spec}, **options, **more)
    assert f"spec{refused}: Invalid value" in refusal if refused else not refusal, refusal


def transition_rules(schema, path="", *, optional=False):
    """Yield the path of each rule that compares with the old object, and whether a parent may be absent."""
    for rule in schema.get("x-kubernetes-validations", ()):
        if "oldSelf" in rule["rule"]:
            yield path, optional
    required = schema.get("required", ())
    for name, inner in schema.get("properties", {}).items() if PRESERVE not in schema else ():
        yield from transition_rules(inner, f"{path}.{name}", optional=optional or name not in required)
    if "items" in schema:
        yield from transition_rules(schema["items"], f"{path}[]", optional=True)


@EVERY_MODEL
def test_no_rule_of_a_change_is_skipped_because_a_field_is_absent(model):
    """The API server skips a rule with `oldSelf` unless both objects have the value that it is a rule of."""
    (version,) = manifests.crd(model)["spec"]["versions"]
    rules = list(transition_rules(version["schema"]["openAPIV3Schema"]))
    assert [path for path, optional in rules if optional] == []
