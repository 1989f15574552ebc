"""Objects: creation, defaults, updates, patches and deletion."""

import re
import uuid
from typing import ClassVar

import pytest

from .conftest import JSON_PATCH, MERGE, STRATEGIC, config_map, pod, service

pytestmark = pytest.mark.core

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


@pytest.fixture
def maps(home):
    return f"{home}/configmaps"


class TestCreate:
    def test_what_the_server_adds(self, api, maps, namespace):
        answer = api.post(maps, config_map("created", {"a": "1", "b": None}))
        metadata = answer["metadata"]
        assert answer.status == 201
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", metadata["uid"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", metadata["creationTimestamp"])
        assert (metadata["namespace"], metadata["resourceVersion"].isdecimal()) == (namespace, True)
        assert answer["data"] == {"a": "1", "b": ""}
        assert api.get(f"{maps}/created").body == answer.body

    def test_name_is_taken(self, api, maps):
        api.post(maps, config_map("taken"))
        answer = api.post(maps, config_map("taken"))
        assert (answer.status, answer["reason"]) == (409, "AlreadyExists")
        assert answer["message"] == 'configmaps "taken" already exists'
        assert answer["details"] == {"name": "taken", "kind": "configmaps"}

    def test_generate_name(self, api, maps):
        body = {"metadata": {"generateName": "generated-"}}
        names = {api.post(maps, body)["metadata"]["name"] for _ in range(5)}
        assert len(names) == 5
        assert all(re.fullmatch("generated-[bcdfghjklmnpqrstvwxz2456789]{5}", name) for name in names)

    def test_generate_long_name(self, api, maps):
        name = api.post(maps, {"metadata": {"generateName": "x" * 70}})["metadata"]["name"]
        assert re.fullmatch("x{58}.{5}", name)

    def test_dry_run(self, api, maps):
        answer = api.post(maps, config_map("dry"), dryRun="All")
        assert answer.status == 201
        assert "resourceVersion" not in answer["metadata"]
        assert api.get(f"{maps}/dry").status == 404

    def test_with_version(self, api, maps):
        answer = api.post(maps, config_map("versioned", resourceVersion="1"))
        assert (answer.status, answer["message"]) == (
            500,
            "resourceVersion should not be set on objects to be created",
        )

    def test_yaml(self, api, maps):
        answer = api.post(maps, b"metadata: {name: yaml}\ndata: {a: b}\n", content_type="application/yaml")
        assert (answer.status, answer["data"]) == (201, {"a": "b"})


