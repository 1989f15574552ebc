"""What every package has, and has in common with the others."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = re.compile(r"dask-k8s-\w+")


def module_of(package):
    """Named as the package, but for the one whose purpose is another name."""
    return {"dask-k8s-compat": "dask_kubernetes"}.get(package.name, package.name.replace("-", "_"))


def test_has_what_a_distribution_needs(package):
    needed = [f"src/{module_of(package)}/py.typed", "README.md", "LICENSE", "tests"]
    assert [path for path in needed if not (package / path).exists()] == []


def test_has_the_license_of_the_workspace(package):
    assert (package / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_is_one_module_built_by_hatchling(package, project):
    assert project["project"]["name"] == package.name
    assert project["build-system"]["build-backend"] == "hatchling.build"
    assert [path.parent.name for path in (package / "src").glob("*/__init__.py")] == [module_of(package)]


def test_has_the_version_of_all(project, packages):
    others = [tomllib.loads((path / "pyproject.toml").read_text())["project"] for path in packages]
    assert {other["version"] for other in others} == {project["project"]["version"]}


def test_pins_its_siblings_to_that_version(project, requirements):
    siblings = [requirement for requirement in requirements if OURS.match(requirement)]
    assert siblings == [f"{OURS.match(sibling)[0]}=={project['project']['version']}" for sibling in siblings]


def test_every_requirement_has_its_reason_beside_it(package, requirements):
    lines = (package / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    beside = [line.split("#") for line in lines if "#" in line]
    explained = {before.strip(' ",') for before, *_ in beside}
    assert set(requirements) - explained == set()


@pytest.mark.parametrize(
    "listed",
    [
        pytest.param(lambda tool: tool["ruff"]["lint"]["isort"]["known-first-party"], id="isort"),
        pytest.param(lambda tool: tool["coverage"]["run"]["source_pkgs"], id="coverage"),
        pytest.param(lambda tool: tool["importlinter"]["root_packages"], id="import-linter"),
    ],
)
def test_tools_know_all_packages(workspace, packages, listed):
    assert sorted(listed(workspace["tool"])) == sorted(map(module_of, packages))


def test_mypy_knows_all_packages(workspace, packages):
    path = workspace["tool"]["mypy"]["mypy_path"]
    ours = [f"packages/{package.name}/src" for package in packages]
    assert sorted(path) == sorted([*ours, "examples/plugin-template/src"])
