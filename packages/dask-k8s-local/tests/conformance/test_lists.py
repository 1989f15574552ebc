"""Lists, watches, tables and discovery."""

import itertools
import json
from typing import ClassVar

import pytest

from .conftest import config_map, pod

pytestmark = pytest.mark.core

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@pytest.fixture(scope="module")
def maps(api, home):
    path = f"{home}/configmaps"
    for name, labels in (("a", {"x": "1"}), ("b", {"x": "2"}), ("c", {"x": "2", "y": "z"}), ("d", {})):
        api.post(path, config_map(name, {"key": name}, labels=labels))
    return path


def names(answer):
    return [one["metadata"]["name"] for one in answer["items"] if len(one["metadata"]["name"]) == 1]


class TestList:
    def test_whole(self, api, maps):
        answer = api.get(maps)
        assert (answer["kind"], answer["apiVersion"]) == ("ConfigMapList", "v1")
        assert names(answer) == ["a", "b", "c", "d"]
        assert not {"kind", "apiVersion"} & answer["items"][0].keys()
        assert answer.version.isdecimal()

    def test_all_namespaces(self, api, maps, namespace):
        items = api.get("/api/v1/configmaps")["items"]
        assert {"kube-system", namespace} <= {one["metadata"]["namespace"] for one in items}

    LABELS: ClassVar = {
        "x=1": ["a"],
        "x==1": ["a"],
        "x!=1": ["b", "c", "d"],
        "x in (1, 2)": ["a", "b", "c"],
        "x notin (1)": ["b", "c", "d"],
        "x": ["a", "b", "c"],
        "!x": ["d"],
        "x=2,y": ["c"],
        "x=2,!y": ["b"],
        "y=z,x in (2)": ["c"],
    }

    @pytest.mark.parametrize("selector, expected", LABELS.items())
    def test_labels(self, api, maps, selector, expected):
        assert names(api.get(maps, labelSelector=selector)) == expected

    FIELDS: ClassVar = {
        "metadata.name=a": ["a"],
        "metadata.name!=a": ["b", "c", "d"],
        "metadata.name==b": ["b"],
    }

    @pytest.mark.parametrize("selector, expected", FIELDS.items())
    def test_fields(self, api, maps, selector, expected):
        assert names(api.get(maps, fieldSelector=selector)) == expected

    def test_fields_of_pods(self, api, home):
        api.post(f"{home}/pods", pod("f"))
        for selector, expected in (
            ("spec.nodeName=", ["f"]),
            ("spec.nodeName=x", []),
            ("status.phase=Pending", ["f"]),
            ("status.phase!=Pending", []),
            ("spec.restartPolicy=Always,metadata.name=f", ["f"]),
        ):
            assert names(api.get(f"{home}/pods", fieldSelector=selector)) == expected, selector

    def test_fields_of_events(self, api, home, namespace):
        about = {"kind": "Pod", "name": "p", "namespace": namespace, "uid": "1"}
        body = {"metadata": {"name": "e"}, "involvedObject": about, "type": "Warning", "reason": "R"}
        assert api.post(f"{home}/events", body).status == 201
        for selector in (
            "involvedObject.name=p,involvedObject.kind=Pod",
            "involvedObject.uid=1",
            "type=Warning,reason=R",
        ):
            assert names(api.get(f"{home}/events", fieldSelector=selector)) == ["e"], selector

    REFUSED: ClassVar = {
        "fieldSelector=spec.foo=x": '"spec.foo" is not a known field selector: '
        'only "metadata.name", "metadata.namespace"',
        "labelSelector=a b c": "unable to parse requirement: "
        "found 'b', expected: in, notin, =, ==, !=, gt, lt",
        "limit=x": 'strconv.ParseInt: parsing "x": invalid syntax',
        "timeoutSeconds=x": 'strconv.ParseInt: parsing "x": invalid syntax',
        "resourceVersion=abc": 'invalid resource version: resourceVersion: Invalid value: "abc": '
        'strconv.ParseUint: parsing "abc": invalid syntax',
    }

    @pytest.mark.parametrize("query, message", REFUSED.items())
    def test_refused(self, api, maps, query, message):
        key, _, value = query.partition("=")
        answer = api.get(maps, **{key: value})
        assert (answer.status, answer["message"]) == (400, message)

    def test_chunks(self, api, maps):
        first = api.get(maps, limit=2)
        total = len(api.get(maps)["items"])
        assert (names(first), first["metadata"]["remainingItemCount"]) == (["a", "b"], total - 2)
        api.post(maps, config_map("cc"))
        second = api.get(maps, limit=2, **{"continue": first["metadata"]["continue"]})
        api.delete(f"{maps}/cc")
        assert names(second) == ["c", "d"]
        assert second.version == first.version

    def test_chunks_of_a_selection(self, api, maps):
        metadata = api.get(maps, limit=1, labelSelector="x")["metadata"]
        assert "remainingItemCount" not in metadata
        assert metadata["continue"]


