"""Tests that share a Kubernetes do not disturb each other."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    path for path in ROOT.glob("*/**/tests/**/test_*.py") if not path.is_relative_to(ROOT / ".nox")
)


def serving_all_namespaces(source):
    """Yield the tests that run a controller for all namespaces, and whether they are marked `alone`."""
    for test in ast.walk(ast.parse(source)):
        if isinstance(test, ast.FunctionDef | ast.AsyncFunctionDef) and test.name.startswith("test_"):
            calls = [node for node in ast.walk(test) if isinstance(node, ast.Call)]
            if any(is_for_all_namespaces(call) for call in calls):
                yield test.name, any(ast.unparse(mark).endswith("mark.alone") for mark in test.decorator_list)


def is_for_all_namespaces(call):
    """Whether a call is `run_controller("--all-namespaces", …)`."""
    arguments = [each.value for each in call.args if isinstance(each, ast.Constant)]
    return ast.unparse(call.func) == "run_controller" and "--all-namespaces" in arguments


def test_a_controller_for_all_namespaces_runs_alone(tracked):
    """It would act on the clusters of tests that run at the same time, beside their own controllers."""
    found = {
        f"{path}::{name}": alone
        for path, text in tracked.items()
        if path.endswith(".py") and "/tests/" in path
        for name, alone in serving_all_namespaces(text)
    }
    assert found, "no test runs such a controller"
    assert [name for name, alone in found.items() if not alone] == []


@pytest.mark.parametrize("marked", [True, False])
def test_the_check_finds_a_test_without_the_mark(marked):
    mark = "@pytest.mark.alone\n" if marked else "@pytest.mark.core\n"
    source = f'{mark}def test_it(run_controller):\n    run_controller("--all-namespaces", namespaces=())\n'
    assert list(serving_all_namespaces(source)) == [("test_it", marked)]
