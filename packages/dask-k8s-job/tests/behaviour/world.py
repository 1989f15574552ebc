"""A namespace, the controller that serves it, and the jobs in it, as their user sees them with kubectl."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
from contextlib import contextmanager

import pytest
import yaml

DEADLINE = 120
"""Seconds for anything that is awaited."""
KUBECTL = shutil.which("kubectl", path=f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}")
WAIT = "import pathlib, time; go = pathlib.Path('/notes/go')\nwhile not go.exists(): time.sleep(0.1)"
"""Code of a runner that ends when it is told to `go`."""
ENDS = ("Successful", "Failed")
CONTROLLER = (sys.executable, "-m", "dask_k8s_controller")


class World:
    """A namespace."""

    def __init__(self, environment, namespace):
        self.environment = environment
        self.namespace = namespace

    def kubectl(self, *words, **options):
        command = [KUBECTL, "-n", self.namespace, *words]
        done = subprocess.run(
            command, check=False, env=self.environment, capture_output=True, text=True, **options
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, *manifests, output="name"):
        return self.kubectl("apply", "-f", "-", "-o", output, input=yaml.safe_dump_all(manifests))

    def get(self, target, *words):
        return json.loads(self.kubectl("get", target, *words, "-o", "json"))

    def exists(self, target):
        return bool(self.kubectl("get", target, "--ignore-not-found", "-o", "name"))

    def pods(self, selector=""):
        """Names of pods that are not on their way out."""
        found = self.get("pods", "-l", selector)["items"]
        return {each["metadata"]["name"] for each in found if "deletionTimestamp" not in each["metadata"]}

    def until(self, holds, seconds=DEADLINE):
        """Look until it holds; return what it gave."""
        deadline = time.monotonic() + seconds
        while not (found := holds()):
            if time.monotonic() > deadline:
                shown = self.kubectl("get", "daskjobs,daskclusters,jobs,pods", "-o", "wide")
                pytest.fail(shown + self.kubectl("get", "daskjobs", "-o", "yaml"))
            time.sleep(0.1)
        return found

    @contextmanager
    def controller(self):
        """Run a controller for this namespace; one that was not killed ends without a word of complaint."""
        command = [*CONTROLLER, "run", "--namespace", self.namespace]
        with subprocess.Popen(command, env=self.environment, stderr=subprocess.PIPE, text=True) as process:
            log = []
            for line in process.stderr:
                log.append(line)
                if "Ready" in line:
                    break
            else:
                pytest.fail("".join(log))
            reader = threading.Thread(target=log.extend, args=(process.stderr,))
            reader.start()
            try:
                yield process
            finally:
                process.terminate()
                reader.join()
        sys.stdout.write("".join(log))  # shown with a test that failed
        assert process.returncode in {0, -9}
        assert "Traceback" not in "".join(log)


class Job:
    """A DaskJob and what is made for it."""

    def __init__(self, world, manifest):
        self.world = world
        self.name = manifest["metadata"]["name"]
        self.created = world.apply(manifest, output="jsonpath={.metadata.resourceVersion}")

    @property
    def status(self):
        return self.world.get(f"daskjob/{self.name}").get("status", {})

    @property
    def word(self):
        return self.status.get("jobStatus")

    @property
    def runners(self):
        """Names of its runner's pods."""
        return self.world.pods(f"batch.kubernetes.io/job-name={self.name}-runner")

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
        self.world.kubectl("patch", f"daskjob/{self.name}", "--type=merge", "-p", json.dumps({"spec": spec}))

    def delete(self):
        self.world.kubectl("delete", f"daskjob/{self.name}")

    def go(self):
        """Have the runner end that waits."""
        (pod,) = self.runners
        self.world.kubectl("exec", pod, "--", "touch", "/notes/go")

    def says(self, word):
        self.world.until(lambda: self.word == word)

    def end(self):
        """Wait for its end; return the word."""
        return self.world.until(lambda: self.word in ENDS and self.word)

    def story(self):
        """The words that it has gone through from its creation, which was not long ago, until its end."""
        watch = f"watch=1&resourceVersion={self.created}&timeoutSeconds={DEADLINE}"
        path = f"/apis/kubernetes.dask.org/v1/namespaces/{self.world.namespace}/daskjobs"
        command = [KUBECTL, "get", "--raw", f"{path}?{watch}&fieldSelector=metadata.name%3D{self.name}"]
        words = []
        with subprocess.Popen(
            command, env=self.world.environment, stdout=subprocess.PIPE, text=True
        ) as process:
            for line in process.stdout:
                event = json.loads(line)
                assert event["type"] != "ERROR", line
                word = event["object"].get("status", {}).get("jobStatus")
                if word and word not in words:
                    words.append(word)
                if word in ENDS:
                    process.terminate()
                    return words
        pytest.fail(f"no end after {words}:\n" + self.world.kubectl("get", "daskjobs", "-o", "yaml"))

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
