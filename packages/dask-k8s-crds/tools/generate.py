"""Write `src/dask_k8s_crds/data/kubernetes.json`: schemas of PodSpec and other types of `kubernetes`.

With `--check`, write nothing and fail if the file differs.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from kubernetes.client.models.v1_pod_failure_policy import V1PodFailurePolicy
from kubernetes.client.models.v1_pod_spec import V1PodSpec
from kubernetes.client.models.v1_service_spec import V1ServiceSpec

from dask_k8s_crds.structural_schema import DATA, PRESERVE, Schema, convert

TARGET = Path(__file__).parents[1] / "src" / "dask_k8s_crds" / DATA

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


def main() -> int:
    """Write the file, or with `--check` compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the file differs")
    if not parser.parse_args().check:
        TARGET.write_text(text(), encoding="utf-8")
    elif text() != TARGET.read_text(encoding="utf-8"):
        print(f"{TARGET} differs from what this program writes", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
