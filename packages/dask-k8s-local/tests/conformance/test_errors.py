"""Rejected requests: codes, reasons, causes and messages."""

from typing import ClassVar

import pytest

from .conftest import MERGE, config_map, pod, service

pytestmark = pytest.mark.core

LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
DNS_1035 = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
    "validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
QUALIFIED = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
LABEL_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used "
    "for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
NODE_PORTS = "provided port is not in the valid range. The range of valid ports is 30000-32767"
PORTS = "must be between 1 and 65535, inclusive"
QUANTITY = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


def invalid(field, value, text):
    return ("FieldValueInvalid", field, f"Invalid value: {value}: {text}")


def required(field, text=""):
    return ("FieldValueRequired", field, "Required value" + (f": {text}" if text else ""))


def supported(field, value, *values):
    listed = ", ".join(f'"{one}"' for one in values)
    return ("FieldValueNotSupported", field, f"Unsupported value: {value}: supported values: {listed}")


def duplicate(field, value):
    return ("FieldValueDuplicate", field, f"Duplicate value: {value}")


def forbidden(field, text):
    return ("FieldValueForbidden", field, f"Forbidden: {text}")


C = "spec.containers[0]"
INVALID = {
    # pods
    "no containers": (pod(spec={"containers": []}), [required("spec.containers")]),
    "container without image": (pod(image=None), [required(f"{C}.image")]),
    "container without name": (pod(name=None), [required(f"{C}.name")]),
    "container name": (pod(name="A_"), [invalid(f"{C}.name", '"A_"', LABEL)]),
    "two containers of a name": (
        pod(spec={"containers": [{"name": "a", "image": "x"}, {"name": "a", "image": " x"}]}),
        [
            duplicate("spec.containers[1].name", '"a"'),
            invalid("spec.containers[1].image", '" x"', "must not have leading or trailing whitespace"),
        ],
    ),
    "two ports of a name": (
        pod(ports=[{"containerPort": 80, "name": "a"}, {"containerPort": 81, "name": "a"}]),
        [duplicate(f"{C}.ports[1].name", '"a"')],
    ),
    "port without number": (pod(ports=[{"name": "x"}]), [required(f"{C}.ports[0].containerPort")]),
    "port": (
        pod(ports=[{"containerPort": 99999, "name": "toolongportname1", "protocol": "X"}]),
        [
            invalid(f"{C}.ports[0].name", '"toolongportname1"', "must be no more than 15 characters"),
            invalid(f"{C}.ports[0].containerPort", 99999, PORTS),
            supported(f"{C}.ports[0].protocol", '"X"', "SCTP", "TCP", "UDP"),
        ],
    ),
    "environment": (
        pod(env=[{"name": ""}, {"name": "OK", "valueFrom": {}}]),
        [
            required(f"{C}.env[0].name"),
            invalid(
                f"{C}.env[1].valueFrom",
                '""',
                "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
            ),
        ],
    ),
    "more requested than the limit": (
        pod(resources={"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}),
        [invalid(f"{C}.resources.requests", '"2"', "must be less than or equal to cpu limit of 1")],
    ),
    "negative limit": (
        pod(resources={"limits": {"memory": "-1"}, "requests": {"memory": "-2"}}),
        [
            invalid(f"{C}.resources.limits[memory]", '"-1"', "must be greater than or equal to 0"),
            invalid(f"{C}.resources.requests[memory]", '"-2"', "must be greater than or equal to 0"),
        ],
    ),
    "request of a device": (
        pod(resources={"requests": {"nvidia.com/gpu": "1"}}),
        [required(f"{C}.resources.limits", "Limit must be set for non overcommitable resources")],
    ),
    "mount of nothing": (
        pod(volumeMounts=[{"name": "nope", "mountPath": "/x"}]),
        [("FieldValueNotFound", f"{C}.volumeMounts[0].name", 'Not found: "nope"')],
    ),
    "two volumes of a name": (
        pod(spec={"volumes": [{"name": "a"}, {"name": "a", "emptyDir": {}}]}),
        [duplicate("spec.volumes[1].name", '"a"')],
    ),
    "volume of two kinds": (
        pod(spec={"volumes": [{"name": "a", "emptyDir": {}, "hostPath": {"path": "/"}}]}),
        [forbidden("spec.volumes[0].hostPath", "may not specify more than 1 volume type")],
    ),
    "policies": (
        pod(spec={"restartPolicy": "Sometimes", "dnsPolicy": "X"}, imagePullPolicy="Y"),
        [
            supported(f"{C}.imagePullPolicy", '"Y"', "Always", "IfNotPresent", "Never"),
            supported("spec.restartPolicy", '"Sometimes"', "Always", "OnFailure", "Never"),
            supported("spec.dnsPolicy", '"X"', "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"),
        ],
    ),
    "node selector": (
        pod(spec={"nodeSelector": {"a b": "c d"}}),
        [
            invalid("spec.nodeSelector", '"a b"', QUALIFIED),
            invalid("spec.nodeSelector", '"c d"', LABEL_VALUE),
        ],
    ),
    "toleration without key": (
        pod(spec={"tolerations": [{"operator": "Equal"}]}),
        [
            invalid(
                "spec.tolerations[0].operator",
                '"Equal"',
                'operator must be Exists when `key` is empty, which means "match all values and all keys"',
            )
        ],
    ),
    "probe of nothing": (
        pod(readinessProbe={}),
        [required(f"{C}.readinessProbe", "must specify a handler type")],
    ),
    "liveness probe": (
        pod(livenessProbe={"httpGet": {"port": 0}, "successThreshold": 2, "periodSeconds": -1}),
        [
            invalid(f"{C}.livenessProbe.httpGet.port", 0, PORTS),
            invalid(f"{C}.livenessProbe.periodSeconds", -1, "must be greater than or equal to 0"),
            invalid(f"{C}.livenessProbe.successThreshold", 2, "must be 1"),
        ],
    ),
    # metadata
    "name": (pod("Bad_Name"), [invalid("metadata.name", '"Bad_Name"', SUBDOMAIN)]),
    "no name": (
        pod(metadata={"name": None}),
        [required("metadata.name", "name or generateName is required")],
    ),
    "label": (
        pod(metadata={"labels": {"a": "b c"}}),
        [invalid("metadata.labels", '"b c"', LABEL_VALUE)],
    ),
    "owner": (
        pod(metadata={"ownerReferences": [{"apiVersion": "v1", "kind": "", "name": "", "uid": ""}]}),
        [
            invalid("metadata.ownerReferences.kind", '""', "must not be empty"),
            invalid("metadata.ownerReferences.name", '""', "must not be empty"),
            invalid("metadata.ownerReferences.uid", '""', "must not be empty"),
        ],
    ),
    # Services
    "no ports": (service(), [required("spec.ports")]),
    "ports without names": (
        service(ports=[{"port": 80}, {"port": 81}]),
        [required("spec.ports[0].name"), required("spec.ports[1].name")],
    ),
    "two Service ports of a name": (
        service(ports=[{"port": 80, "name": "a"}, {"port": 81, "name": "a"}]),
        [duplicate("spec.ports[1].name", '"a"')],
    ),
    "a Service port twice": (
        service(ports=[{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]),
        [
            duplicate(
                "spec.ports[1]",
                '{"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,"TargetPort":0,"NodePort":0}',
            )
        ],
    ),
    "Service name": (
        service("1abc", ports=[{"port": 80}]),
        [invalid("metadata.name", '"1abc"', DNS_1035)],
    ),
    "Service type": (
        service(ports=[{"port": 80}], type="X", sessionAffinity="Y"),
        [
            supported("spec.sessionAffinity", '"Y"', "ClientIP", "None"),
            supported("spec.type", '"X"', "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"),
        ],
    ),
    "node port of a ClusterIP": (
        service(ports=[{"port": 80, "nodePort": 30000}]),
        [forbidden("spec.ports[0].nodePort", "may not be used when `type` is 'ClusterIP'")],
    ),
    "node port out of range": (
        service(
            ports=[{"port": 80, "name": "a"}, {"port": 81, "name": "b", "nodePort": 38967}], type="NodePort"
        ),
        [invalid("spec.ports[1].nodePort", 38967, NODE_PORTS)],
    ),
    # others
    "key of a ConfigMap": (
        config_map("x", {"a b": "c"}),
        [
            invalid(
                "data[a b]",
                '"a b"',
                "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. "
                "'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
            )
        ],
    ),
    "negative quota": (
        {"kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"pods": "-1"}}},
        [invalid("spec.hard[pods]", '"-1"', "must be greater than or equal to 0")],
    ),
    "event about elsewhere": (
        {"kind": "Event", "metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "namespace": "other"}},
        [invalid("involvedObject.namespace", '"other"', "does not match event.namespace")],
    ),
}


@pytest.mark.parametrize("body, causes", INVALID.values(), ids=INVALID)
def test_invalid(api, home, body, causes):
    plural = body["kind"].lower() + "s"
    answer = api.post(f"{home}/{plural}", {"apiVersion": "v1", **body}, dryRun="All")
    assert answer.status == 422
    assert answer.causes == causes
    assert answer["reason"] == "Invalid"
    assert answer["details"]["kind"] == body["kind"]
    found = [f"{field}: {message}" for _, field, message in causes]
    text = found[0] if len(found) == 1 else f"[{', '.join(found)}]"
    assert answer["message"] == f'{body["kind"]} "{body["metadata"]["name"] or ""}" is invalid: {text}'


UNMARSHAL = "json: cannot unmarshal"
UNDECODABLE = {
    "list as text": (
        pod(ports="x"),
        f"{UNMARSHAL} string into Go struct field Container.spec.containers.ports of type []v1.ContainerPort",
    ),
    "containers as text": (
        pod(spec={"containers": "x"}),
        f"{UNMARSHAL} string into Go struct field PodSpec.spec.containers of type []v1.Container",
    ),
    "number as text": (
        pod(spec={"terminationGracePeriodSeconds": "x"}),
        f"{UNMARSHAL} string into Go struct field PodSpec.spec.terminationGracePeriodSeconds of type int64",
    ),
    "boolean as text": (
        pod(spec={"hostNetwork": "yes"}),
        f"{UNMARSHAL} string into Go struct field PodSpec.spec.hostNetwork of type bool",
    ),
    "text as number": (
        pod(env=[{"name": "A", "value": 1}]),
        f"{UNMARSHAL} number into Go struct field EnvVar.spec.containers.env.value of type string",
    ),
    "arguments as numbers": (
        pod(args=[1]),
        f"{UNMARSHAL} number into Go struct field Container.spec.containers.args of type string",
    ),
    "spec as text": (
        {"kind": "Pod", "metadata": {"name": "p"}, "spec": "x"},
        f"{UNMARSHAL} string into Go struct field Pod.spec of type v1.PodSpec",
    ),
    "label as number": (
        pod(metadata={"labels": {"a": 1}}),
        f"{UNMARSHAL} number into Go struct field ObjectMeta.metadata.labels of type string",
    ),
    "quantity": (pod(resources={"limits": {"cpu": "x"}}), QUANTITY),
    "data as number": (
        config_map("x", {"a": 1}),
        f"{UNMARSHAL} number into Go struct field ConfigMap.data of type string",
    ),
    "data of a Secret": (
        {"kind": "Secret", "metadata": {"name": "x"}, "data": {"a": "!!"}},
        "illegal base64 data at input byte 0",
    ),
    "another kind": (
        {**service("p"), "kind": "Service", "plural": "pods"},
        None,
    ),
}


@pytest.mark.parametrize("body, text", UNDECODABLE.values(), ids=UNDECODABLE)
def test_undecodable(api, home, body, text):
    body = {"apiVersion": "v1", **body}
    plural, kind = body.pop("plural", body["kind"].lower() + "s"), body["kind"]
    answer = api.post(f"{home}/{plural}", body, dryRun="All")
    assert (answer.status, answer["reason"]) == (400, "BadRequest")
    if text is None:
        expected = "converting (v1.Service) to (core.Pod): unknown conversion"
        assert answer["message"] == f'{kind} in version "v1" cannot be handled as a Pod: {expected}'
    else:
        assert answer["message"] == f'{kind} in version "v1" cannot be handled as a {kind}: {text}'


class TestUnknownFields:
    body: ClassVar = {**pod(imagee="x"), "foo": 1}
    names = ('unknown field "foo"', 'unknown field "spec.containers[0].imagee"')

    def test_strict(self, api, home):
        answer = api.post(f"{home}/pods", self.body, fieldValidation="Strict", dryRun="All")
        assert answer.status == 400
        prefix, found = answer["message"].split(": strict decoding error: ")
        assert prefix == 'Pod in version "v1" cannot be handled as a Pod'
        assert set(found.split(", ")) == set(self.names)

    def test_warn(self, api, home):
        answer = api.post(f"{home}/pods", self.body, dryRun="All")
        assert answer.status == 201
        warnings = {one.removeprefix("299 - ") for one in answer.headers.get_all("Warning")}
        assert warnings == {'"{}"'.format(name.replace('"', r"\"")) for name in self.names}
        assert "foo" not in answer.body

    def test_ignore(self, api, home):
        answer = api.post(f"{home}/pods", self.body, fieldValidation="Ignore", dryRun="All")
        assert (answer.status, answer.headers.get_all("Warning")) == (201, None)

    def test_strict_patch(self, api, home):
        api.post(f"{home}/configmaps", config_map("strict", {"a": "b"}))
        answer = api.patch(f"{home}/configmaps/strict", {"dataa": {}}, fieldValidation="Strict")
        assert answer.status == 422
        assert answer["message"].endswith('strict decoding error: unknown field "dataa"')


PATHS = {
    "no such object": ("GET", "/pods/nope", 404, 'pods "nope" not found', {"name": "nope", "kind": "pods"}),
    "no such collection": ("GET", "/nopes", 404, "the server could not find the requested resource", {}),
    "no such part": ("GET", "/pods/a/nope", 404, "the server could not find the requested resource", {}),
    "put on a collection": (
        "PUT",
        "/pods",
        405,
        "the server does not allow this method on the requested resource",
        {},
    ),
    "post on an object": (
        "POST",
        "/pods/nope",
        405,
        "the server does not allow this method on the requested resource",
        {},
    ),
    "replace nothing": ("PUT", "/pods/nope", 404, 'pods "nope" not found', {"name": "nope", "kind": "pods"}),
    "delete nothing": (
        "DELETE",
        "/pods/nope",
        404,
        'pods "nope" not found',
        {"name": "nope", "kind": "pods"},
    ),
}


@pytest.mark.parametrize("case", PATHS.values(), ids=PATHS)
def test_paths(api, home, case):
    method, path, code, message, details = case
    answer = api(method, home + path, pod("nope") if method in {"PUT", "POST"} else None)
    assert (answer.status, answer["message"], answer["details"]) == (code, message, details)
    assert (answer["kind"], answer["status"], answer["code"]) == ("Status", "Failure", code)


@pytest.mark.parametrize("path", ["/foo", "/apis/nope.example.org/v1/foos"])
def test_no_such_path(api, path):
    answer = api.get(path)
    assert (answer.status, answer.body) == (404, "404 page not found\n")


OPTIONS = {
    "dry run": (
        {"dryRun": "foo"},
        ("FieldValueNotSupported", "dryRun", 'Unsupported value: ["foo"]: supported values: "All"'),
    ),
    "field validation": (
        {"fieldValidation": "Foo"},
        (
            "FieldValueNotSupported",
            "fieldValidation",
            'Unsupported value: "Foo": supported values: "", "Ignore", "Strict", "Warn"',
        ),
    ),
    "field manager": (
        {"fieldManager": "x" * 129},
        ("FieldValueTooLong", "fieldManager", "Too long: may not be more than 128 bytes"),
    ),
}


@pytest.mark.parametrize("query, cause", OPTIONS.values(), ids=OPTIONS)
def test_options(api, home, query, cause):
    answer = api.post(f"{home}/configmaps", config_map("x"), **query)
    assert (answer.status, answer.causes) == (422, [cause])
    assert answer["details"]["kind"] == "CreateOptions"


def test_namespaces(api, home, namespace):
    elsewhere = api.post(f"{home}/pods", pod("x", metadata={"namespace": "other"}))
    assert (elsewhere.status, elsewhere["message"]) == (
        400,
        "the namespace of the provided object does not match the namespace sent on the request",
    )
    nowhere = api.post("/api/v1/namespaces/nope-nope/pods", pod("x"))
    assert (nowhere.status, nowhere["message"]) == (404, 'namespaces "nope-nope" not found')
    kept = api.delete("/api/v1/namespaces/kube-system")
    assert (kept.status, kept["message"]) == (
        403,
        'namespaces "kube-system" is forbidden: this namespace may not be deleted',
    )


def test_service_account_must_be_there(api, home, namespace):
    answer = api.post(f"{home}/pods", pod("x", spec={"serviceAccountName": "nope"}))
    text = f'error looking up service account {namespace}/nope: serviceaccount "nope" not found'
    assert (answer.status, answer["reason"]) == (403, "Forbidden")
    assert answer["message"] == f'pods "x" is forbidden: {text}'


class TestServices:
    OUT_OF_RANGE: ClassVar = [{"port": 80, "nodePort": 38967}]

    def test_a_refused_node_port_leaves_the_service_as_it_was(self, api, home):
        assert api.post(f"{home}/services", service("kept", ports=[{"port": 80}])).status == 201
        before = api.get(f"{home}/services/kept").body
        change = {"spec": {"type": "NodePort", "ports": self.OUT_OF_RANGE}}
        refused = api.patch(f"{home}/services/kept", change)
        assert (refused.status, refused["reason"]) == (422, "Invalid")
        assert refused.causes == [invalid("spec.ports[0].nodePort", 38967, NODE_PORTS)]
        assert api.get(f"{home}/services/kept").body == before

    def test_a_dry_run_is_refused_too(self, api, home):
        body = service("dry", ports=self.OUT_OF_RANGE, type="NodePort")
        refused = api.post(f"{home}/services", body, dryRun="All")
        assert (refused.status, refused.causes) == (
            422,
            [invalid("spec.ports[0].nodePort", 38967, NODE_PORTS)],
        )

    def test_a_node_port_that_is_taken(self, api, home):
        taken = api.post(f"{home}/services", service("first", ports=[{"port": 80}], type="NodePort"))
        number = taken["spec"]["ports"][0]["nodePort"]
        second = service("second", ports=[{"port": 80, "nodePort": number}], type="NodePort")
        refused = api.post(f"{home}/services", second)
        text = "provided port is already allocated"
        assert (refused.status, refused.causes) == (422, [invalid("spec.ports[0].nodePort", number, text)])
        api.patch(f"{home}/services/first", {"spec": {"type": "ClusterIP", "ports": [{"port": 80}]}}, MERGE)
        assert api.post(f"{home}/services", second).status == 201


OPTIONS_OF_DELETE = {
    "two policies": (
        {"propagationPolicy": "Orphan", "orphanDependents": True},
        422,
        "orphanDependents and deletionPropagation cannot be both set",
    ),
    "unknown policy": ({"propagationPolicy": "x"}, 422, "supported values"),
    "dry run": ({"dryRun": ["x"]}, 422, "supported values"),
    "text as number": ({"gracePeriodSeconds": "x"}, 500, "cannot unmarshal string into Go struct field"),
}


@pytest.mark.parametrize("options, code, text", OPTIONS_OF_DELETE.values(), ids=OPTIONS_OF_DELETE)
def test_options_of_delete(api, home, options, code, text):
    api.post(f"{home}/configmaps", config_map("stays"))
    refused = api.delete(f"{home}/configmaps/stays", options)
    assert (refused.status, text in refused["message"]) == (code, True), refused.body
    assert api.get(f"{home}/configmaps/stays").status == 200


def test_a_pod_that_is_deleted_at_once(api, home):
    api.post(f"{home}/pods", pod("gone", spec={"schedulerName": "none"}))
    metadata = api.delete(f"{home}/pods/gone")["metadata"]
    assert (metadata["deletionGracePeriodSeconds"], metadata["generation"]) == (0, 2)
    assert "deletionTimestamp" in metadata
    assert api.get(f"{home}/pods/gone").status == 404


def test_finalizers_of_a_namespace(api):
    body = {"metadata": {"name": "x"}, "spec": {"finalizers": ["f"]}}
    refused = api.post("/api/v1/namespaces", body, dryRun="All")
    text = "name is neither a standard finalizer name nor is it fully qualified"
    assert (refused.status, refused.causes) == (422, [invalid("spec.finalizers", '"f"', text)])


def test_the_body_of_delete_hides_the_query(api, home):
    api.post(f"{home}/configmaps", config_map("goes"))
    assert api.delete(f"{home}/configmaps/goes", dryRun="All").status == 200
    assert api.get(f"{home}/configmaps/goes").status == 200
    assert api.delete(f"{home}/configmaps/goes", {"kind": "DeleteOptions"}, dryRun="All").status == 200
    assert api.get(f"{home}/configmaps/goes").status == 404


def test_without_token(api, kubernetes):
    if not kubernetes.is_local:
        pytest.skip("others may let anybody in")
    headers, api.headers = api.headers, {}
    try:
        answer = api.get("/api/v1/namespaces")
        assert (answer.status, answer["reason"], answer["message"]) == (401, "Unauthorized", "Unauthorized")
        assert api.get("/healthz").body == "ok"
    finally:
        api.headers = headers
