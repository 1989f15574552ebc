"""Answers that are refusals: Kubernetes' `Status`, with its words, reasons and causes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dask_k8s_local import store
from dask_k8s_local.controllers.doors import Forbidden
from dask_k8s_local.fields.managers import ApplyConflict
from dask_k8s_local.resources import Resource
from dask_k8s_local.schema.problems import Problem

BODY_MAX = 3 * 1024 * 1024

_CHANGED = "the object has been modified; please apply your changes to the latest version and try again"


class ApiError(Exception):
    """A request that is refused."""

    def __init__(
        self, code: int, reason: str, message: str, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def status(self) -> dict[str, Any]:
        """Return the body of the answer."""
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
    """Say which object a Status is about."""
    found = {"name": name, "group": resource.group, "kind": resource.plural, **more}
    return {key: value for key, value in found.items() if value}


def success(resource: Resource, name: str = "", uid: str = "") -> dict[str, Any]:
    """Return the Status of a success."""
    about = details(resource, name, uid=uid)
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": about}


def bad_request(message: str) -> ApiError:
    """Refuse what cannot be understood."""
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    """Refuse who is unknown."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(error: Forbidden) -> ApiError:
    """Refuse what is not allowed (now)."""
    about = details(error.resource, error.name, causes=list(error.causes))
    return ApiError(403, "Forbidden", str(error), about)


def not_found(resource: Resource, name: str) -> ApiError:
    """Say that there is no such object."""
    return ApiError(404, "NotFound", f'{resource.key} "{name}" not found', details(resource, name))


def no_such_resource() -> ApiError:
    """Say that there is no such collection."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def method_not_allowed(resource: Resource | None = None) -> ApiError:
    """Refuse a verb."""
    about = details(resource) if resource else {}
    return ApiError(
        405, "MethodNotAllowed", "the server does not allow this method on the requested resource", about
    )


def not_acceptable() -> ApiError:
    """Refuse to write another format."""
    message = (
        "406: Not Acceptable\n\nAvailable representations: application/json, application/json;stream=watch"
    )
    return ApiError(406, "NotAcceptable", message, {})


def already_exists(resource: Resource, name: str, why: str = "") -> ApiError:
    """Say that the name is taken."""
    message = f'{f"{why}: " if why else ""}{resource.key} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, details(resource, name))


def conflict(resource: Resource, name: str, why: str = "") -> ApiError:
    """Say that the object is not what the writer thinks."""
    message = f'Operation cannot be fulfilled on {resource.key} "{name}": {why or _CHANGED}'
    return ApiError(409, "Conflict", message, details(resource, name))


def apply_conflict(error: ApplyConflict) -> ApiError:
    """Say which fields others own."""
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {manager}", "field": path}
        for manager, path in error.conflicts
    ]
    return ApiError(409, "Conflict", str(error), {"causes": causes})


def expired(message: str) -> ApiError:
    """Say that the past is forgotten."""
    return ApiError(410, "Expired", message)


def too_large() -> ApiError:
    """Refuse a body that is too long."""
    message = f"Request entity too large: limit is {BODY_MAX}"
    return ApiError(413, "RequestEntityTooLarge", message, {})


def unsupported_media_type(accepted: Iterable[str]) -> ApiError:
    """Refuse a format."""
    listed = ", ".join(accepted)
    message = f"the body of the request was in an unknown format - accepted media types include: {listed}"
    return ApiError(415, "UnsupportedMediaType", message)


def invalid(group: str, kind: str, name: str, problems: Iterable[Problem]) -> ApiError:
    """Say what is wrong with an object."""
    found = list(problems)
    causes = [{"reason": one.reason, "message": one.body, "field": one.field} for one in found]
    messages = list(dict.fromkeys(str(one) for one in found))
    joined = messages[0] if len(messages) == 1 else f"[{', '.join(messages)}]"
    full_kind = f"{kind}.{group}" if group else kind
    about = {"name": name, "group": group, "kind": kind, "causes": causes}
    message = f'{full_kind} "{name}" is invalid: {joined}' if found else f'{full_kind} "{name}" is invalid'
    return ApiError(422, "Invalid", message, {key: value for key, value in about.items() if value})


def unprocessable(
    message: str = "the server rejected our request due to an error in our request",
) -> ApiError:
    """Refuse a patch that cannot be applied."""
    return ApiError(422, "Invalid", message, {})


def internal(message: str) -> ApiError:
    """Say that something is broken here."""
    about = {"causes": [{"message": message}]}
    return ApiError(500, "InternalError", f"Internal error occurred: {message}", about)


def from_store(error: store.StoreError) -> ApiError:
    """Translate what the store refuses."""
    if isinstance(error, store.NotFound):
        return not_found(error.resource, error.name)
    if isinstance(error, store.AlreadyExists):
        return already_exists(error.resource, error.name, error.detail)
    if isinstance(error, store.Gone):
        return expired(error.detail)
    return conflict(error.resource, error.name, error.detail)
