import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dask_k8s_crds import DaskAutoscaler, DaskCluster, DaskWorkerGroup, cli, manifests, validation_rules
from dask_k8s_crds import yaml as written

PACKAGE = Path(__file__).parents[1]
CRDS = pytest.mark.parametrize(
    "crd", [pytest.param(crd, id=crd["spec"]["names"]["kind"]) for crd in manifests.crds()]
)

TEMPLATED = pytest.mark.parametrize(
    "crd",
    [pytest.param(manifests.crd(model), id=model.resource.kind) for model in (DaskCluster, DaskWorkerGroup)],
)


def version(crd):
    (only,) = crd["spec"]["versions"]
    return only


def schemas(schema):
    yield schema
    inner = [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]
    for each in filter(None, inner):
        yield from schemas(each)


@CRDS
def test_fits_into_the_annotation_of_kubectl_apply(crd):
    assert len(json.dumps(crd, separators=(",", ":"))) < 256 * 1024


@TEMPLATED
def test_all_three_paths_of_the_scale_subresource(crd):
    assert version(crd)["subresources"] == {
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.worker.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    }


@CRDS
def test_every_schema_has_a_type_and_none_is_nullable(crd):
    """An API server drops a null where it is not nullable: that is how null means absent."""
    for schema in schemas(version(crd)["schema"]["openAPIV3Schema"]):
        assert ("type" in schema) != ("x-kubernetes-int-or-string" in schema)
        assert "nullable" not in schema


@CRDS
def test_every_rule_has_its_twin(crd):
    for schema in schemas(version(crd)["schema"]["openAPIV3Schema"]):
        for validation in schema.get("x-kubernetes-validations", ()):
            assert validation["rule"] in validation_rules.BY_CEL


@TEMPLATED
def test_templates_are_open_and_what_is_ours_is_closed(crd):
    preserve = "x-kubernetes-preserve-unknown-fields"
    spec = version(crd)["schema"]["openAPIV3Schema"]["properties"]["spec"]
    worker = spec["properties"]["worker"]
    assert [preserve in schema for schema in (spec, worker)] == [False, False]
    structs = [schema for schema in schemas(worker["properties"]["spec"]) if "properties" in schema]
    assert len(structs) > 100
    assert all(schema[preserve] for schema in structs)


def test_names_that_users_know():
    names = {crd["spec"]["names"]["kind"]: crd["spec"]["names"] for crd in manifests.crds()}
    assert {kind: (each["plural"], each.get("shortNames")) for kind, each in names.items()} == {
        "DaskCluster": ("daskclusters", ["daskcluster", "dsk"]),
        "DaskWorkerGroup": ("daskworkergroups", ["daskworkers"]),
        "DaskAutoscaler": ("daskautoscalers", None),
        "DaskJob": ("daskjobs", ["djb"]),
    }


def test_kubectl_get_dask_lists_every_kind():
    assert [crd["spec"]["names"]["categories"] for crd in manifests.crds()] == [["dask"]] * 4


def test_one_kind_alone():
    assert manifests.crd(DaskAutoscaler) == manifests.crds()[2]
    assert version(manifests.crd(DaskAutoscaler))["subresources"] == {"status": {}}


def test_the_schema_of_kubernetes_is_what_the_generator_writes():
    done = subprocess.run([sys.executable, PACKAGE / "tools" / "generate.py", "--check"], check=False)
    assert done.returncode == 0


def test_the_command_prints_what_the_manifests_are(capsys):
    assert cli.main([]) == 0
    assert list(yaml.safe_load_all(capsys.readouterr().out)) == manifests.crds()


def test_the_command_compares(capsys, tmp_path):
    cli.main([])
    text = capsys.readouterr().out
    same, other = tmp_path / "same.yaml", tmp_path / "other.yaml"
    same.write_text(text, encoding="utf-8")
    other.write_text(text.replace("minItems: 1", "minItems: 2"), encoding="utf-8")
    assert cli.main(["--check", str(same)]) == 0
    assert capsys.readouterr().out == ""
    assert cli.main(["--check", str(same), str(other)]) == 1
    assert "-                          minItems: 2\n" in capsys.readouterr().out


def test_the_command_says_which_file_is_not_there(capsys, tmp_path):
    with pytest.raises(SystemExit):
        cli.main(["--check", str(tmp_path / "missing.yaml")])
    assert "missing.yaml" in capsys.readouterr().err


@pytest.mark.parametrize(
    "value",
    [
        {"a": {}, "b": [], "c": None, "d": True, "e": 1, "f": 1.5, "g": ""},
        {"yes": "no", "on": "off", "null": "true", "1": "1", "~": "~", "a: b": "# x", "é": 'quo"te\n'},
        [[1, [2]], [{"a": [{"b": "c", "d": ["e"]}]}], "x", {"f": {"g": {}}}],
    ],
    ids=["empty", "keywords", "nested"],
)
def test_yaml_is_read_as_what_was_written(value):
    assert list(yaml.safe_load_all(written.documents([value, value]))) == [value, value]
