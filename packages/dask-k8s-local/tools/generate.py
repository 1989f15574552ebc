"""Generate the package data: Kubernetes' OpenAPI v3 schemas, from a checkout of it.

    python tools/generate.py KUBERNETES [--check]

KUBERNETES is the root of a source tree of k8s.io/kubernetes, of the release in `RELEASE`.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RELEASE = "1.34.4"
GROUP_VERSIONS = (
    "api/v1",
    "apis/apiextensions.k8s.io/v1",
    "apis/authentication.k8s.io/v1",
    "apis/authorization.k8s.io/v1",
    "apis/autoscaling/v1",
    "apis/batch/v1",
    "apis/coordination.k8s.io/v1",
    "apis/discovery.k8s.io/v1",
    "apis/policy/v1",
    "apis/rbac.authorization.k8s.io/v1",
)
DATA = Path(__file__).parent.parent / "src/dask_k8s_local/schema/data/schemas.json"


def main() -> int:
    """Write or compare the file."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("kubernetes", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing, fail if something would change")
    options = parser.parse_args()
    text = dump(read_schemas(options.kubernetes))
    if DATA.exists() and DATA.read_text() == text:
        return 0
    if not options.check:
        DATA.write_text(text)
    print("changed:", DATA.name)
    return int(options.check)


def dump(content: Mapping[str, Any]) -> str:
    """Return JSON with one definition per line, so that a new release reads well as a diff."""
    compact = {key: json.dumps(content[key], separators=(",", ":")) for key in sorted(content)}
    return "{\n" + ",\n".join(f"{json.dumps(key)}:{value}" for key, value in compact.items()) + "\n}\n"


def read_schemas(kubernetes: Path) -> dict[str, Any]:
    """Return the OpenAPI v3 schemas of the group versions, by name."""
    schemas: dict[str, Any] = {}
    for group_version in GROUP_VERSIONS:
        file = kubernetes / "api/openapi-spec/v3" / f"{group_version.replace('/', '__')}_openapi.json"
        schemas |= json.loads(file.read_text())["components"]["schemas"]
    return schemas


if __name__ == "__main__":
    sys.exit(main())
