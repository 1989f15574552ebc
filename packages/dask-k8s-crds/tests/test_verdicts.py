import pytest
import yaml

from dask_k8s_crds import DaskCluster, InvalidObject

NAMED = {"name": "a"}


def test_models_decide_as_the_table_says(case):
    assert {problem.path for problem in case.model.problems(case.body)} == case.refused


def test_admit_raises_with_every_problem_or_parses(case):
    if not case.refused:
        assert case.model.admit(case.body) == case.model.parse(case.body)
        return
    with pytest.raises(InvalidObject) as caught:
        case.model.admit(case.body)
    assert {problem.path for problem in caught.value.problems} == case.refused
    assert all(f"{problem.path}: {problem.message}" in str(caught.value) for problem in caught.value.problems)


def test_parse_never_refuses_what_is_admitted_and_reports_the_same_problems(case):
    """It may let pass what is wrong inside of a template: an API server has looked there."""
    try:
        case.model.parse(case.body)
    except InvalidObject as error:
        assert error.problems == tuple(case.model.problems(case.body))  # noqa: PT017


def test_the_announced_cluster_is_admitted(announced):
    cluster = DaskCluster.admit(yaml.safe_load(announced.read_text(encoding="utf-8")))
    assert cluster.spec.worker.replicas == 3
    assert "resources" not in cluster.spec.worker.spec["containers"][0]


@pytest.mark.parametrize(
    "change, problem",
    [
        pytest.param(
            {"spec.worker.replicas": -1},
            "spec.worker.replicas: Invalid value: -1: "
            "spec.worker.replicas in body should be greater than or equal to 0",
            id="minimum",
        ),
        pytest.param(
            {"spec.worker.replicas": "3"},
            'spec.worker.replicas: Invalid value: "string": '
            'spec.worker.replicas in body must be of type integer: "string"',
            id="type",
        ),
        pytest.param({"spec.worker.spec": {}}, "spec.worker.spec.containers: Required value", id="required"),
        pytest.param(
            {"spec.worker.spec.containers": []},
            "spec.worker.spec.containers: Invalid value: 0: "
            "spec.worker.spec.containers in body should have at least 1 items",
            id="items",
        ),
        pytest.param(
            {"metadata.name": "a.b"},
            "metadata.name: Invalid value: \"object\": must be at most 53 characters, only a-z, 0-9 and '-', "
            "start with a letter and end with a letter or digit",
            id="rule",
        ),
        pytest.param({"spec.wrong": 1}, "spec.wrong: unknown field", id="unknown"),
    ],
)
def test_problems_have_the_messages_of_the_api_server(make, change, problem):
    body = make(set=change)
    with pytest.raises(InvalidObject) as caught:
        DaskCluster.admit(body)
    assert str(caught.value) == f'DaskCluster "{body["metadata"]["name"]}" is invalid: {problem}'


@pytest.mark.parametrize(
    "body, path",
    [
        pytest.param({}, "metadata.name", id="empty"),
        pytest.param({"metadata": "x"}, "metadata.name", id="metadata-as-string"),
        pytest.param({"metadata": {"name": None}}, "metadata.name", id="name-null"),
        pytest.param({"metadata": NAMED, "kind": "DaskCluster"}, "apiVersion", id="version-absent"),
        pytest.param({"metadata": NAMED, "kind": "Pod"}, "kind", id="another-kind"),
        pytest.param({"metadata": NAMED, "spec": []}, "spec", id="spec-as-list"),
    ],
)
def test_what_is_no_object_of_ours_is_refused_and_not_an_error(body, path):
    with pytest.raises(InvalidObject) as caught:
        DaskCluster.admit(body)
    assert path in {problem.path for problem in caught.value.problems}


def test_a_name_may_be_left_to_the_api_server(make):
    body = make(set={"metadata": {"generateName": "example-"}})
    assert DaskCluster.admit(body).metadata.name == ""
