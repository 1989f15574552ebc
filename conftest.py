"""For all tests: those that use the fixture `kubernetes` get that marker; what the marker `real` means."""

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if "kubernetes" in getattr(item, "fixturenames", ()):
            item.add_marker("kubernetes")
        if (real := item.get_closest_marker("real")) and config.getoption("kubeconfig", None) is None:
            item.add_marker(pytest.mark.skip(real.args[0]))
