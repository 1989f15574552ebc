"""Request bodies: parses JSON, YAML and protobuf into plain values. Does not validate objects."""

import json
from typing import Any

from dask_k8s_local import json_text
from dask_k8s_local.api import errors, protobuf

_JSON = "application/json"
_ACCEPTED = (_JSON, "application/yaml", protobuf.CONTENT_TYPE)


def read_object(content_type: str, body: bytes, kind: str) -> Any:
    """Parse the object of a POST or PUT."""
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
    """Parse a patch; an applied configuration can be YAML."""
    try:
        return json_text.loads(body)
    except json.JSONDecodeError as error:
        if content_type.endswith("+yaml"):
            return read_yaml(body)
        raise errors.bad_request(f"error decoding patch: {error}") from None


def read_options(content_type: str, body: bytes) -> Any:
    """Parse the DeleteOptions of a DELETE; the body can be empty, which is None."""
    return read_object(content_type, body, "DeleteOptions") if body else None


def read_yaml(body: bytes) -> Any:
    """Parse YAML."""
    import yaml  # noqa: PLC0415  # slow to import, and few clients send YAML

    try:
        return yaml.safe_load(body)
    except yaml.YAMLError as error:
        raise errors.bad_request(f"error parsing YAML: {error}") from None


def _json(body: bytes, kind: str) -> Any:
    try:
        return json_text.loads(body)
    except json.JSONDecodeError as error:
        what = "unexpected end of JSON input" if not body else str(error)
        shown = body[:64].decode(errors="replace") or "<empty>"
        message = f"couldn't get version/kind; json parse error: {what} ({shown})"
        raise errors.bad_request(
            f"the object provided is unrecognized (must be of type {kind}): {message}"
        ) from None
