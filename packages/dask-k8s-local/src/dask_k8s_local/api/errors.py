"""Error responses: `Status` objects with the codes, reasons, messages and causes of Kubernetes."""

from collections.abc import Iterable, Mapping
from typing import Any

from dask_k8s_local import store
from dask_k8s_local.controllers.client import Forbidden
from dask_k8s_local.fields.managers import ApplyConflict
from dask_k8s_local.resources import Resource
from dask_k8s_local.schema.problems import Problem

BODY_MAX = 3 * 1024 * 1024
"""Bytes in the body of a request."""

_CHANGED = "the object has been modified; please apply your changes to the latest version and try again"


class StatusError(Exception):
    """An error that the API server returns to the client."""

    def __init__(
        self, code: int, reason: str, message: str, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def status(self) -> dict[str, Any]:
        """Return the body of the response."""
        body = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason or None,
            "details": self.details,
            "code": self.code,
        }
        return {key: value for key, value in body.items() if value is not None}


def details(resource: Resource, name: str = "", **more: Any) -> dict[str, Any]:
    """Return `details` of a Status: the object that it is about."""
    found = {"name": name, "group": resource.group, "kind": resource.plural, **more}
    return {key: value for key, value in found.items() if value}


def success(resource: Resource, name: str = "", uid: str = "") -> dict[str, Any]:
    """Return a Status for success."""
    about = details(resource, name, uid=uid)
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": about}


def bad_request(message: str) -> StatusError:
    """Return the error for a request that cannot be parsed."""
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    """Return the error for a missing or unknown token."""
    return StatusError(401, "Unauthorized", "Unauthorized")


def not_found(resource: Resource, name: str) -> StatusError:
    """Return the error for an object that does not exist."""
    return StatusError(404, "NotFound", f'{resource.key} "{name}" not found', details(resource, name))


def no_such_resource() -> StatusError:
    """Return the error for a collection that does not exist."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def method_not_allowed() -> StatusError:
    """Return the error for a verb that the resource does not support."""
    return StatusError(
        405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {}
    )


def not_acceptable() -> StatusError:
    """Return the error for an `Accept` header without a supported media type."""
    message = (
        "406: Not Acceptable\n\nAvailable representations: application/json, application/json;stream=watch"
    )
    return StatusError(406, "NotAcceptable", message, {})


def already_exists(resource: Resource, name: str, why: str = "") -> StatusError:
    """Return the error for a name that is already in use."""
    message = f'{f"{why}: " if why else ""}{resource.key} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, details(resource, name))


def conflict(resource: Resource, name: str, why: str = "") -> StatusError:
    """Return the error for a write with an outdated resourceVersion or uid."""
    message = f'Operation cannot be fulfilled on {resource.key} "{name}": {why or _CHANGED}'
    return StatusError(409, "Conflict", message, details(resource, name))


def apply_conflict(error: ApplyConflict) -> StatusError:
    """Return the error for fields that other managers own."""
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {manager}", "field": path}
        for manager, path in error.conflicts
    ]
    return StatusError(409, "Conflict", str(error), {"causes": causes})


def expired(message: str) -> StatusError:
    """Return the error for a version that the history no longer contains."""
    return StatusError(410, "Expired", message)


def too_large() -> StatusError:
    """Return the error for a body that is too long."""
    message = f"Request entity too large: limit is {BODY_MAX}"
    return StatusError(413, "RequestEntityTooLarge", message, {})


def unsupported_media_type(accepted: Iterable[str]) -> StatusError:
    """Return the error for an unsupported content type."""
    listed = ", ".join(accepted)
    message = f"the body of the request was in an unknown format - accepted media types include: {listed}"
    return StatusError(415, "UnsupportedMediaType", message)


def invalid(group: str, kind: str, name: str, problems: Iterable[Problem]) -> StatusError:
    """Return the error for an object with invalid fields."""
    found = list(problems)
    causes = [{"reason": one.reason, "message": one.body, "field": one.field} for one in found]
    messages = list(dict.fromkeys(str(one) for one in found))
    joined = messages[0] if len(messages) == 1 else f"[{', '.join(messages)}]"
    full_kind = f"{kind}.{group}" if group else kind
    about = {"name": name, "group": group, "kind": kind, "causes": causes}
    message = f'{full_kind} "{name}" is invalid: {joined}' if found else f'{full_kind} "{name}" is invalid'
    return StatusError(422, "Invalid", message, {key: value for key, value in about.items() if value})


def unprocessable(
    message: str = "the server rejected our request due to an error in our request",
) -> StatusError:
    """Return the error for a patch that cannot be applied."""
    return StatusError(422, "Invalid", message, {})


def internal(message: str) -> StatusError:
    """Return the error for a bug or an unavailable part of the server."""
    about = {"causes": [{"message": message}]}
    return StatusError(500, "InternalError", f"Internal error occurred: {message}", about)


def to_status(error: StatusError | store.StoreError | Forbidden) -> StatusError:
    """Return the error for an exception of the API server, of the store or of admission."""
    match error:
        case StatusError():
            return error
        case Forbidden():
            about = details(error.resource, error.name, causes=list(error.causes))
            return StatusError(403, "Forbidden", str(error), about)
        case store.NotFound():
            return not_found(error.resource, error.name)
        case store.AlreadyExists():
            return already_exists(error.resource, error.name, error.detail)
        case store.Gone():
            return expired(error.detail)
        case _:
            return conflict(error.resource, error.name, error.detail)
