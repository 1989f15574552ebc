"""What property tests have in common: how many examples they try, and values that break things. No tests."""

import os
from typing import Any

import hypothesis
from hypothesis import strategies as st

for_all = hypothesis.given  # codespell:ignore given
"""Runs a test for many examples."""

TOTAL = int(os.environ.get("DASK_K8S_EXAMPLES", "400"))
"""Examples of all property tests together: few before each commit, 20,000 in `nox -s full`."""


def share(part: float) -> hypothesis.settings:
    """Return settings with this part of the examples; time is not limited, since other tests may run."""
    return hypothesis.settings(max_examples=max(1, round(TOTAL * part)), deadline=None, database=None)


def nested(levels: int) -> Any:
    """Return arrays in each other."""
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


DEEP = "(nested)"
"""Stands for a value that is nested more deeply than the controller reads, and hypothesis prints."""
ODD_STRINGS = [
    "",
    "9" * 4301,
    "9" * 9,
    "-1",
    "NaN",
    "1e400",
    "٣",
    "x" * 100_000,
    "😀" * 1000,
    "\0",
    "../..",
    "[" * 1000,
    '{"labels": {"digest": 7, "keys": [[], {}, 5, "a"]}, "annotations": [], "spec": {"keys": 7}}',
    "True",
    "Running",
    "Failed",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "2026-11-23T11:59:00",
]
ODD_VALUES = [
    *ODD_STRINGS,
    None,
    True,
    0,
    -1,
    2**63,
    1e308,
    [],
    {},
    [[]],
    [{}],
    [None],
    {"": {}},
    {"a": [7]},
    DEEP,
]

strings = st.sampled_from(ODD_STRINGS) | st.text(max_size=8)
"""Strings as the API server takes them, and it takes nearly any."""
values = st.sampled_from(ODD_VALUES) | st.text(max_size=8) | st.integers() | st.floats(allow_nan=False)
"""JSON values of any type."""
