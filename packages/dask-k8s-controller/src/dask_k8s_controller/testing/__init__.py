"""The test kit for authors of plugins: a world in memory, manifests, a controller process.

Public, as `objects` and `fixtures` are. Only `fixtures` imports pytest.
"""

from dask_k8s_controller.testing.process import ControllerProcess
from dask_k8s_controller.testing.world import FakeAgent, FakeWorld

__all__ = ["ControllerProcess", "FakeAgent", "FakeWorld"]
