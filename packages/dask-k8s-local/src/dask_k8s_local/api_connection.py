"""The API server as tests reach it without starting kubectl each time: requests, watches, resource names.

One `kubectl proxy` for the session knows the credentials, of whatever kind they are.
"""

import http.client
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

MERGE_PATCH = "application/merge-patch+json"


class RequestError(Exception):
    """The API server refused a request; the message is the server's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class ApiResource:
    """A resource that the API server has, for example ``pods``."""

    group_path: str
    plural: str
    is_namespaced: bool

    def path(self, namespace: str, name: str = "") -> str:
        """Return the URL path of the collection, or of one object."""
        within = f"/namespaces/{namespace}" if self.is_namespaced else ""
        return f"{self.group_path}{within}/{self.plural}" + (f"/{name}" if name else "")


class ApiConnection:
    """Sends requests through a `kubectl proxy`, which it stops when it is closed."""

    def __init__(self, proxy: subprocess.Popen[str]) -> None:
        self._proxy = proxy
        if proxy.stdout is None or not (line := proxy.stdout.readline()):
            raise RuntimeError("kubectl proxy did not start")
        self._address = line.split()[-1]
        self._resources: dict[str, ApiResource] = {}

    def close(self) -> None:
        """Stop the proxy."""
        with self._proxy as process:
            process.kill()

    def request(
        self, method: str, path: str, body: Json | None = None, content_type: str = "application/json"
    ) -> Json:
        """Return the body of the answer; an HTTP error raises `RequestError`."""
        with self._send(method, path, body, content_type, timeout=60) as answer:
            data: Json = json.loads(answer.read())
            return data

    def watch(self, path: str, version: str, seconds: int) -> Iterator[Json]:
        """Yield the events of a watch, which ends after so many seconds; `path` has a query."""
        path += f"&watch=1&allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds={seconds}"
        with self._send("GET", path, timeout=seconds + 60) as answer:
            yield from map(json.loads, answer)

    def resource(self, name: str) -> ApiResource:
        """Return the resource of a plural, a singular, a kind or a short name, as kubectl accepts them."""
        if name.lower() not in self._resources:
            self._resources = self._discover()  # its CRD may be new
        try:
            return self._resources[name.lower()]
        except KeyError:
            raise LookupError(f"the API server has no {name}") from None

    @contextmanager
    def _send(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        content_type: str = "application/json",
        *,
        timeout: float,
    ) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(self._address, timeout=timeout)
        try:
            data = None if body is None else json.dumps(body)
            headers = {"Accept": "application/json"} | ({"Content-Type": content_type} if data else {})
            connection.request(method, path, data, headers)
            with connection.getresponse() as answer:
                if answer.status >= http.client.BAD_REQUEST:
                    text = answer.read().decode()
                    is_json = text.startswith("{")
                    raise RequestError(answer.status, json.loads(text)["message"] if is_json else text)
                yield answer
        finally:
            connection.close()

    def _discover(self) -> dict[str, ApiResource]:
        """Return all resources by their names; as in kubectl, the first group wins."""
        groups = self.request("GET", "/apis")["groups"]
        versions = [("", "/api/v1")]
        versions += [(each["name"], f"/apis/{each['preferredVersion']['groupVersion']}") for each in groups]
        found: dict[str, ApiResource] = {}
        for group, path in versions:
            for each in self.request("GET", path)["resources"]:
                plural = each["name"]
                if "/" not in plural:
                    resource = ApiResource(path, plural, each["namespaced"])
                    names = (plural, each.get("singularName"), each["kind"].lower(), f"{plural}.{group}")
                    for name in (*names, *each.get("shortNames", ())):
                        found.setdefault(name or plural, resource)
        return found