class TestTable:
    def test_pods(self, api, home):
        api.post(f"{home}/pods", pod("t"))
        answer = api.get(f"{home}/pods", accept=TABLE, fieldSelector="metadata.name=t")
        assert (answer["kind"], answer["apiVersion"]) == ("Table", "meta.k8s.io/v1")
        columns = [(one["name"], one["priority"]) for one in answer["columnDefinitions"]]
        assert columns == [
            ("Name", 0), ("Ready", 0), ("Status", 0), ("Restarts", 0), ("Age", 0),
            ("IP", 1), ("Node", 1), ("Nominated Node", 1), ("Readiness Gates", 1),
        ]  # fmt: skip
        ((name, ready, status, restarts, _, *wide),) = [row["cells"] for row in answer["rows"]]
        assert (name, ready, status, restarts, wide) == ("t", "0/1", "Pending", "0", ["<none>"] * 4)
        assert answer["rows"][0]["object"]["kind"] == "PartialObjectMetadata"

    COLUMNS: ClassVar = {
        "services": ["Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "Selector"],
        "configmaps": ["Name", "Data", "Age"],
        "secrets": ["Name", "Type", "Data", "Age"],
        "serviceaccounts": ["Name", "Secrets", "Age"],
        "resourcequotas": ["Name", "Request", "Limit", "Age"],
        "events": [
            "Last Seen", "Type", "Reason", "Object", "Subobject", "Source", "Message", "First Seen", "Count",
            "Name",
        ],
    }  # fmt: skip

    @pytest.mark.parametrize("plural, columns", COLUMNS.items(), ids=COLUMNS)
    def test_columns(self, api, home, plural, columns):
        answer = api.get(f"{home}/{plural}", accept=TABLE)
        assert [one["name"] for one in answer["columnDefinitions"]] == columns

    def test_objects_in_rows(self, api, maps):
        answer = api.get(maps, accept=TABLE, includeObject="Object", fieldSelector="metadata.name=a")
        assert answer["rows"][0]["object"]["data"] == {"key": "a"}
        answer = api.get(maps, accept=TABLE, includeObject="None", fieldSelector="metadata.name=a")
        assert answer["rows"][0]["object"] is None

    def test_not_acceptable(self, api, maps):
        assert api.get(maps, accept="application/xml").status == 406


class TestWatch:
    def changes(self, api, maps, name):
        path = f"{maps}/{name}"
        api.post(maps, config_map(name, labels={"w": "no"}))
        api.patch(path, {"metadata": {"labels": {"w": name}}})
        api.patch(path, {"data": {"x": "1"}})
        api.patch(path, {"metadata": {"labels": {"w": "no"}}, "data": {"x": "2"}})
        api.delete(path)

    def seen(self, watch, count):
        return [
            (kind, one["metadata"]["name"], one.get("data")) for kind, one in itertools.islice(watch, count)
        ]

    def test_from_a_version(self, api, maps):
        since = api.get(maps).version
        self.changes(api, maps, "w1")
        with api.watch(maps, resourceVersion=since) as watch:
            kinds = [kind for kind, *_ in self.seen(watch, 5)]
        assert kinds == ["ADDED", "MODIFIED", "MODIFIED", "MODIFIED", "DELETED"]

    def test_while_it_happens(self, api, maps):
        with api.watch(maps, resourceVersion=api.get(maps).version) as watch:
            self.changes(api, maps, "w2")
            (kind, one), *_ = itertools.islice(watch, 5)
        assert (kind, one["kind"], one["apiVersion"]) == ("ADDED", "ConfigMap", "v1")

    def test_selection(self, api, maps):
        since = api.get(maps).version
        self.changes(api, maps, "w3")
        with api.watch(maps, resourceVersion=since, labelSelector="w=w3") as watch:
            events = self.seen(watch, 3)
        assert events == [
            ("ADDED", "w3", None),
            ("MODIFIED", "w3", {"x": "1"}),
            ("DELETED", "w3", {"x": "1"}),
        ]

    @pytest.mark.parametrize("query", [{}, {"resourceVersion": "0"}], ids=["no version", "version 0"])
    def test_what_is_there(self, api, maps, query):
        with api.watch(maps, labelSelector="x=2", **query) as watch:
            assert self.seen(watch, 2) == [("ADDED", "b", {"key": "b"}), ("ADDED", "c", {"key": "c"})]

    def test_initial_events(self, api, maps):
        query = {
            "sendInitialEvents": "true",
            "resourceVersionMatch": "NotOlderThan",
            "allowWatchBookmarks": "true",
        }
        with api.watch(maps, labelSelector="x=2", **query) as watch:
            *_, (kind, end) = itertools.islice(watch, 3)
        assert kind == "BOOKMARK"
        assert end["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert end["metadata"]["resourceVersion"].isdecimal()

    def test_ends_in_time_with_a_bookmark(self, api, maps):
        since = api.get(maps).version
        with api.watch(
            maps,
            resourceVersion=since,
            timeoutSeconds="3",
            allowWatchBookmarks="true",
            labelSelector="no=thing",
        ) as watch:
            events = list(watch)
        assert {kind for kind, _ in events} <= {"BOOKMARK"}

    def test_table(self, api, maps):
        since = api.get(maps).version
        self.changes(api, maps, "w4")
        with api.watch(maps, accept=TABLE, resourceVersion=since) as watch:
            (_, first), (_, second), *_ = itertools.islice(watch, 5)
        assert [one["name"] for one in first["columnDefinitions"]] == ["Name", "Data", "Age"]
        assert second["columnDefinitions"] is None
        assert first["rows"][0]["cells"][:2] == ["w4", 0]


class TestDiscovery:
    def test_legacy(self, api):
        assert api.get("/api")["versions"] == ["v1"]
        groups = {one["name"] for one in api.get("/apis")["groups"]}
        assert {"apiextensions.k8s.io", "coordination.k8s.io", "rbac.authorization.k8s.io"} <= groups
        resources = {one["name"]: one for one in api.get("/api/v1")["resources"]}
        pods = {key: value for key, value in resources["pods"].items() if key != "storageVersionHash"}
        assert pods == {
            "name": "pods",
            "singularName": "pod",
            "namespaced": True,
            "kind": "Pod",
            "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
            "shortNames": ["po"],
            "categories": ["all"],
        }
        assert resources["pods/eviction"] == {
            "name": "pods/eviction",
            "singularName": "",
            "namespaced": True,
            "group": "policy",
            "version": "v1",
            "kind": "Eviction",
            "verbs": ["create"],
        }

    def test_aggregated(self, api):
        answer = api.get("/apis", accept=AGGREGATED)
        assert answer.headers["Content-Type"] == AGGREGATED
        groups = {one["metadata"]["name"]: one["versions"] for one in answer["items"]}
        (version,) = groups["apiextensions.k8s.io"]
        assert version == {
            "version": "v1",
            "resources": [
                {
                    "resource": "customresourcedefinitions",
                    "responseKind": {"group": "", "version": "", "kind": "CustomResourceDefinition"},
                    "scope": "Cluster",
                    "singularResource": "customresourcedefinition",
                    "verbs": [
                        "create",
                        "delete",
                        "deletecollection",
                        "get",
                        "list",
                        "patch",
                        "update",
                        "watch",
                    ],
                    "shortNames": ["crd", "crds"],
                    "categories": ["api-extensions"],
                    "subresources": [
                        {
                            "subresource": "status",
                            "responseKind": {"group": "", "version": "", "kind": "CustomResourceDefinition"},
                            "verbs": ["get", "patch", "update"],
                        }
                    ],
                }
            ],
            "freshness": "Current",
        }

    def test_openapi(self, api):
        path = api.get("/openapi/v3")["paths"]["api/v1"]["serverRelativeURL"]
        document = api.get(path).body
        schema = document["components"]["schemas"]["io.k8s.api.core.v1.Container"]
        assert schema["properties"]["ports"]["x-kubernetes-list-map-keys"] == ["containerPort", "protocol"]
        patch = document["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"]
        assert patch["x-kubernetes-group-version-kind"] == {"group": "", "version": "v1", "kind": "Pod"}
        assert {"fieldValidation", "dryRun"} <= {one["name"] for one in patch["parameters"]}
        assert "application/strategic-merge-patch+json" in patch["requestBody"]["content"]

    @pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
    def test_health(self, api, path):
        assert api.get(path).body == "ok"

    def test_version(self, api):
        assert (api.get("/version")["major"], json.loads(api.get("/version")["minor"])) == ("1", 34)

    def test_access_review(self, api):
        spec = {"resourceAttributes": {"verb": "get", "resource": "pods"}}
        answer = api.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": spec, **REVIEW})
        assert (answer.status, answer["status"]["allowed"]) == (201, True)


REVIEW = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
