"""A namespace, the controller that serves it, and the jobs in it, as their user sees them with kubectl."""

from contextlib import contextmanager

import pytest

from dask_k8s_controller.testing import ControllerProcess
from dask_k8s_local.pytest_plugin import NamespacedKubectl

WAIT = "import pathlib, time; go = pathlib.Path('/notes/go')\nwhile not go.exists(): time.sleep(0.1)"
"""Code of a runner that ends when the test calls `go`."""
ENDS = ("Successful", "Failed")


class World(NamespacedKubectl):
    """A namespace."""

    kubectl = NamespacedKubectl.__call__

    def pods(self, selector=""):
        """Names of pods that are not on their way out."""
        found = self.all("pods", selector)
        return {each["metadata"]["name"] for each in found if "deletionTimestamp" not in each["metadata"]}

    def until(self, holds):
        """Look until it holds; return what it gave."""
        return self.poll(holds, "daskjobs,daskclusters,jobs,pods")

    @contextmanager
    def controller(self):
        """Run a controller for this namespace; one that was not killed ends without a value of complaint."""
        with ControllerProcess(self._kubectl.kubeconfig, f"--namespace={self.namespace}") as controller:
            yield controller


class Job:
    """A DaskJob and what is made for it."""

    def __init__(self, world, manifest):
        self.world = world
        self.name = manifest["metadata"]["name"]
        self.created = world.apply(manifest, options=("-o", "jsonpath={.metadata.resourceVersion}"))

    @property
    def status(self):
        return self.world.get(f"daskjob/{self.name}").get("status", {})

    @property
    def value(self):
        return self.status.get("jobStatus")

    @property
    def runners(self):
        """Names of its runner's pods."""
        return self.world.pods(f"batch.kubernetes.io/job-name={self.name}-runner")

    @property
    def running(self):
        """Names of its runner's pods that run."""
        pods = self.world.all("pods", f"batch.kubernetes.io/job-name={self.name}-runner")
        return {each["metadata"]["name"] for each in pods if each["status"]["phase"] == "Running"}

    @property
    def pods(self):
        """Names of all its pods, those of its own cluster among them."""
        return self.world.pods(f"dask.org/cluster-name={self.name}")

    @property
    def has_cluster(self):
        return self.world.exists(f"daskcluster/{self.name}")

    def condition(self, kind):
        found = {each["type"]: each for each in self.status.get("conditions", ())}
        return found.get(kind, {"status": None, "reason": None, "message": ""})

    def patch(self, **spec):
        self.world.patch(f"daskjob/{self.name}", {"spec": spec})

    def delete(self):
        self.world.kubectl("delete", f"daskjob/{self.name}")

    def go(self):
        """Have the runner end that waits."""
        (pod,) = self.runners
        self.world.kubectl("exec", pod, "--", "touch", "/notes/go")

    def says(self, value):
        self.world.until(lambda: self.value == value)

    def end(self):
        """Wait for its end; return the value."""
        return self.world.until(lambda: self.value in ENDS and self.value)

    def story(self):
        """The values of `jobStatus` from its creation, which must be recent, until its end."""
        path = f"{self.world.path('daskjobs')}?fieldSelector=metadata.name%3D{self.name}"
        values = []
        for event in self.world.watch(path, self.created):
            assert event["type"] != "ERROR", event
            value = event["object"].get("status", {}).get("jobStatus")
            if value and value not in values:
                values.append(value)
            if value in ENDS:
                return values
        pytest.fail(f"no end after {values}:\n" + self.world.kubectl("get", "daskjobs", "-o", "yaml"))

    def fails(self):
        """Wait for its failure; return the reason and the message."""
        assert self.end() == "Failed"
        failed = self.condition("Failed")
        assert failed["status"] == "True"
        return failed["reason"], failed["message"]

    def logs(self):
        return self.world.kubectl("logs", self.status["jobRunnerPodName"])

    def loses_cluster(self):
        self.world.until(lambda: not self.has_cluster)
        self.world.until(lambda: self.pods == self.runners)
