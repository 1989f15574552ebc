"""The command `dask-k8s-crds`, which prints the CRD manifests or compares files with them."""

import argparse
import sys
from collections.abc import Sequence
from difflib import unified_diff
from pathlib import Path

from dask_k8s_crds import manifests, yaml


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the CustomResourceDefinitions as YAML, ready for `kubectl apply -f -`."""
    parser = argparse.ArgumentParser(prog="dask-k8s-crds", description=main.__doc__)
    parser.add_argument(
        "--check",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="print how each file differs from what would be printed, and fail if one does",
    )
    files: list[Path] = parser.parse_args(arguments).check
    text = yaml.documents(manifests.crds())
    if not files:
        sys.stdout.write(text)
        return 0
    try:
        texts = {file: file.read_text(encoding="utf-8") for file in files}
    except (OSError, UnicodeDecodeError) as error:
        parser.error(str(error))
    for file, old in texts.items():
        _print_difference(str(file), old, text)
    return int(set(texts.values()) != {text})


def _print_difference(file: str, old: str, new: str) -> None:
    old_lines, new_lines = (text.splitlines(keepends=True) for text in (old, new))
    sys.stdout.writelines(unified_diff(old_lines, new_lines, file, "dask-k8s-crds"))
