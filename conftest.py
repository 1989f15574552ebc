"""For every package's tests: those that use the fixture `kubernetes` get the marker of that name."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "kubernetes" in getattr(item, "fixturenames", ()):
            item.add_marker("kubernetes")
