"""What property tests have in common: how many examples they try, and values that break things. No tests."""

import os
import threading
import time
from collections.abc import Callable
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


def longest_hold(act: Callable[[], object]) -> float:
    """Run something in a thread; return for how many seconds it kept other threads from running at most.

    This thread looks at the processor time of that one as often as it can. What that one has used between two
    looks, it has used without a pause, whatever else runs on the machine. (Linux only.)
    """
    begin, results = threading.Event(), []

    def run() -> None:
        begin.wait()
        try:
            results.append(act())
        except BaseException as error:  # noqa: BLE001  # raised below
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    clock = time.pthread_getcpuclockid(thread.ident or 0)
    before, longest = time.clock_gettime(clock), 0.0
    begin.set()
    while not results:
        now = time.clock_gettime(clock)
        before, longest = now, max(longest, now - before)
        time.sleep(0)
    thread.join()
    if isinstance(results[0], BaseException):
        raise results[0]
    return longest


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
