"""The exceptions for the API server's refusals."""

import pytest

from dask_k8s_client import SchedulerStartupError, ValidationError
from dask_k8s_client.exceptions import explained
from dask_k8s_crds.api_errors import ApiError


@pytest.mark.parametrize(
    "status, reason, message, becomes, text",
    [
        pytest.param(422, "Invalid", "spec.x: Required value", ValidationError, "spec.x", id="invalid"),
        pytest.param(
            400, "BadRequest", 'unknown field "spec.x"', ValidationError, "unknown field", id="unknown field"
        ),
        pytest.param(
            404, "", "404 page not found", RuntimeError, "custom resource definitions", id="no CRDs"
        ),
        pytest.param(404, "NotFound", 'namespaces "x" not found', ValidationError, "namespaces", id="absent"),
        pytest.param(401, "Unauthorized", "Unauthorized", PermissionError, "credentials", id="who are you"),
        pytest.param(403, "Forbidden", "User u cannot create", PermissionError, "User u", id="may not"),
        pytest.param(403, "Forbidden", "exceeded quota: q", SchedulerStartupError, "quota: q", id="quota"),
        pytest.param(
            403, "Forbidden", "because it is being terminated", SchedulerStartupError, "", id="terminating"
        ),
        pytest.param(409, "AlreadyExists", '"foo-more" already exists', ValueError, "foo-more", id="taken"),
        pytest.param(500, "InternalError", "etcd", RuntimeError, "etcd", id="broken"),
    ],
)
def test_refusal(status, reason, message, becomes, text):
    error = explained(ApiError(status, reason, message), "do it")
    assert type(error) is becomes
    assert str(error).startswith("cannot do it: ")
    assert text in str(error)
