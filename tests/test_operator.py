"""The image and the chart of the operator fit each other and the packages."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CHART = ROOT / "charts/dask-k8s-operator"
DOCKERFILE = (ROOT / "images/controller/Dockerfile").read_text(encoding="utf-8")


def default(argument: str) -> str:
    """The default of a build argument."""
    (found,) = re.findall(rf'^ARG {argument}="?([^"\n]*)"?$', DOCKERFILE, re.MULTILINE)
    return found


@pytest.fixture(scope="module")
def projects(packages) -> dict[str, dict]:
    found = (tomllib.loads((path / "pyproject.toml").read_text())["project"] for path in packages)
    return {project["name"]: project for project in found}


def test_the_image_holds_the_controller_and_all_its_plugins(projects):
    plugins = {
        name
        for name, project in projects.items()
        if "dask_operator_plugin" in project.get("entry-points", {})
        and "dask-k8s-controller" in [name, *(each.split("=")[0] for each in project["dependencies"])]
    }
    assert set(default("DISTRIBUTIONS").split()) == plugins


def test_the_chart_grants_the_rights_of_what_the_image_holds():
    generator = (ROOT / "charts/tools/generate.py").read_text(encoding="utf-8")
    (ours,) = re.findall(r"^OURS = \[(.*)\]$", generator, re.MULTILINE)
    assert re.findall(r'"([^"]*)"', ours) == default("DISTRIBUTIONS").split()


def test_the_image_starts_the_controller(projects):
    (entry,) = re.findall(r'^ENTRYPOINT \["([^"]*)"\]$', DOCKERFILE, re.MULTILINE)
    assert entry in projects["dask-k8s-controller"]["scripts"]


def test_the_user_is_the_number_that_the_chart_names():
    (user,) = re.findall(r"^USER (\d+:\d+)$", DOCKERFILE, re.MULTILINE)
    values = (CHART / "values.yaml").read_text(encoding="utf-8")
    assert re.findall(r"^  runAs(?:User|Group): (\d+)$", values, re.MULTILINE) == user.split(":")


def test_all_have_one_version(projects):
    chart = (CHART / "Chart.yaml").read_text(encoding="utf-8")
    versions = re.findall(r"^(?:version|appVersion): (.*)$", chart, re.MULTILINE)
    assert {*versions, default("VERSION")} == {project["version"] for project in projects.values()}
