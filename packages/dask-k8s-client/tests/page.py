"""`docs/failures.md` as data: the exception and messages documented for the failure that a test causes."""

import builtins
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import dask_k8s_client

PAGE = Path(__file__).parents[3] / "docs/failures.md"


class Row(NamedTuple):
    """A row of a table."""

    what: str
    exception: str
    message: str
    remedy: str
    test: str


@cache
def rows() -> dict[str, Row]:
    """Return the rows by the name of their test."""
    lines = [
        line.strip("|") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")
    ]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in lines]
    found = [Row(*(cell.replace("\\|", "|") for cell in row)) for row in cells if "test_" in row[-1]]
    return {re.search(r"test_\w+", row.test)[0]: row for row in found}


class DocumentedFailure:
    """What the page documents for one failure; `names` maps names on the page to those in the test."""

    def __init__(self, row: Row) -> None:
        name = row.exception.strip("`")
        self.exception = getattr(builtins, name, None) or getattr(dask_k8s_client, name)
        self.message = row.message.strip("`")
        self._remedy = row.remedy

    @property
    def last_line(self) -> str:
        """The last line on the shell if a cluster was created but does not start."""
        return re.search(r"^The cluster stays: .*", PAGE.read_text(encoding="utf-8"), re.MULTILINE)[0]

    @contextmanager
    def raised(self, names: Mapping[str, str] | None = None) -> Iterator[None]:
        """Expect the exception with the message."""
        with pytest.raises(self.exception) as raised:
            yield
        self._assert_message(str(raised.value), self.message, names)

    def printed(self, done, names: Mapping[str, str] | None = None, *, last: str | None = None) -> None:
        """Expect that the command has failed with the message, and that its last line is the remedy."""
        assert done.exit_code == 1
        last = self._remedy if last is None else last
        self._assert_message(done.stderr, f"Error: {self.message} {last}", names)

    def matches(self, error: BaseException, names: Mapping[str, str] | None = None) -> bool:
        """Return whether an exception has the message."""
        return _pattern(self.message, names).fullmatch(_in_one_line(str(error))) is not None

    @staticmethod
    def _assert_message(found: str, expected: str, names: Mapping[str, str] | None) -> None:
        assert _pattern(expected, names).fullmatch(_in_one_line(found)), f"{found}\nis not\n{expected}"


def _in_one_line(text: str) -> str:
    return " ".join(text.split())


def _pattern(expected: str, names: Mapping[str, str] | None) -> re.Pattern[str]:
    """Return a pattern for a message on the page: `…` matches anything, a number of seconds any number."""
    for name, own in (names or {}).items():
        expected = expected.replace(name, own)
    pattern = re.escape(expected.strip()).replace("…", ".*")
    return re.compile(re.sub(r"\d+(?=\\ s\b)", r"\\d+", pattern))
