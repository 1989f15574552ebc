"""Random sequences of requests: what holds for any of them, on any API server."""

import itertools
import os
import uuid

import hypothesis
import pytest
from hypothesis import strategies as st

from .comparison import Session
from .conftest import Api
from .random_requests import ALL, sequences
from .test_custom import DEFINITIONS, definition

TOTAL = int(os.environ.get("DASK_K8S_EXAMPLES", "400"))
"""Examples of all property tests together: few before each commit, 20,000 in `nox -s full`."""
SETTINGS = hypothesis.settings(
    max_examples=max(20, TOTAL // 50),
    deadline=None,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)
NUMBERS = itertools.count()
ALWAYS_500 = (
    "resourceVersion should not be set",
    "failed to create typed patch object",
    "json: cannot",
    "no kind ",
)
"""Refusals that a real API server, too, gives the code 500."""


class Server:
    """An API server with a namespace and the custom resource of `test_custom`."""

    def __init__(self, kubeconfig, namespace, group):
        self.api = Api(kubeconfig)
        self.namespace, self.group = namespace, group

    def __enter__(self):
        home = f"/api/v1/namespaces/{self.namespace}"
        assert self.api.post("/api/v1/namespaces", {"metadata": {"name": self.namespace}}).status == 201
        assert self.api.post(DEFINITIONS, definition(self.group)).status == 201
        self.api.until(f"{home}/serviceaccounts/default", lambda answer: answer.status == 200)
        things = f"/apis/{self.group}/v1/namespaces/{self.namespace}/things"
        self.api.until(things, lambda answer: answer.status == 200)
        return self

    def __exit__(self, *_):
        self.api.delete(f"/api/v1/namespaces/{self.namespace}")
        self.api.delete(f"{DEFINITIONS}/things.{self.group}")
        self.api.close()

    def session(self, number):
        return Session(self.api, self.namespace, str(number), self.group)


@pytest.fixture(scope="module")
def server(kubernetes):
    unique = uuid.uuid4().hex[:8]
    with Server(kubernetes.kubeconfig, f"random-{unique}", f"r{unique}.conformance.test") as server:
        yield server


def may_vanish(body):
    """Whether nobody has to ask for an object's end: it is on its way, or its owner does not exist."""
    metadata = body["metadata"]
    return "deletionTimestamp" in metadata or bool(metadata.get("ownerReferences"))


@pytest.mark.core
@SETTINGS
@hypothesis.given(st.data())  # codespell:ignore given
def test_what_always_holds(server, data):
    """A write returns what is stored, a refused or dry one changes nothing, and no request ends in a bug."""
    session = server.session(next(NUMBERS))
    for step in data.draw(sequences(ALL)):
        before = session.stored(step)
        outcome = session.run(step)
        after = session.stored(step)
        assert outcome.code < 500 or outcome.message.startswith(ALWAYS_500), outcome
        changes = step.method != "GET" and outcome.code < 300 and step.query.get("dryRun") != "All"
        if not changes:
            assert after == before or (after is None and may_vanish(before))
        elif step.method in {"PUT", "PATCH"} and not step.path.endswith("/scale"):
            assert after in (outcome.object, None)  # None: its last finalizer went
