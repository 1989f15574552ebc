"""The workspace as data: its packages and the files that git tracks."""

import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))


@pytest.fixture(scope="session")
def workspace() -> dict:
    """The workspace's pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def packages() -> list[Path]:
    return PACKAGES


@pytest.fixture(params=PACKAGES, ids=lambda path: path.name)
def package(request) -> Path:
    return request.param


@pytest.fixture
def project(package) -> dict:
    """The package's pyproject.toml."""
    return tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture
def requirements(project) -> list[str]:
    """Whatever the package asks for: to run, with an extra, to be tested."""
    lists = [
        project["project"]["dependencies"],
        *project["project"].get("optional-dependencies", {}).values(),
        *project["dependency-groups"].values(),
    ]
    return [requirement for each in lists for requirement in each]


@pytest.fixture(scope="session")
def tracked() -> dict[str, str]:
    """What git tracks: the text of each file by its path, pictures left out."""
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = [path for path in listed.split("\0") if not path.endswith(".png") and (ROOT / path).is_file()]
    return {path: (ROOT / path).read_text(encoding="utf-8") for path in paths}
