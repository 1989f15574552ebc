"""What the pages in `docs` say of tests: they are there, and `docs/failures.md` is what the tests go by."""

import ast
import builtins
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"\[`(test_\w+)`\]\(([^)]+)\)")
TABLE = re.compile(r"^\|.*\| Test \|\n\|[-| ]+\n((?:\|.*\n)*)", re.MULTILINE)
NEED_KUBERNETES = {"kubernetes", "namespace", "kubectl", "here"}
"""Fixtures of tests that need a Kubernetes."""
MARKER = re.compile(r"\bpytest\.mark\.(\w+)")
PAGES = sorted(ROOT.glob("docs/*.md"))
LINKS = [(page, *found) for page in PAGES for found in LINK.findall(page.read_text(encoding="utf-8"))]
CLIENT = ROOT / "packages/dask-k8s-client"


@cache
def markers_in(path: Path) -> dict[str, set[str]]:
    """The pytest markers of each test, with those of the module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    module = {
        name
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
        for name in MARKER.findall(ast.unparse(node.value))
    }
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {
        each.name: module.union(*(MARKER.findall(ast.unparse(one)) for one in each.decorator_list))
        for each in functions
    }


@cache
def found_in(path: Path) -> dict[str, list[str]]:
    """The arguments of each test."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {
        each.name: [one.arg for one in each.args.args] for each in functions if each.name.startswith("test")
    }


def rows(page: str) -> list[list[str]]:
    """The cells of each row of the tables of a page that have a column of tests."""
    text = (ROOT / f"docs/{page}.md").read_text(encoding="utf-8")
    lines = "".join(TABLE.findall(text)).splitlines()
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in lines]


@pytest.mark.parametrize("page, test, path", LINKS, ids=lambda value: getattr(value, "stem", value))
def test_a_test_that_a_page_names_is_there(page, test, path):
    file = (page.parent / path).resolve()
    assert file.is_file()
    assert test in found_in(file)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_line_that_is_to_have_a_test_has_one(page):
    assert [row for row in rows(page.stem) if not LINK.search(row[-1])] == []


def test_a_failure_is_a_test_and_the_other_way_round():
    """A test with the fixture `documented` asserts the message that the page has for it."""
    documented = [
        (name, file.relative_to(ROOT))
        for file in sorted(CLIENT.glob("tests/**/test_*.py"))
        for name, arguments in found_in(file).items()
        if {"documented", "fails"} & {*arguments}  # `fails` uses `documented`
    ]
    named = [
        (test, Path(path.removeprefix("../")))
        for _, _, _, _, cell in rows("failures")
        for test, path in LINK.findall(cell)
    ]
    assert sorted(named) == sorted(documented)
    assert len(named) == len(rows("failures"))


@pytest.mark.parametrize("row", [*rows("failures"), *rows("features")], ids=lambda row: row[0])
def test_a_row_has_a_test_in_the_default_tier(row):
    """It needs no Kubernetes or has the marker `core`, or its marker `real` says why not."""
    ((test, path),) = LINK.findall(row[-1])
    file = (ROOT / "docs" / path).resolve()
    needs_kubernetes = "behaviour" in file.parts or NEED_KUBERNETES.intersection(found_in(file)[test])
    assert not needs_kubernetes or {"core", "real"} & markers_in(file)[test]


@pytest.mark.parametrize("row", rows("failures"), ids=lambda row: row[0])
def test_an_exception_can_be_caught(row):
    """It is Python's own, or has a name that people can import."""
    public = ast.parse((CLIENT / "src/dask_k8s_client/__init__.py").read_text(encoding="utf-8"))
    (offered,) = (
        ast.literal_eval(node.value)
        for node in public.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    name = row[1].strip("`")
    assert hasattr(builtins, name) or name in offered


def test_examples_of_tests_are_those_of_the_template():
    """Which runs them."""
    page = (ROOT / "docs/plugins.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"^## Testing a plugin\n(.*?)^## ", page, re.MULTILINE | re.DOTALL)
    blocks = re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    files = (ROOT / "examples/plugin-template/tests").glob("*.py")
    template = "".join(path.read_text(encoding="utf-8") for path in files)
    assert len(blocks) == 3
    assert [block for block in blocks if block not in template] == []
