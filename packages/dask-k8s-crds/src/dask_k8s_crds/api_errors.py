"""Errors of the Kubernetes API as an exception, read from the ``Status`` object in the response. No I/O."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from http.client import responses
from typing import Any, Self

MAX_RETRY_AFTER_SECONDS = 30.0
"""The longest wait that a server can ask for. API servers ask for a few seconds; a broken or hostile proxy
could otherwise stop all requests for years."""


class ApiError(Exception):
    """The API server refused a request, or did not answer it.

    Attributes:
        status: The HTTP status; 0 where no answer came.
        reason: Kubernetes' CamelCase reason (``Conflict``, ``Forbidden``, ``Invalid``, …); empty where the
            response has none.
        message: The message of the server.
        causes: The reasons of the causes in ``details``.
        retry_after: Seconds that the server asked the client to wait, at most `MAX_RETRY_AFTER_SECONDS`, None
            where it did not ask.
        about: Name of the object in ``details``; empty where the error concerns the path.
    """

    def __init__(  # noqa: PLR0913  # the fields of a Status object
        self,
        status: int,
        reason: str,
        message: str,
        *,
        causes: tuple[str, ...] = (),
        retry_after: float | None = None,
        about: str = "",
    ) -> None:
        super().__init__(f"{reason}: {message}" if reason else message)
        self.status = status
        self.reason = reason
        self.message = message
        self.causes = causes
        self.retry_after = retry_after
        self.about = about

    @classmethod
    def from_body(cls, status: int, body: bytes, *, reason: str = "", retry_after: str | None = None) -> Self:
        """Read a response that contains a ``Status`` object, or whatever a proxy sent instead.

        ``reason`` is used in that case. ``retry_after`` is the header, in seconds; a date is ignored.
        """
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if isinstance(answer, dict) and answer.get("kind") == "Status":
            return cls.from_status(answer, status=status, reason=reason, retry_after=retry_after)
        text = " ".join(body[:300].decode(errors="replace").split())  # one line in logs and conditions
        message = text or ("" if reason else responses.get(status, ""))
        return cls(status, reason, message, retry_after=_seconds(retry_after))

    @classmethod
    def from_status(
        cls, answer: Mapping[str, Any], *, status: int, reason: str = "", retry_after: str | None = None
    ) -> Self:
        """Read a ``Status`` object; the other arguments replace fields that it lacks."""
        details = answer.get("details") or {}
        return cls(
            answer.get("code") or status,
            answer.get("reason") or reason,
            answer.get("message") or "",
            causes=tuple(cause.get("reason", "") for cause in details.get("causes") or ()),
            retry_after=_seconds(retry_after) or _seconds(details.get("retryAfterSeconds")),
            about=details.get("name") or "",
        )

    @property
    def answered(self) -> bool:
        """Whether the server decided on the request; if not, it may still have carried out a write."""
        return 0 < self.status < HTTPStatus.INTERNAL_SERVER_ERROR or self.status == 503

    @property
    def is_absence(self) -> bool:
        """Whether the object does not exist, as opposed to a path that the server does not know."""
        return self.status == HTTPStatus.NOT_FOUND and self.reason == "NotFound"

    @property
    def is_temporary(self) -> bool:
        """Whether the API server, or a node behind it, may answer if asked again later."""
        return self.status == HTTPStatus.TOO_MANY_REQUESTS or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def is_unknown_path(self) -> bool:
        """Whether the server does not know the resource, because its definition is not installed."""
        return self.status == HTTPStatus.NOT_FOUND and not self.reason


def _seconds(retry_after: object) -> float | None:
    """Return a number of seconds; None for 0, and for anything else that a header or a field may contain."""
    text = str(retry_after)
    seconds = float(text) if text.isdecimal() else 0.0  # infinity if it has hundreds of digits
    return min(seconds, MAX_RETRY_AFTER_SECONDS) or None
