"""kubectl for tests: run it, on a cluster or in one namespace, and wait for what a test expects.

The classes know nothing of which resources there are. `dask_k8s_local.pytest_plugin` makes them.
"""

import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

Json = dict[str, Any]
T = TypeVar("T")

DEADLINE = 120
"""Seconds to wait for anything."""


@dataclass(frozen=True)
class Kubectl:
    """Runs kubectl: `kubectl("get", "pods", "-n", "default")`."""

    program: str
    kubeconfig: Path
    cache: Path

    def __call__(
        self, *arguments: str, check: bool = True, input: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run it; with `check`, a failure raises CalledProcessError."""
        with self.start(*arguments, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            output, errors = process.communicate(input)
        if check and process.returncode:
            error = subprocess.CalledProcessError(process.returncode, process.args, output, errors)
            error.add_note(errors)
            raise error
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start it; its standard output is a pipe."""
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self.cache)}
        command = [self.program, *arguments]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, **options)

    def within(self, namespace: str) -> "NamespacedKubectl":
        """Return kubectl in a namespace."""
        return NamespacedKubectl(self, namespace)

    @contextmanager
    def new_namespace(self, name: str = "") -> "Iterator[NamespacedKubectl]":
        """Create a namespace, by default of a random name, and delete it at the end of the context."""
        here = self.within(name or f"test-{uuid.uuid4().hex[:10]}")
        self("create", "namespace", here.namespace)
        try:  # pods are rejected until their service account exists
            here("wait", "--for=create", "serviceaccount/default", f"--timeout={DEADLINE}s")
            yield here
        finally:
            self("delete", "namespace", here.namespace, "--wait=false", "--ignore-not-found")


class NamespacedKubectl:
    """Runs kubectl in a namespace: `here("get", "pods")`; its methods are what tests do most."""

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self._kubectl = kubectl
        self.namespace = namespace

    def __call__(self, *arguments: str, check: bool = True, input: str | None = None) -> str:
        """Return what kubectl prints, errors too if they are not checked."""
        done = self._kubectl("-n", self.namespace, *arguments, check=check, input=input)
        return done.stdout + ("" if check else done.stderr)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start kubectl; its standard output is a pipe."""
        return self._kubectl.start("-n", self.namespace, *arguments, **options)

    def apply(self, *manifests: Json, options: tuple[str, ...] = (), check: bool = True) -> str:
        """Apply manifests."""
        documents = "\n---\n".join(map(json.dumps, manifests))
        return self("apply", "-f", "-", *options, input=documents, check=check)

    def patch(self, target: str, change: Json, *options: str) -> str:
        """Apply a JSON merge patch to an object."""
        return self("patch", target, "--type=merge", "-p", json.dumps(change), *options)

    def get(self, target: str) -> Json:
        """Return an object; `target` is for example `pod/web`."""
        found: Json = json.loads(self("get", target, "-o", "json"))
        return found

    def exists(self, target: str) -> bool:
        """Whether there is such an object."""
        return bool(self("get", target, "--ignore-not-found", "-o", "name"))

    def all(self, resource: str, selector: str = "") -> list[Json]:
        """Return the objects with these labels."""
        items: list[Json] = json.loads(self("get", resource, "-l", selector, "-o", "json"))["items"]
        return items

    def names(self, resource: str, selector: str = "") -> set[str]:
        """Return the names of the objects with these labels."""
        return {item["metadata"]["name"] for item in self.all(resource, selector)}

    def wait(self, target: str, condition: str) -> str:
        """Wait for `condition=Ready`, `delete` or `jsonpath={.status.phase}=Running`.

        An object that does not exist yet is waited for, too. Returns the object as it was then, as JSON.
        """
        options = ("-o", "json", f"--timeout={DEADLINE}s", "-n", self.namespace)
        done = self._kubectl("wait", target, f"--for={condition}", *options, check=False)
        if "NotFound" in done.stderr:
            self._kubectl("wait", target, "--for=create", *options, check=False)
            done = self._kubectl("wait", target, f"--for={condition}", *options, check=False)
        if done.returncode:
            found = self("get", target, "-o", "yaml", check=False)
            raise AssertionError(
                f"{target} did not get to {condition} in {DEADLINE} s\n{done.stderr}\n{found}"
            )
        return done.stdout

    def until(self, resource: str, holds: Callable[[list[Json]], Any], selector: str = "") -> list[Json]:
        """List and watch until `holds` is true of all objects together; return them."""
        path = f"{self.path(resource)}?labelSelector={selector}"
        answer = self.raw(path)
        found = {item["metadata"]["name"]: item for item in answer["items"]}
        if holds(list(found.values())):
            return list(found.values())
        for event in self.watch(path, answer["metadata"]["resourceVersion"]):
            name = event["object"]["metadata"].get("name")
            if event["type"] == "DELETED":
                found.pop(name, None)
            elif event["type"] in {"ADDED", "MODIFIED"}:
                found[name] = event["object"]
            if holds(list(found.values())):
                return list(found.values())
        shown = json.dumps(list(found.values()), indent=1)
        raise AssertionError(f"not in {DEADLINE} s; {resource}:\n{shown}")

    def poll(self, holds: Callable[[], T], show: str = "pods") -> T:
        """Call `holds` until it returns something true, and return that; for what no watch shows.

        A failure shows the resources `show`.
        """
        deadline = time.monotonic() + DEADLINE
        while not (found := holds()):
            if time.monotonic() > deadline:
                raise AssertionError(f"not in {DEADLINE} s:\n{self('get', show, '-o', 'yaml')}")
            time.sleep(0.1)
        return found

    def watch(self, path: str, version: str, seconds: int = DEADLINE) -> Iterator[Json]:
        """Yield the events of a watch, which ends after so many seconds; `path` has a query."""
        path += f"&watch=1&allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds={seconds}"
        with self._kubectl.start("get", "--raw", path) as process:
            try:
                yield from map(json.loads, process.stdout or ())
            finally:
                process.kill()

    def raw(self, path: str) -> Json:
        """Return the answer of the API server to a GET."""
        answer: Json = json.loads(self._kubectl("get", "--raw", path).stdout)
        return answer

    def path(self, resource: str) -> str:
        """Return the URL path of a resource, which is named by its plural."""
        for line in self._kubectl("api-resources", "--no-headers").stdout.splitlines():
            plural, *_, version, _, _ = line.split()
            if plural == resource:
                prefix = "/apis" if "/" in version else "/api"
                return f"{prefix}/{version}/namespaces/{self.namespace}/{resource}"
        raise LookupError(f"the API server has no {resource}")
