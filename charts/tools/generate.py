"""Write what the chart has from elsewhere: CRDs, the controller's rights, the table of values in README.md.

`--check` writes nothing and fails where a file differs.
"""

import argparse
import json
import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from dask_k8s_controller.app import plugin_loading
from dask_k8s_controller.app.manifests import manifests
from dask_k8s_crds import manifests as crds
from dask_k8s_crds.yaml import documents

CHART = Path(__file__).parents[1] / "dask-k8s-operator"
OURS = ["dask-k8s-controller", "dask-k8s-autoscaler", "dask-k8s-job"]
"""The distributions whose rights the chart grants: those of the image that it runs by default."""
FIELD = re.compile(r"( *)(\w+):")
COMMENT = re.compile(r" *# -- (.*)")
TABLE = re.compile(r"(?<=<!-- values -->\n).*(?=<!-- /values -->)", re.DOTALL)


def rules() -> str:
    """Return the rights in every namespace that is served, and those to serve all namespaces."""
    ours = [plugin for plugin in plugin_loading.installed() if plugin.distribution in OURS]
    missing = set(OURS) - {plugin.distribution for plugin in ours}
    if missing:
        sys.exit(f"not installed here: {', '.join(sorted(missing))}")

    def rights(*namespaces: str) -> list[Any]:
        made = manifests(plugin_loading.values(ours), controller_namespace="any", namespaces=namespaces)
        return next(each["rules"] for each in made if each["kind"] in {"Role", "ClusterRole"})

    served = rights("any")
    everywhere = [rule for rule in rights() if rule not in served]
    head = "# Written by charts/tools/generate.py from what `dask-k8s-controller manifests` prints.\n"
    return head + documents([{"served": served, "everywhere": everywhere}])


def table() -> str:
    """Return the rows of all values: the path, the default, the text of the comment above."""
    values = yaml.safe_load(text := (CHART / "values.yaml").read_text(encoding="utf-8"))
    rows, path = ["| value | default | |", "| --- | --- | --- |"], []
    for above, line in pairwise(text.splitlines()):
        if field := FIELD.match(line):
            path = [*path[: len(field[1]) // 2], field[2]]
            if comment := COMMENT.match(above):
                default = values
                for key in path:
                    default = default[key]
                rows.append(f"| `{'.'.join(path)}` | `{json.dumps(default)}` | {comment[1]} |")
    return "\n".join(rows) + "\n"


def files() -> dict[Path, str]:
    """Return what each file should hold."""
    readme = CHART / "README.md"
    return {
        CHART / "files/crds.yaml": documents(crds.crds()),
        CHART / "files/rules.yaml": rules(),
        readme: TABLE.sub(lambda _: table(), readme.read_text(encoding="utf-8")),
    }


def main() -> int:
    """Write the files, or with `--check` compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file differs")
    check = parser.parse_args().check
    stale = {
        file: text
        for file, text in files().items()
        if not file.exists() or file.read_text(encoding="utf-8") != text
    }
    for file, text in stale.items():
        if check:
            print(f"{file} differs from what this program writes", file=sys.stderr)
        else:
            file.write_text(text, encoding="utf-8")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
