import base64
import json
from pathlib import Path

import pytest

from dask_k8s_local.api import protobuf
from dask_k8s_local.api.protobuf_messages import KINDS, MESSAGES

RECORDED = json.loads(Path(__file__).with_name("recorded.json").read_text())
"""Bodies of kubectl 1.37 and Kubernetes 1.34, with the same objects as JSON."""


@pytest.mark.parametrize("one", [pytest.param(one, id=one["from"]) for one in RECORDED])
def test_recorded(one):
    assert protobuf.decode(base64.b64decode(one["body"])) == one["object"]


def test_every_kind_is_recorded():
    assert {one["object"]["kind"] for one in RECORDED} == set(KINDS)


def test_every_type_is_known():
    scalars = {"string", "int", "bool", "bytes", "base64"}
    assert {field.type for fields in MESSAGES.values() for field in fields.values()} <= scalars | set(
        MESSAGES
    )


def body(api_version, kind, raw):
    meta = b"".join(b"%c%c%b" % (tag, len(text), text) for tag, text in ((10, api_version), (18, kind)))
    return b"k8s\0\x0a%c%b\x12%c%b" % (len(meta), meta, len(raw), raw)


def test_passes_over_what_it_does_not_know():
    unknown = b"\x98\x06\x01" + b"\xa1\x06" + bytes(8) + b"\xad\x06" + bytes(4) + b"\xb2\x06\x01x"
    assert protobuf.decode(body(b"v1", b"ConfigMap", unknown + b"\x12\x05\x0a\x03abc")) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "data": {"abc": ""},
    }


@pytest.mark.parametrize("version", [b"v1", b"policy/v1"])
def test_delete_options_of_any_version(version):
    raw = b"\x08\x00\x12\x05\x0a\x03uid\x22\x06Orphan"
    assert protobuf.decode(body(version, b"DeleteOptions", raw)) == {
        "apiVersion": version.decode(),
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "preconditions": {"uid": "uid"},
        "propagationPolicy": "Orphan",
    }


def test_negative_numbers():
    raw = b"\x08" + b"\xff" * 9 + b"\x01"
    assert protobuf.decode(body(b"v1", b"DeleteOptions", raw))["gracePeriodSeconds"] == -1


@pytest.mark.parametrize(
    "data, text, is_supported",
    [
        pytest.param(b"", "does not appear to be a protobuf message", True, id="empty"),
        pytest.param(b"{}", "does not appear to be a protobuf message", True, id="JSON"),
        pytest.param(b"k8s\0garbage", "illegal wireType 7", True, id="garbage"),
        pytest.param(b"k8s\0\x0a\x05", "unexpected EOF", True, id="cut"),
        pytest.param(b"k8s\0\x0a", "proto: ", True, id="cut in a number"),
        pytest.param(b"k8s\0" + b"\xff" * 20, "integer overflow", True, id="number without end"),
        pytest.param(b"k8s\0\x08\x01", "wrong wireType", True, id="number for a message"),
        pytest.param(body(b"v1", b"ConfigMap", b"\x12\x03\x0a\x01\xff"), "utf-8", True, id="text"),
        pytest.param(b"k8s\0", "is read as JSON only", False, id="no kind"),
        pytest.param(body(b"v1", b"Deployment", b""), "Deployment in version", False, id="kind"),
        pytest.param(body(b"v2", b"ConfigMap", b""), 'ConfigMap in version "v2"', False, id="version"),
    ],
)
def test_refuses(data, text, is_supported):
    with pytest.raises(protobuf.CannotDecode, match=text) as caught:
        protobuf.decode(data)
    assert caught.value.supported == is_supported
