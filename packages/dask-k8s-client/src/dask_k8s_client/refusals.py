"""What the API server's refusals mean to somebody who asked for a cluster. Pure."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from dask_k8s_client.aliases import JSON
from dask_k8s_client.exceptions import ApiError, SchedulerStartupError, ValidationError
from dask_k8s_crds import CustomResource, InvalidObject


def admit(kind: type[CustomResource], manifest: JSON) -> None:
    """Refuse what the API server would refuse, before it is asked."""
    try:
        kind.admit(manifest)
    except InvalidObject as error:
        raise ValidationError(str(error)) from error


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Raise refusals as what they mean to somebody who is about to do `what`."""
    try:
        yield
    except ApiError as error:
        raise explained(error, what) from error


def explained(error: ApiError, doing: str) -> Exception:
    """The exception to raise for it; `doing` completes "cannot ..."."""
    message = f"cannot {doing}: {error.message}"
    if error.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
        return ValidationError(message)
    if error.is_unknown_path:
        return RuntimeError(
            f"cannot {doing}: Kubernetes does not know this kind;"
            " are Dask's custom resource definitions installed? (dask-k8s-crds | kubectl apply -f -)"
        )
    if error.is_absence:
        return ValidationError(message)
    if error.status == HTTPStatus.UNAUTHORIZED:
        return PermissionError(f"cannot {doing}: Kubernetes does not accept the credentials: {error.message}")
    if error.status == HTTPStatus.FORBIDDEN:
        # The same status for what the user may not do and for what cannot be done now.
        temporary = "exceeded quota" in error.message or "being terminated" in error.message
        return SchedulerStartupError(message) if temporary else PermissionError(message)
    if error.status == HTTPStatus.CONFLICT:
        return ValueError(message)
    return RuntimeError(message)
