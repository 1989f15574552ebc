"""The table of cases, for every test with the parameter `case`, and objects to start from."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from dask_k8s_crds.manifests import MODELS

HERE = Path(__file__).parent
TABLE = yaml.safe_load((HERE / "cases.yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Case:
    """An object, and the paths of its invalid fields."""

    body: dict[str, Any]
    refused: frozenset[str]

    @property
    def model(self):
        return next(model for model in MODELS if model.resource.kind == self.body["kind"])


def changed(kind="DaskCluster", *, set=(), unset=()):  # the fields of the table
    body = copy.deepcopy(TABLE["bases"][kind])
    for path, value in dict(set).items():
        place, field = _place(body, path)
        place[field] = value
    for path in unset:
        place, field = _place(body, path)
        del place[field]
    return body


def _place(body, path):
    *outer, field = path.split(".")
    for step in outer:
        body = body[step]
    return body, field


def _case(refused=(), **change):
    return Case(changed(**change), frozenset(refused))


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        table = {entry["id"]: {k: v for k, v in entry.items() if k != "id"} for entry in TABLE["cases"]}
        cases = [pytest.param(_case(**fields), id=name) for name, fields in table.items()]
        metafunc.parametrize("case", cases)


@pytest.fixture
def make():
    """Make an object from a base, as the table does."""
    return changed


@pytest.fixture
def announced():
    """The DaskCluster in the announcement of 2022, word for word."""
    return HERE / "announcement.yaml"
