"""A namespace as a user with kubectl sees it. Nothing here knows the controller."""

import json
import os
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

DEADLINE = 120
"""Seconds for anything that is awaited."""
KUBECTL = shutil.which("kubectl", path=f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}")
DASK = "/apis/kubernetes.dask.org/v1"
API_OF = {"pods": "/api/v1", "services": "/api/v1", "events": "/api/v1", "secrets": "/api/v1"}

Json = dict[str, Any]


class World:
    """What is in a namespace, how to change it, and how to wait until something holds of it."""

    def __init__(self, kubectl: Callable[..., Any], kubeconfig: Path, namespace: str) -> None:
        self._kubectl = kubectl
        self._kubeconfig = kubeconfig
        self.namespace = namespace

    def kubectl(self, *words: str, **options: Any) -> str:
        """What kubectl prints; with ``check=False`` what it complains of, too."""
        done = self._kubectl(*words, "-n", self.namespace, **options)
        return done.stdout + (done.stderr if options.get("check") is False else "")

    def apply(self, *manifests: Json, **options: Any) -> str:
        return self.kubectl("apply", "-f", "-", input=yaml.safe_dump_all(manifests), **options)

    def patch(self, target: str, change: Json, *options: str) -> str:
        return self.kubectl("patch", target, "--type=merge", "-p", json.dumps(change), *options)

    def scale(self, target: str, replicas: int) -> str:
        return self.kubectl("scale", target, f"--replicas={replicas}")

    def get(self, target: str) -> Json:
        return json.loads(self.kubectl("get", target, "-o", "json"))

    def all(self, resource: str, selector: str = "") -> list[Json]:
        return json.loads(self.kubectl("get", resource, "-l", selector, "-o", "json"))["items"]

    def names(self, resource: str, selector: str = "") -> set[str]:
        return names(self.all(resource, selector))

    def wait(self, target: str, what: str) -> str:
        """``kubectl wait`` for ``condition=Ready``, ``delete``, ``jsonpath={.status.phase}=Running``.

        What is not there yet is waited for, too. Returns the object as it was when it got there, as JSON.
        """
        options = ("-o", "json", f"--timeout={DEADLINE}s", "-n", self.namespace)
        done = self._kubectl("wait", target, f"--for={what}", *options, check=False)
        if "NotFound" in done.stderr:
            self._kubectl("wait", target, "--for=create", *options, check=False)
            done = self._kubectl("wait", target, f"--for={what}", *options, check=False)
        if done.returncode:
            found = self.kubectl("get", target, "-o", "yaml", check=False)
            pytest.fail(f"{target} did not get to {what} in {DEADLINE} s\n{done.stderr}\n{found}")
        return done.stdout

    def condition(self, target: str, kind: str, reason: str) -> Json:
        """Wait for a condition that has this reason."""
        found = self.wait(target, f'jsonpath={{.status.conditions[?(@.type=="{kind}")].reason}}={reason}')
        return next(each for each in json.loads(found)["status"]["conditions"] if each["type"] == kind)

    def workers(self, group: str, count: int, *, ready: bool = True) -> set[str]:
        """Wait until a group has exactly so many workers, none of them on its way out; their names."""

        def complete(pods: list[Json]) -> bool:
            return len(pods) == count and all(not going(pod) and (is_ready(pod) or not ready) for pod in pods)

        return names(self.until("pods", complete, f"dask.org/workergroup-name={group}"))

    def ever(self, resource: str, count: int) -> set[str]:
        """Wait until there are exactly so many; the names of all that were there meanwhile."""
        seen = set()

        def complete(items: list[Json]) -> bool:
            seen.update(names(items))
            return len(items) == count

        self.until(resource, complete)
        return seen

    def until(self, resource: str, holds: Callable[[list[Json]], Any], selector: str = "") -> list[Json]:
        """List and watch until it holds of all objects together."""
        path = f"{self._path(resource)}?labelSelector={selector}"
        answer = self._raw(path)
        found = {item["metadata"]["name"]: item for item in answer["items"]}
        if holds(list(found.values())):
            return list(found.values())
        for event in self._watch(path, answer["metadata"]["resourceVersion"], DEADLINE):
            name = event["object"]["metadata"].get("name")
            if event["type"] == "DELETED":
                found.pop(name, None)
            elif event["type"] in {"ADDED", "MODIFIED"}:
                found[name] = event["object"]
            if holds(list(found.values())):
                return list(found.values())
        pytest.fail(f"not in {DEADLINE} s; {len(found)} {resource}:\n{yaml.safe_dump(list(found.values()))}")

    def until_quiet(self, *resources: str, seconds: int) -> None:
        """Wait until for a while none of their objects is made, changed or deleted."""
        deadline = time.monotonic() + DEADLINE
        while not self.is_quiet(*resources, seconds=seconds):
            assert time.monotonic() < deadline, f"{resources} never come to rest"

    def is_quiet(self, *resources: str, seconds: int = 1) -> bool:
        """Whether for a while none of their objects is made, changed or deleted."""
        with ThreadPoolExecutor() as pool:
            return all(pool.map(lambda resource: self._quiet(resource, seconds), resources))

    def _quiet(self, resource: str, seconds: int) -> bool:
        path = f"{self._path(resource)}?"
        events = self._watch(path, self._raw(path)["metadata"]["resourceVersion"], seconds)
        return all(event["type"] == "BOOKMARK" for event in events)

    def _path(self, resource: str) -> str:
        return f"{API_OF.get(resource, DASK)}/namespaces/{self.namespace}/{resource}"

    def _raw(self, path: str) -> Json:
        return json.loads(self._kubectl("get", "--raw", path).stdout)

    def _watch(self, path: str, version: str, timeout: int) -> Iterator[Json]:
        """The events of one watch, which the server ends after ``timeout`` seconds."""
        path += f"&watch=1&allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds={timeout}"
        environment = {**os.environ, "KUBECONFIG": str(self._kubeconfig)}
        command = [KUBECTL, "get", "--raw", path]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
            try:
                yield from map(json.loads, process.stdout)
            finally:
                process.kill()


def names(items: list[Json]) -> set[str]:
    return {item["metadata"]["name"] for item in items}


def uids(items: list[Json]) -> set[str]:
    return {item["metadata"]["uid"] for item in items}


def going(item: Json) -> bool:
    return "deletionTimestamp" in item["metadata"]


def is_ready(pod: Json) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(found["type"] == "Ready" and found["status"] == "True" for found in conditions)
