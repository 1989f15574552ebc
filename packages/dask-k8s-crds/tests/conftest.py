"""The table of cases, for every test with the parameter `case`, and objects to start from."""

import copy
import os
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from dask_k8s_crds import manifests
from dask_k8s_crds import yaml as printed
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


@pytest.fixture(scope="session")
def crds(kubernetes, tmp_path_factory):
    """Our CRDs, installed as users do it; they stay, since other people's clusters may hang on them."""
    file = tmp_path_factory.mktemp("crds") / "crds.yaml"
    file.write_text(printed.documents(manifests.crds()), encoding="utf-8")
    names = [f"crd/{crd['metadata']['name']}" for crd in manifests.crds()]
    environment = os.environ | {"KUBECONFIG": str(kubernetes.kubeconfig)}
    for command in (["apply", "-f", file], ["wait", "--for=condition=Established", *names]):
        subprocess.run(["kubectl", *command], check=True, env=environment, timeout=60)


@pytest.fixture(scope="session")
def post(crds, kubectl):
    """Create an object as `kubectl create` does; return what the API server made of it."""

    def post(namespace, body, options=""):
        path = kubectl.api.resource(body["kind"]).path(namespace)
        return kubectl.api.request("POST", f"{path}?fieldValidation=Strict{options}", whole(body))

    def whole(value):
        """Return it with 3 in place of 3.0, as kubectl sends it."""
        match value:
            case dict():
                return {key: whole(each) for key, each in value.items()}
            case list():
                return list(map(whole, value))
            case float():
                return int(value) if value.is_integer() else value
        return value

    return post


@pytest.fixture
def here(crds, kubectl, namespace):
    """The namespace of the test."""
    return kubectl.within(namespace)


@pytest.fixture
def created(post, namespace):
    """Create an object; return what the API server made of it."""
    return partial(post, namespace)
