"""Tests use other packages of ours as their users do: by public names only.

Tests of a package may import all of its own modules, and from the others only what is public. Benchmarks
measure the inside of the controller, and may import it.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PUBLIC = re.compile(
    r"dask_k8s_crds(\.\w+)*"  # models, names, manifests: all of it is for authors of plugins
    r"|dask_k8s_controller"  # what `__all__` of the package names
    r"|dask_k8s_controller\.testing(\.\w+)*"  # the test kit
    r"|dask_k8s_client"  # what `__all__` of the package names
    r"|dask_k8s_local\.(pytest_plugin|server)"  # the fixtures, and `LocalKubernetes` as its README shows it
    r"|dask_kubernetes(\.\w+)*"  # the old import path, public as a whole
    r"|dask_k8s_(autoscaler|job)"  # plugins: nothing but their names
)
OURS = re.compile(r"dask_k8s_\w+|dask_kubernetes")
FOLDERS = ("packages/*/tests", "examples/tests", "examples/*/tests", "charts/tests", "tests")
FILES = sorted(file for folder in FOLDERS for path in ROOT.glob(folder) for file in path.rglob("*.py"))


def own_modules(file: Path) -> set[str]:
    """The modules of the package, or the example, to which a test belongs."""
    folder = next(parent for parent in file.parents if parent.name == "tests").parent
    return {path.name for path in folder.glob("src/*")}


def imported(tree: ast.AST) -> set[str]:
    """The modules that a file imports; a name counts as one where it is imported from a package of ours."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found |= {name.name for name in names}
            case ast.ImportFrom(module=str(module), level=0, names=names):
                found |= {
                    module,
                    *(f"{module}.{name.name}" for name in names if is_module(module, name.name)),
                }
    return found


def is_module(package: str, name: str) -> bool:
    path = Path(*package.split("."), name)
    return any(
        (source / path).is_dir() or (source / f"{path}.py").is_file()
        for source in ROOT.glob("packages/*/src")
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_only_public_modules_of_other_packages(file):
    own = own_modules(file)
    private = {
        module
        for module in imported(ast.parse(file.read_text(encoding="utf-8")))
        if OURS.fullmatch(module.partition(".")[0])
        and module.partition(".")[0] not in own
        and not PUBLIC.fullmatch(module)
    }
    assert private == set()


def test_finds_private_modules():
    """Or the test above could pass because it sees nothing."""
    code = "import dask_k8s_controller.app.cli\nfrom dask_k8s_controller import runtime, World\n"
    assert {module for module in imported(ast.parse(code)) if not PUBLIC.fullmatch(module)} == {
        "dask_k8s_controller.app.cli",
        "dask_k8s_controller.runtime",
    }
