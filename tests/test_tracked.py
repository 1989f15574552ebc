"""What may be in no file that git tracks, because it is true on one machine only."""

import re

import pytest


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param(r"(?<![\w.~])/(root|home|work|Users)/", id="path"),
        pytest.param(r"index[-_]url|find[-_]links *=|pythonhosted|/simple/?\b", id="package index"),
    ],
)
def test_holds_nothing_of_a_machine(tracked, pattern):
    found = [
        f"{path}:{number}: {line.strip()[:100]}"
        for path, text in tracked.items()
        for number, line in enumerate(text.splitlines(), 1)
        if path != "tests/test_tracked.py" and re.search(pattern, line)
    ]
    assert found == []
