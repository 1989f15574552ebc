"""For all tests of the job plugin: golden files, no event loop left over."""

import asyncio
import json
from pathlib import Path

import pytest

GOLDEN = Path(__file__).with_name("golden")

# pytest-asyncio asks for the present loop and so makes one that nobody closes, unless none was ever wanted.
asyncio.set_event_loop(None)


def pytest_addoption(parser):
    parser.addoption("--update-golden-jobs", action="store_true", help="write the golden files of jobs anew")


@pytest.fixture
def golden(request):
    """Compare a value with a JSON file, whole; with --update-golden-jobs, write the file."""

    def compare(name, value):
        path = GOLDEN / f"{name}.json"
        text = json.dumps(value, indent=2) + "\n"
        if request.config.getoption("update_golden_jobs", default=False):
            path.write_text(text, encoding="utf-8")
        assert json.loads(path.read_text(encoding="utf-8")) == json.loads(text)

    return compare
