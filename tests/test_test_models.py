"""The models and stand-ins of the tests: each of their methods is used.

A method of a model that is called by nobody, for example because its caller was renamed, silently disables
what it checks or does. Whether a name is used is decided by its occurrence anywhere else in the workspace.
"""

import ast
from collections import Counter
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parents[1] / "packages"
TREES = {
    path: ast.parse(path.read_text(encoding="utf-8"))
    for folder in ("src", "tests")
    for path in sorted(PACKAGES.glob(f"*/{folder}/**/*.py"))
}
CLASSES = [
    (path, node) for path, tree in TREES.items() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
]
OURS = {node.name for _, node in CLASSES}
USED = Counter(
    node.attr if isinstance(node, ast.Attribute) else node.value
    for tree in TREES.values()
    for node in ast.walk(tree)
    if isinstance(node, ast.Attribute) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
)
"""Names that occur as attributes, or as strings."""


def methods(node):
    """The methods of a class, except those that Python or pytest calls."""
    for each in node.body:
        is_method = isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        if is_method and not each.name.startswith(("__", "pytest_")):
            yield each.name


def bases(node):
    """The last parts of the names of the base classes."""
    return {ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases}


MODELS = [
    (path, node)
    for path, node in CLASSES
    if "tests" in path.parts and bases(node) <= OURS and not node.name.startswith("Test")
]
"""Without the classes that pytest collects, and those whose methods a library calls."""


def test_there_are_models():
    assert {"Model", "Simulation", "History", "WithData", "Schedulers"} <= {node.name for _, node in MODELS}


@pytest.mark.parametrize("path", sorted({path for path, _ in MODELS}), ids=lambda path: path.stem)
def test_each_method_is_used(path):
    unused = [
        f"{node.name}.{name}"
        for place, node in MODELS
        if place == path
        for name in methods(node)
        if not USED[name]
    ]
    assert unused == []