class TestDefaults:
    def test_pod(self, api, home):
        container = {
            "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}},
            "ports": [{"containerPort": 80}],
            "livenessProbe": {"httpGet": {"port": 80}},
            "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        }
        spec = {"volumes": [{"name": "a"}, {"name": "b", "configMap": {"name": "x"}}]}
        answer = api.post(f"{home}/pods", pod("defaults", spec=spec, **container), dryRun="All")
        spec = answer["spec"]
        expected = {
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "serviceAccountName": "default",
            "securityContext": {},
            "schedulerName": "default-scheduler",
            "enableServiceLinks": True,
            "priority": 0,
            "preemptionPolicy": "PreemptLowerPriority",
        }
        assert {key: spec[key] for key in expected} == expected
        assert [one["key"] for one in spec["tolerations"]] == [
            "node.kubernetes.io/not-ready",
            "node.kubernetes.io/unreachable",
        ]
        assert spec["volumes"][:2] == [
            {"name": "a", "emptyDir": {}},
            {"name": "b", "configMap": {"name": "x", "defaultMode": 420}},
        ]
        (main,) = spec["containers"]
        assert main["resources"] == {
            "limits": {"cpu": "500m", "memory": "1Gi"},
            "requests": {"cpu": "500m", "memory": "1Gi"},
        }
        assert main["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
        assert main["livenessProbe"] == {
            "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
            "timeoutSeconds": 1,
            "periodSeconds": 10,
            "successThreshold": 1,
            "failureThreshold": 3,
        }
        assert main["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
        assert (main["terminationMessagePath"], main["terminationMessagePolicy"]) == (
            "/dev/termination-log",
            "File",
        )
        assert answer["status"] == {"phase": "Pending", "qosClass": "Guaranteed"}
        assert answer["metadata"]["generation"] == 1

    @pytest.mark.parametrize(
        "image, policy",
        [
            ("a", "Always"),
            ("a:latest", "Always"),
            ("a:1", "IfNotPresent"),
            ("host:5000/a", "Always"),
            (f"a@sha256:{'0' * 64}", "IfNotPresent"),
        ],
    )
    def test_pull_policy(self, api, home, image, policy):
        answer = api.post(f"{home}/pods", pod("policy", image=image), dryRun="All")
        assert answer["spec"]["containers"][0]["imagePullPolicy"] == policy

    def test_service(self, api, home):
        answer = api.post(f"{home}/services", service("defaults", ports=[{"port": 80}], selector={"a": "b"}))
        spec = answer["spec"]
        assert spec.pop("clusterIP") == spec.pop("clusterIPs")[0]
        assert spec == {
            "ports": [{"protocol": "TCP", "port": 80, "targetPort": 80}],
            "selector": {"a": "b"},
            "type": "ClusterIP",
            "sessionAffinity": "None",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
        }
        assert answer["status"] == {"loadBalancer": {}}

    def test_headless_service(self, api, home):
        answer = api.post(f"{home}/services", service("headless", clusterIP="None"), dryRun="All")
        assert (answer["spec"]["clusterIP"], answer["spec"]["clusterIPs"]) == ("None", ["None"])

    def test_secret(self, api, home):
        body = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "x"}, "stringData": {"a": "b"}}
        answer = api.post(f"{home}/secrets", body, dryRun="All")
        assert (answer["data"], answer["type"], "stringData" in answer.body) == (
            {"a": "Yg=="},
            "Opaque",
            False,
        )


class TestUpdate:
    def test_replaces(self, api, maps):
        old = api.post(maps, config_map("replaced", {"a": "1"}, labels={"x": "y"}))
        new = api.put(f"{maps}/replaced", config_map("replaced", {"b": "2"}))
        assert (new.status, new["data"], "labels" in new["metadata"]) == (200, {"b": "2"}, False)
        assert new["metadata"]["uid"] == old["metadata"]["uid"]
        assert int(new.version) > int(old.version)

    def test_of_nothing_new(self, api, maps):
        old = api.post(maps, config_map("same", {"a": "1"}))
        assert api.put(f"{maps}/same", config_map("same", {"a": "1"})).version == old.version
        assert api.patch(f"{maps}/same", {"data": {"a": "1"}}).version == old.version

    @pytest.mark.parametrize("verb", ["put", "patch"])
    def test_of_an_old_version(self, api, maps, verb):
        name = f"conflict-{verb}"
        old = api.post(maps, config_map(name))
        api.patch(f"{maps}/{name}", {"data": {"a": "1"}})
        answer = getattr(api, verb)(f"{maps}/{name}", config_map(name, resourceVersion=old.version))
        assert (answer.status, answer["reason"]) == (409, "Conflict")
        assert answer["message"] == f'Operation cannot be fulfilled on configmaps "{name}": {MODIFIED}'

    def test_of_another_uid(self, api, maps):
        api.post(maps, config_map("other-uid"))
        answer = api.put(f"{maps}/other-uid", config_map("other-uid", uid="x"))
        assert (answer.status, "Precondition failed: UID in precondition: x" in answer["message"]) == (
            409,
            True,
        )
        answer = api.patch(f"{maps}/other-uid", {"metadata": {"uid": "x"}})
        assert (answer.status, answer.causes[0][1:]) == (
            422,
            ("metadata.uid", 'Invalid value: "x": field is immutable'),
        )

    @pytest.mark.parametrize("verb", ["put", "patch"])
    def test_of_another_name(self, api, maps, verb):
        api.post(maps, config_map("named"))
        answer = getattr(api, verb)(f"{maps}/named", config_map("other"))
        assert (answer.status, answer["message"]) == (
            400,
            "the name of the object (other) does not match the name on the URL (named)",
        )

    def test_status_is_a_subresource(self, api, home):
        path = f"{home}/pods/subresource"
        api.post(f"{home}/pods", pod("subresource"))
        assert api.patch(path, {"status": {"phase": "Failed"}})["status"]["phase"] == "Pending"
        answer = api.patch(f"{path}/status", {"status": {"reason": "Because"}, "spec": {"priority": 5}})
        assert (answer["status"]["reason"], answer["spec"]["priority"]) == ("Because", 0)

    def test_spec_of_a_pod(self, api, home):
        path = f"{home}/pods/spec"
        api.post(f"{home}/pods", pod("spec"))
        image = {"spec": {"containers": [{"name": "c", "image": "other"}]}}
        answer = api.patch(path, image, STRATEGIC)
        assert (answer["spec"]["containers"][0]["image"], answer["metadata"]["generation"]) == ("other", 2)
        answer = api.patch(path, {"spec": {"restartPolicy": "Never"}})
        ((reason, field, message),) = answer.causes
        assert (answer.status, reason, field) == (422, "FieldValueForbidden", "spec")
        assert message.startswith(
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`"
        )
        more = {"spec": {"containers": [{"name": "new", "image": "x"}]}}
        assert api.patch(path, more, STRATEGIC).causes == [
            (
                "FieldValueForbidden",
                "spec.containers",
                "Forbidden: pod updates may not add or remove containers",
            )
        ]

    def test_address_of_a_service(self, api, home):
        path = f"{home}/services/fixed"
        old = api.post(f"{home}/services", service("fixed", ports=[{"port": 80}]))
        answer = api.patch(path, {"spec": {"clusterIP": "10.96.99.99"}})
        assert answer.status == 422
        new = api.put(path, service("fixed", ports=[{"port": 81}]))
        assert (new.status, new["spec"]["clusterIP"]) == (200, old["spec"]["clusterIP"])

    def test_immutable(self, api, maps):
        api.post(maps, {**config_map("immutable", {"a": "b"}), "immutable": True})
        answer = api.patch(f"{maps}/immutable", {"data": {"a": "c"}})
        assert answer.causes == [
            ("FieldValueForbidden", "data", "Forbidden: field is immutable when `immutable` is set")
        ]


class TestPatch:
    PATCHES: ClassVar = {
        "merge": (MERGE, {"data": {"a": None, "c": "3"}}, {"b": "2", "c": "3"}),
        "strategic": (STRATEGIC, {"data": {"a": None, "c": "3"}}, {"b": "2", "c": "3"}),
        "strategic replace": (STRATEGIC, {"data": {"$patch": "replace", "c": "3"}}, {"c": "3"}),
        "JSON": (
            JSON_PATCH,
            [
                {"op": "test", "path": "/data/a", "value": "1"},
                {"op": "remove", "path": "/data/a"},
                {"op": "add", "path": "/data/c", "value": "3"},
            ],
            {"b": "2", "c": "3"},
        ),
    }

    @pytest.mark.parametrize("content_type, patch, data", PATCHES.values(), ids=PATCHES)
    def test_data(self, api, maps, content_type, patch, data):
        api.delete(f"{maps}/patched")
        api.post(maps, config_map("patched", {"a": "1", "b": "2"}))
        answer = api.patch(f"{maps}/patched", patch, content_type)
        assert (answer.status, answer["data"]) == (200, data)

    LISTS: ClassVar = {
        "one is changed": ([{"port": 80, "targetPort": 8080}], [(80, 8080), (81, 81)]),
        "one is added": ([{"port": 82, "name": "c"}], [(82, 82), (80, 80), (81, 81)]),
        "one is deleted": ([{"port": 80, "$patch": "delete"}], [(81, 81)]),
        "all are replaced": ([{"$patch": "replace"}, {"port": 83}], [(83, 83)]),
    }

    @pytest.mark.parametrize("patch, ports", LISTS.values(), ids=LISTS)
    def test_lists_by_key(self, api, home, patch, ports):
        api.delete(f"{home}/services/lists")
        body = service("lists", ports=[{"port": 80, "name": "a"}, {"port": 81, "name": "b"}])
        api.post(f"{home}/services", body)
        answer = api.patch(f"{home}/services/lists", {"spec": {"ports": patch}}, STRATEGIC)
        assert [(one["port"], one["targetPort"]) for one in answer["spec"]["ports"]] == ports

    def test_finalizers_are_a_set(self, api, maps):
        path = f"{maps}/set"
        api.post(maps, config_map("set", finalizers=["a.b/c"]))
        assert api.patch(path, {"metadata": {"finalizers": ["a.b/d"]}}, STRATEGIC)["metadata"][
            "finalizers"
        ] == [
            "a.b/d",
            "a.b/c",
        ]
        patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a.b/c"]}}
        assert api.patch(path, patch, STRATEGIC)["metadata"]["finalizers"] == ["a.b/d"]
        assert "finalizers" not in api.patch(path, {"metadata": {"finalizers": None}})["metadata"]

    REFUSED: ClassVar = {
        "test fails": (JSON_PATCH, [{"op": "test", "path": "/data/a", "value": "9"}], 422),
        "removes nothing": (JSON_PATCH, [{"op": "remove", "path": "/data/nope"}], 422),
        "not a list": (JSON_PATCH, {}, 400),
        "not an object": (MERGE, [], 400),
        "not JSON": (MERGE, b"[1", 400),
        "wrong type": (MERGE, {"data": {"a": 1}}, 422),
        "content type": ("application/json", {}, 415),
    }

    @pytest.mark.parametrize("content_type, patch, code", REFUSED.values(), ids=REFUSED)
    def test_refused(self, api, maps, content_type, patch, code):
        api.post(maps, config_map("refused", {"a": "1"}))
        assert api.patch(f"{maps}/refused", patch, content_type).status == code
        assert api.get(f"{maps}/refused")["data"] == {"a": "1"}


class TestDelete:
    def test_answers_with_status(self, api, maps):
        uid = api.post(maps, config_map("gone"))["metadata"]["uid"]
        answer = api.delete(f"{maps}/gone")
        assert (answer.status, answer["kind"], answer["status"]) == (200, "Status", "Success")
        assert answer["details"] == {"name": "gone", "kind": "configmaps", "uid": uid}
        assert api.get(f"{maps}/gone").status == 404

    @pytest.mark.parametrize(
        "plural, body",
        [
            ("pods", pod("returned")),
            ("services", service("returned", ports=[{"port": 80}])),
            ("serviceaccounts", {"metadata": {"name": "returned"}}),
            ("resourcequotas", {"metadata": {"name": "returned"}}),
        ],
    )
    def test_answers_with_the_object(self, api, home, plural, body):
        api.post(f"{home}/{plural}", body)
        answer = api.delete(f"{home}/{plural}/returned")
        assert (answer.status, answer["metadata"]["name"]) == (200, "returned")
        assert api.get(f"{home}/{plural}/returned").status == 404

    @pytest.mark.parametrize("key", ["uid", "resourceVersion"])
    def test_preconditions(self, api, maps, key):
        name = f"conditions-{key.lower()}"
        metadata = api.post(maps, config_map(name))["metadata"]
        refused = api.delete(f"{maps}/{name}", {"preconditions": {key: "1"}})
        assert (refused.status, refused["reason"]) == (409, "Conflict")
        assert api.delete(f"{maps}/{name}", {"preconditions": {key: metadata[key]}}).status == 200

    def test_finalizers_hold(self, api, maps):
        path = f"{maps}/held"
        api.post(maps, config_map("held", finalizers=["a.b/c"]))
        marked = api.delete(path)["metadata"]
        assert (marked["deletionGracePeriodSeconds"], "deletionTimestamp" in marked) == (0, True)
        again = api.post(maps, config_map("held"))
        assert (again.status, again["message"]) == (
            409,
            'object is being deleted: configmaps "held" already exists',
        )
        more = api.patch(path, {"metadata": {"finalizers": ["a.b/c", "a.b/d"]}})
        text = "no new finalizers can be added if the object is being deleted, found new finalizers"
        assert more.causes[0] == (
            "FieldValueForbidden",
            "metadata.finalizers",
            f'Forbidden: {text} []string{{"a.b/d"}}',
        )
        assert api.patch(path, {"metadata": {"finalizers": None}}).status == 200
        assert api.get(path).status == 404

    def test_dry_run(self, api, maps):
        api.post(maps, config_map("kept"))
        assert api.delete(f"{maps}/kept", dryRun="All").status == 200
        assert api.get(f"{maps}/kept").status == 200

    def test_unscheduled_pod_goes_at_once(self, api, home):
        api.post(f"{home}/pods", pod("unscheduled"))
        api.delete(f"{home}/pods/unscheduled")
        assert api.get(f"{home}/pods/unscheduled").status == 404

    def test_pod_with_a_finalizer(self, api, home):
        path = f"{home}/pods/finalized"
        api.post(f"{home}/pods", pod("finalized", metadata={"finalizers": ["a.b/c"]}))
        answer = api.delete(path)
        assert answer["metadata"]["deletionGracePeriodSeconds"] == 0
        assert answer["metadata"]["generation"] == 2
        api.patch(path, {"metadata": {"finalizers": None}})
        assert api.get(path).status == 404

    def test_collection(self, api, maps):
        for name in ("one", "two"):
            api.post(maps, config_map(name, labels={"go": "yes"}))
        api.post(maps, config_map("stays", labels={"go": "no"}))
        answer = api.delete(maps, labelSelector="go=yes")
        assert (answer.status, answer["kind"]) == (200, "ConfigMapList")
        assert sorted(one["metadata"]["name"] for one in answer["items"]) == ["one", "two"]
        assert [api.get(f"{maps}/{name}").status for name in ("one", "two", "stays")] == [404, 404, 200]

    def test_unknown_propagation(self, api, maps):
        answer = api.delete(f"{maps}/stays", propagationPolicy="Foo")
        assert answer.causes == [
            (
                "FieldValueNotSupported",
                "propagationPolicy",
                'Unsupported value: "Foo": supported values: "Foreground", "Background", "Orphan", "nil"',
            )
        ]

    def test_namespace_is_emptied_first(self, api):
        name = f"conformance-{uuid.uuid4().hex[:8]}"
        path = f"/api/v1/namespaces/{name}"
        api.post("/api/v1/namespaces", {"metadata": {"name": name}})
        api.until(f"{path}/serviceaccounts/default", lambda answer: answer.status == 200)
        api.post(f"{path}/configmaps", config_map("held", finalizers=["a.b/c"]))
        assert api.delete(path)["status"]["phase"] == "Terminating"
        refused = api.post(f"{path}/configmaps", config_map("late"))
        why = f"unable to create new content in namespace {name} because it is being terminated"
        assert (refused.status, refused["message"]) == (403, f'configmaps "late" is forbidden: {why}')
        assert refused.causes == [
            ("NamespaceTerminating", "metadata.namespace", f"namespace {name} is being terminated")
        ]
        api.until(f"{path}/configmaps/held", lambda answer: "deletionTimestamp" in answer["metadata"])
        assert api.get(path).status == 200
        api.patch(f"{path}/configmaps/held", {"metadata": {"finalizers": None}})
        api.until(path, lambda answer: answer.status == 404)
