"""What `docs/status.md` says is what the code can say: its phases, conditions' reasons and Events, both ways.

The code is read, not run: reasons are found where findings are made. In which condition a reason stands, and
which phase follows which, is asked of the running code by the tests of the packages.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WORD = re.compile(r"([A-Z][a-z]+)+")

FINDINGS = {"Finding": 0, "Trouble": 0, "AgentError": 0, "JobResult.failure": 0, "Change": 3}
"""What is made of a reason, and at which place the reason stands."""
EVENTS = {"Event": 1}
OF_CONTROLLER = {"invalid_status": "InvalidSpec", "HEALTHY": "Healthy"}
"""Findings of the controller's public API that plugins use, by name, with their reasons."""

OF_KUBERNETES = {
    # Reasons that the API server gives for a refusal.
    "Forbidden", "AlreadyExists", "TooManyRequests",
    # Of a container that waits, of a pod that failed.
    "CreateContainerConfigError", "CreateContainerError", "RunContainerError",
    "Evicted", "Terminated", "OutOfcpu", "OutOfmemory", "UnexpectedAdmissionError",
    # Of a Job that has ended.
    "CompletionsReached", "BackoffLimitExceeded", "DeadlineExceeded", "PodFailurePolicy",
}  # fmt: skip
"""Reasons that the code passes on: they have no end, and these are the ones that the page names."""
NEVER_REPORTED = {"dask-k8s-job": {"Successful", "Failed"}}
"""Phases of a job that has ended are no reason: how it ended is."""


def table(heading: str) -> list[list[str]]:
    """The rows of the table below a heading of the page."""
    page = (ROOT / "docs/status.md").read_text(encoding="utf-8")
    (below,) = re.findall(rf"^#+ {heading}\n(.*?)(?=^#|\Z)", page, re.MULTILINE | re.DOTALL)
    lines = [line.strip("|").split("|") for line in below.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in lines[2:]]


def named(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


def documented(*headings: str) -> list[str]:
    """The first cells of tables."""
    return [word for heading in headings for row in table(heading) for word in named(row[0])]


class Source:
    """A module in which reasons are made, and what literals reach the places where they are."""

    def __init__(self, path: Path) -> None:
        self.tree = ast.parse(path.read_text(encoding="utf-8"))
        self.functions = {
            node.name: node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }

    @property
    def imported_reasons(self) -> set[str]:
        """The reasons of the controller's findings that this module of a plugin imports."""
        names = {
            name.name
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ImportFrom) and node.module == "dask_k8s_controller"
            for name in node.names
        }
        return {reason for name, reason in OF_CONTROLLER.items() if name in names}

    def reasons(self, makers: dict[str, int]) -> set[str]:
        found = set()
        for scope in (self.tree, *self.functions.values()):
            for call in own_calls(scope):
                place = makers.get(ast.unparse(call.func))
                if place is not None and len(call.args) > place:
                    found |= self.literals(call.args[place], scope)
        return found

    def literals(self, value: ast.AST, scope: ast.AST) -> set[str]:
        """Literals in an expression: a name is what it stands for, a call of ours what it returns."""
        match value:
            case ast.Constant(value=str(word)) if WORD.fullmatch(word):
                return {word}
            case ast.Attribute():  # somebody's reason, which is passed on
                return set()
            case ast.Call(func=ast.Name(id=name)) if name in self.functions:
                function = self.functions[name]
                ends = (node for node in ast.walk(function) if isinstance(node, ast.Return))
                values = [(end.value, function) for end in ends]
            case ast.Name(id=name):
                values = [(source, ast.Module([], [])) for source in self.sources(name, scope)]
            case _:
                values = [(node, scope) for node in ast.iter_child_nodes(value)]
        return set().union(*(self.literals(node, where) for node, where in values if node is not None))

    def sources(self, name: str, scope: ast.AST) -> Iterator[ast.AST]:
        """Yield the expressions that a name stands for: assigned in the function, or passed to it."""
        for node in ast.walk(scope):
            if isinstance(node, ast.Assign) and any(
                isinstance(target, ast.Name) and target.id == name
                for each in node.targets
                for target in ast.walk(each)
            ):
                yield node.value
        if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
            parameters = [argument.arg for argument in scope.args.args if argument.arg != "self"]
            if name in parameters:
                for call in ast.walk(self.tree):
                    if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(scope.name):
                        yield from call.args[parameters.index(name) :][:1]


