"""Fixtures of the controller's test kit, and kubectl in the namespace of a test."""

import pytest

pytest_plugins = ["dask_k8s_controller.testing.fixtures"]


@pytest.fixture
def here(kubectl, namespace):
    """Run kubectl in the test's namespace."""
    return kubectl.within(namespace)
