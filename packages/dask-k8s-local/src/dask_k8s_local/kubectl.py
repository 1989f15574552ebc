"""kubectl for tests: run it, on a cluster or in one namespace, and wait for what a test expects.

Calls run kubectl, and so do `apply` and `start`. Methods that read, wait or patch send HTTP requests
instead: a start of kubectl takes a tenth of a second. `dask_k8s_local.pytest_plugin` makes the objects.
"""

import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from dask_k8s_local import wait_conditions
from dask_k8s_local.api_connection import MERGE_PATCH, ApiConnection, RequestError

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

    @cached_property
    def api(self) -> ApiConnection:
        """The API server without kubectl; `close` ends it."""
        return ApiConnection(self.start("proxy", "--port=0"))

    def close(self) -> None:
        """Close the connection `api`, if it was used."""
        if "api" in vars(self):
            self.api.close()

    def within(self, namespace: str) -> "NamespacedKubectl":
        """Return kubectl in a namespace."""
        return NamespacedKubectl(self, namespace)

    @contextmanager
    def new_namespace(self, name: str = "") -> "Iterator[NamespacedKubectl]":
        """Create a namespace, by default of a random name, and delete it at the end of the context."""
        here = self.within(name or f"test-{uuid.uuid4().hex[:10]}")
        path = "/api/v1/namespaces"
        self.api.request("POST", path, {"metadata": {"name": here.namespace}})
        try:  # pods are rejected until their service account exists
            here.wait("serviceaccount/default", "create")
            yield here
        finally:
            with suppress(RequestError):  # the test may have deleted it
                self.api.request("DELETE", f"{path}/{here.namespace}")


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
        # Older versions of kubectl accept no `---` between JSON documents.
        documents = "\n".join(map(json.dumps, manifests))
        return self("apply", "-f", "-", *options, input=documents, check=check)

    def patch(self, target: str, change: Json, *, subresource: str = "") -> Json:
        """Apply a JSON merge patch to an object; return the new object."""
        path = self._object_path(target) + (f"/{subresource}" if subresource else "")
        return self._kubectl.api.request("PATCH", path, change, MERGE_PATCH)

    def get(self, target: str) -> Json:
        """Return an object or a list; `target` is for example `pod/web` or `pods`."""
        return self.raw(self._object_path(target))

    def exists(self, target: str) -> bool:
        """Whether there is such an object."""
        try:
            self.get(target)
        except RequestError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return False
        return True

    def all(self, resource: str, selector: str = "") -> list[Json]:
        """Return the objects with these labels."""
        items: list[Json] = self.raw(f"{self.path(resource)}?labelSelector={quote(selector)}")["items"]
        return items

    def names(self, resource: str, selector: str = "") -> set[str]:
        """Return the names of the objects with these labels."""
        return {item["metadata"]["name"] for item in self.all(resource, selector)}

    def wait(self, target: str, condition: str) -> Json:
        """Wait for `condition=Ready`, `create`, `delete` or `jsonpath={.status.phase}=Running`.

        An object that does not exist yet is waited for, too. Returns the object as it was then, or before
        it was deleted.
        """
        resource, _, name = target.partition("/")
        holds = wait_conditions.parse(condition)
        last: Json = {}
        for found in self._states(f"{self.path(resource)}?fieldSelector=metadata.name%3D{name}"):
            last = found.get(name, last)
            if holds(found.get(name)):
                return last
        shown = json.dumps(last, indent=1)
        raise AssertionError(f"{target} did not get to {condition} in {DEADLINE} s:\n{shown}")

    def until(self, resource: str, holds: Callable[[list[Json]], Any], selector: str = "") -> list[Json]:
        """List and watch until `holds` is true of all objects together; return them."""
        last: list[Json] = []
        for found in self._states(f"{self.path(resource)}?labelSelector={quote(selector)}"):
            last = list(found.values())
            if holds(last):
                return last
        raise AssertionError(f"not in {DEADLINE} s; {resource}:\n{json.dumps(last, indent=1)}")

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
        return self._kubectl.api.watch(path, version, seconds)

    def raw(self, path: str) -> Json:
        """Return the answer of the API server to a GET."""
        return self._kubectl.api.request("GET", path)

    def path(self, resource: str) -> str:
        """Return the URL path of a resource, for example of `pods`."""
        return self._kubectl.api.resource(resource).path(self.namespace)

    def _object_path(self, target: str) -> str:
        resource, _, name = target.partition("/")
        return self._kubectl.api.resource(resource).path(self.namespace, name)

    def _states(self, path: str) -> Iterator[dict[str, Json]]:
        """Yield the objects by name now and after every change, until the deadline; `path` has a query."""
        deadline = time.monotonic() + DEADLINE
        while (left := deadline - time.monotonic()) > 0:
            answer = self.raw(path)
            found = {item["metadata"]["name"]: item for item in answer["items"]}
            yield found
            for event in self.watch(path, answer["metadata"]["resourceVersion"], max(1, round(left))):
                name = event["object"]["metadata"].get("name")
                if event["type"] == "DELETED":
                    found.pop(name, None)
                elif event["type"] in {"ADDED", "MODIFIED"}:
                    found[name] = event["object"]
                else:
                    continue  # a bookmark, or an error, after which the server ends the watch
                yield found