def own_calls(scope: ast.AST) -> Iterator[ast.Call]:
    """Calls in a function or module, and not those in functions inside of it."""
    for node in ast.iter_child_nodes(scope):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.Call):
            yield node
        yield from own_calls(node)


def sources(package: str) -> list[Source]:
    return [Source(path) for path in sorted((ROOT / "packages" / package / "src").rglob("*.py"))]


@pytest.mark.parametrize(
    "package, headings",
    [
        pytest.param(
            "dask-k8s-controller",
            (
                *("Reasons of a DaskCluster", "Reasons of a DaskWorkerGroup"),
                *("Reasons of UnknownFields", "Reasons of QueueLabelIgnored", "Reasons of trouble"),
            ),
            id="controller",
        ),
        pytest.param("dask-k8s-job", ("Reasons of a DaskJob",), id="job"),
        pytest.param("dask-k8s-autoscaler", ("Reasons of a DaskAutoscaler",), id="autoscaler"),
    ],
)
def test_reasons(package, headings):
    made = set().union(*(source.reasons(FINDINGS) | source.imported_reasons for source in sources(package)))
    assert set(documented(*headings)) - OF_KUBERNETES == made - NEVER_REPORTED.get(package, set())


@pytest.mark.parametrize("kind", ["job", "autoscaler"])
def test_conditions(kind):
    calls = [each for source in sources(f"dask-k8s-{kind}") for each in ast.walk(source.tree)]
    made = {
        keyword.arg
        for call in calls
        if isinstance(call, ast.Call) and ast.unparse(call.func) in {"conditions", "invalid_status"}
        for keyword in call.keywords
    }
    assert set(documented(f"Conditions of a Dask{kind.capitalize()}")) == made


def test_reasons_of_kubernetes():
    every = documented("Reasons of trouble", "Reasons of a DaskJob")
    assert set(every) >= OF_KUBERNETES


def test_events():
    packages = ("dask-k8s-controller", "dask-k8s-job", "dask-k8s-autoscaler")
    made = [source.reasons(EVENTS) for package in packages for source in sources(package)]
    assert set(documented("Events")) == set().union(*made)


@pytest.mark.parametrize(
    "package, expected",
    [
        pytest.param("dask-k8s-controller", {"finding.reason"}, id="controller"),
        pytest.param("dask-k8s-job", set(), id="job"),
        pytest.param("dask-k8s-autoscaler", set(), id="autoscaler"),
    ],
)
def test_a_condition_has_its_reason_from_a_finding(package, expected):
    """Or the search above would miss it; plugins make conditions with the function of the controller."""
    calls = [call for source in sources(package) for call in ast.walk(source.tree) if is_condition(call)]
    reasons = {ast.unparse(word.value) for call in calls for word in call.keywords if word.arg == "reason"}
    assert reasons == expected
    assert all(not call.args for call in calls)


def is_condition(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "Condition"


@pytest.mark.parametrize(
    "module, alias, heading",
    [
        pytest.param("cluster", "ClusterPhase", "Phases of a DaskCluster", id="DaskCluster"),
        pytest.param("job", "JobPhase", "Phases of a DaskJob", id="DaskJob"),
    ],
)
def test_phases(module, alias, heading):
    tree = ast.parse((ROOT / f"packages/dask-k8s-crds/src/dask_k8s_crds/{module}.py").read_text())
    assignments = (node for node in tree.body if isinstance(node, ast.Assign))
    (phases,) = (node.value for node in assignments if ast.unparse(node.targets[0]) == alias)
    expected = [node.value for node in ast.walk(phases) if isinstance(node, ast.Constant)]
    assert sorted(documented(heading)) == sorted(expected)


@pytest.mark.parametrize(
    "heading", re.findall(r"^### (.*)", (ROOT / "docs/status.md").read_text(encoding="utf-8"), re.MULTILINE)
)
def test_a_row_is_whole_and_there_once(heading):
    rows = table(heading)
    assert len({len(row) for row in rows}) <= 1
    assert len(documented(heading)) == len(set(documented(heading)))
