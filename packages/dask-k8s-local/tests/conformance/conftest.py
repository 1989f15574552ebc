"""Behaviour of API servers: the tests run on the local one and, with --kubeconfig, on any other."""

import base64
import contextlib
import http.client
import json
import ssl
import tempfile
import time
import urllib.parse
import uuid
from dataclasses import dataclass

import pytest
import yaml

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"


@dataclass
class Answer:
    status: int
    body: object
    headers: http.client.HTTPMessage

    def __getitem__(self, key):
        return self.body[key]

    @property
    def version(self):
        return self.body["metadata"]["resourceVersion"]

    @property
    def causes(self):
        return [(one["reason"], one["field"], one["message"]) for one in self.body["details"]["causes"]]


class Api:
    """Sends HTTP requests without a client library."""

    def __init__(self, kubeconfig):
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.url = urllib.parse.urlsplit(cluster["server"])
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self.context = ssl.create_default_context(cadata=authority)
        self.headers = {}
        if "token" in user:
            self.headers["Authorization"] = f"Bearer {user['token']}"
        else:
            with tempfile.NamedTemporaryFile() as file:
                for key in ("client-certificate-data", "client-key-data"):
                    file.write(base64.b64decode(user[key]) + b"\n")
                file.flush()
                self.context.load_cert_chain(file.name)
        self._connection = self._connect()
        self._used = time.monotonic()

    def close(self):
        self._connection.close()

    def _connect(self):
        return http.client.HTTPSConnection(self.url.hostname, self.url.port, context=self.context, timeout=60)

    def _send(self, connection, method, path, body=None, *, headers, query):
        target = path + ("?" + urllib.parse.urlencode(query) if query else "")
        data = body if isinstance(body, bytes | None) else json.dumps(body)
        found = {key: value for key, value in headers.items() if value}
        connection.request(method, target, data, {**self.headers, **found})
        return connection.getresponse()

    def text(self, method, path, body=None, *, content_type="application/json", accept=None, **query):
        """Send a request and return the code, the headers and the text."""
        headers = {"Content-Type": content_type, "Accept": accept}
        if time.monotonic() > self._used + 30:  # servers close idle connections, some after 90 s
            self._connection.close()  # the next request opens it again
        response = self._send(self._connection, method, path, body, headers=headers, query=query)
        data = response.read()
        self._used = time.monotonic()
        return response.status, response.headers, data.decode()

    def __call__(self, method, path, body=None, **options):
        status, headers, text = self.text(method, path, body, **options)
        return Answer(status, json.loads(text) if text.startswith("{") else text, headers)

    def get(self, path, **options):
        return self("GET", path, **options)

    def post(self, path, body, **options):
        return self("POST", path, body, **options)

    def put(self, path, body, **options):
        return self("PUT", path, body, **options)

    def patch(self, path, body, content_type=MERGE, **options):
        return self("PATCH", path, body, content_type=content_type, **options)

    def apply(self, path, body, manager, **options):
        return self.patch(path, body, APPLY, fieldManager=manager, **options)

    def delete(self, path, body=None, **options):
        return self("DELETE", path, body, **options)

    @contextlib.contextmanager
    def watch(self, path, accept=None, **query):
        """An iterator of (type, object) that ends with the watch."""
        connection = self._connect()
        query = {"watch": "true", "timeoutSeconds": "60", **query}
        response = self._send(connection, "GET", path, headers={"Accept": accept}, query=query)
        events = (json.loads(line) for line in response)
        try:
            yield ((event["type"], event["object"]) for event in events)
        finally:
            connection.close()

    def until(self, path, condition, seconds=180):
        """Repeat a GET until its response meets a condition, and return it."""
        deadline = time.monotonic() + seconds
        while not condition(answer := self.get(path)):
            assert time.monotonic() < deadline, answer
            time.sleep(0.05)  # there is no event to wait for
        return answer


@pytest.fixture(scope="session")
def api(kubernetes):
    api = Api(kubernetes.kubeconfig)
    yield api
    api.close()


@pytest.fixture(scope="module")
def home(api):
    """The path of a new namespace for this module."""
    name = f"conformance-{uuid.uuid4().hex[:8]}"
    path = f"/api/v1/namespaces/{name}"
    api.post("/api/v1/namespaces", {"metadata": {"name": name}})
    api.until(f"{path}/serviceaccounts/default", lambda answer: answer.status == 200)
    api.until(f"{path}/configmaps/kube-root-ca.crt", lambda answer: answer.status == 200)
    yield path
    api.delete(path)


@pytest.fixture(scope="module")
def namespace(home):
    return home.rpartition("/")[2]


def config_map(name, data=None, **metadata):
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}}
    return body | ({"data": data} if data is not None else {})


def pod(name="p", /, spec=None, metadata=None, **container):
    """A pod that no node matches."""
    main = {"name": "c", "image": "python:3.11", **container}
    spec = {"containers": [main], "nodeSelector": {"no": "where"}, **(spec or {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **(metadata or {})}, "spec": spec}


def service(name="s", /, **spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
