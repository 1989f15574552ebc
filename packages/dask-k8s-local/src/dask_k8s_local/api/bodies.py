"""Bodies of requests: JSON, YAML and protobuf become plain values."""

from __future__ import annotations

from typing import Any

import orjson

from dask_k8s_local.api import errors, protobuf

_JSON = "application/json"
_ACCEPTED = (_JSON, "application/yaml", protobuf.CONTENT_TYPE)


def read_object(content_type: str, body: bytes, kind: str) -> Any:
    """Read the object of a POST or PUT."""
    if content_type in {"", _JSON}:
        return _json(body, kind)
    if content_type == "application/yaml":
        return read_yaml(body)
    if content_type == protobuf.CONTENT_TYPE:
        try:
            return protobuf.decode(body)
        except protobuf.CannotDecode as error:
            if not error.supported:
                raise errors.unsupported_media_type(_ACCEPTED) from None
            raise errors.bad_request(str(error)) from None
    raise errors.unsupported_media_type(_ACCEPTED)


def read_patch(content_type: str, body: bytes) -> Any:
    """Read a patch; an applied configuration may be YAML."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if content_type.endswith("+yaml"):
            return read_yaml(body)
        raise errors.bad_request(f"error decoding patch: {error}") from None


def read_options(content_type: str, body: bytes) -> dict[str, Any]:
    """Read the DeleteOptions of a DELETE, if there are any."""
    if not body:
        return {}
    found = read_object(content_type, body, "DeleteOptions")
    return found if isinstance(found, dict) else {}


def read_yaml(body: bytes) -> Any:
    """Read YAML."""
    import yaml  # noqa: PLC0415  # few clients send it

    try:
        return yaml.safe_load(body)
    except yaml.YAMLError as error:
        raise errors.bad_request(f"error parsing YAML: {error}") from None


def _json(body: bytes, kind: str) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        what = "unexpected end of JSON input" if not body else str(error)
        shown = body[:64].decode(errors="replace") or "<empty>"
        words = f"couldn't get version/kind; json parse error: {what} ({shown})"
        raise errors.bad_request(
            f"the object provided is unrecognized (must be of type {kind}): {words}"
        ) from None
