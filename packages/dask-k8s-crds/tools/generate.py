"""Write the files that are generated, or with `--check` write nothing and fail if one differs.

- `src/dask_k8s_crds/data/kubernetes.json`: schemas of PodSpec and other types of `kubernetes`;
- the workspace's `docs/edits.md`: what an edit of each field does.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from kubernetes.client.models.v1_pod_failure_policy import V1PodFailurePolicy
from kubernetes.client.models.v1_pod_spec import V1PodSpec
from kubernetes.client.models.v1_service_spec import V1ServiceSpec

from dask_k8s_crds import edits
from dask_k8s_crds.structural_schema import DATA, PRESERVE, Schema, convert

TARGET = Path(__file__).parents[1] / "src" / "dask_k8s_crds" / DATA
EDITS = Path(__file__).parents[3] / "docs" / "edits.md"

QUANTITY = {
    "pattern": r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
    r"(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$",
    "x-kubernetes-int-or-string": True,
}
"""The schema of a quantity, which is `str` in the package; the pattern is that of controller-gen."""
ROOTS = (V1PodSpec, V1ServiceSpec, V1PodFailurePolicy)
"""The types in our specs."""

QUANTITIES = {
    "EmptyDirVolumeSource.sizeLimit",
    "PodSpec.overhead",
    "ResourceFieldSelector.divisor",
    "ResourceRequirements.limits",
    "ResourceRequirements.requests",
    "VolumeResourceRequirements.limits",
    "VolumeResourceRequirements.requests",
}
"""Fields that contain quantities."""


def definitions() -> dict[str, Schema]:
    """Return by name the schemas of `ROOTS` and of every type that they refer to."""
    sources: dict[str, Schema] = {}
    for model in ROOTS:
        source = model.model_json_schema()
        sources |= source.pop("$defs") | {model.__name__: source}
    found: dict[str, Schema] = {}

    def reference(name: str) -> Schema:
        kind = name.removeprefix("Core").removeprefix("V1")
        if kind not in found:
            found[kind] = definition(kind, sources[name], reference)
        return {"$ref": kind}

    for model in ROOTS:
        reference(model.__name__)
    return dict(sorted(found.items()))


def definition(kind: str, source: Schema, reference: Callable[[str], Schema]) -> Schema:
    """Return the structural schema of one type, without descriptions, open to fields of later releases."""
    schema: Schema = {"type": "object", PRESERVE: True}
    if kind == "ObjectMeta":  # only in templates inside a PodSpec, where most of its fields are ignored
        return schema
    fields = {}
    for name, value in source["properties"].items():
        field = convert(bare(value), reference)
        fields[name] = quantity(field) if f"{kind}.{name}" in QUANTITIES else field
    required = {"required": source["required"]} if "required" in source else {}
    return {**schema, "properties": fields, **required}


def bare(value: Schema) -> Schema:
    """Return the schema of a field without its documentation."""
    return {key: item for key, item in value.items() if key not in {"description", "title"}}


def quantity(field: Schema) -> Schema:
    """Return the schema of a field that contains quantities instead of strings."""
    return {**field, "additionalProperties": QUANTITY} if field["type"] == "object" else QUANTITY


def text() -> str:
    """Return the content of the file, with one line for each type so that diffs are readable."""
    lines = (f"  {json.dumps(name)}: {json.dumps(schema)}" for name, schema in definitions().items())
    return '{\n "definitions": {\n' + ",\n".join(lines) + "\n }\n}\n"


def edits_page() -> str:
    """Return the page about edits: what is there above the first table, and the tables."""
    introduction, _, _ = EDITS.read_text(encoding="utf-8").partition("\n## ")
    return f"{introduction}\n{edits.table()}"


def main() -> int:
    """Write the files, or with `--check` compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file differs")
    check = parser.parse_args().check
    differs = False
    for target, content in {TARGET: text(), EDITS: edits_page()}.items():
        if not check:
            target.write_text(content, encoding="utf-8")
        elif content != target.read_text(encoding="utf-8"):
            print(f"{target} differs from what this program writes", file=sys.stderr)
            differs = True
    return int(differs)


if __name__ == "__main__":
    sys.exit(main())
