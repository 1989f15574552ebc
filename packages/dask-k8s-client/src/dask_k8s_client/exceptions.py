"""Exceptions that users see, and the translation of the API server's refusals into them. No I/O."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from dask_k8s_client.arguments import JSON
from dask_k8s_crds import CustomResource, InvalidObject
from dask_k8s_crds.api_errors import ApiError


class ValidationError(ValueError):
    """A name, an argument or a spec that Kubernetes would refuse, or has refused."""


class SchedulerStartupError(Exception):
    """The scheduler did not start; the message says why, with its last log lines where there are any."""


class CrashLoopBackOffError(SchedulerStartupError):
    """The scheduler crashes each time Kubernetes restarts it."""


class SchedulerStartupTimeout(SchedulerStartupError, TimeoutError):
    """The scheduler did not start in time; the message says what it was waiting for."""


class NameTaken(ValueError):
    """A cluster of this name exists, and the caller asked for a new one."""


class Unreachable(ConnectionError):
    """The Kubernetes API does not answer."""


def admit(kind: type[CustomResource], manifest: JSON) -> None:
    """Validate a manifest before sending it; raise a ValidationError if the API server would refuse it."""
    try:
        kind.admit(manifest)
    except InvalidObject as error:
        raise ValidationError(str(error)) from error


@contextmanager
def explaining(action: str) -> Iterator[None]:
    """Translate an ApiError raised inside the block; `action` completes the message "cannot …"."""
    try:
        yield
    except ApiError as error:
        raise explained(error, action) from error


def explained(error: ApiError, action: str) -> Exception:
    """Return the exception to raise for a refusal; `action` completes the message "cannot …"."""
    message = f"cannot {action}: {error.message}"
    if error.is_absence or error.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
        return ValidationError(message)
    if error.is_unknown_path:
        advice = "are Dask's custom resource definitions installed? (dask-k8s-crds | kubectl apply -f -)"
        return RuntimeError(f"cannot {action}: Kubernetes does not know this kind; {advice}")
    if error.status == HTTPStatus.UNAUTHORIZED:
        problem = "Kubernetes does not accept the credentials"
        return PermissionError(f"cannot {action}: {problem}: {error.message}")
    if error.status == HTTPStatus.FORBIDDEN:
        # The status is the same for a missing permission and for a state that may change.
        is_state = "exceeded quota" in error.message or "being terminated" in error.message
        return SchedulerStartupError(message) if is_state else PermissionError(message)
    if error.status == HTTPStatus.CONFLICT:
        return ValueError(message)
    return RuntimeError(message)
