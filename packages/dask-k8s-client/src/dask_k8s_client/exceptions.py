"""What goes wrong for people. Each says why, in the words of whoever refused."""

from http import HTTPStatus


class ValidationError(ValueError):
    """A name, an argument or a spec that Kubernetes would refuse, or has refused."""


class SchedulerStartupError(Exception):
    """The scheduler did not start; the message says why, with its last log lines where there are any."""


class CrashLoopBackOffError(SchedulerStartupError):
    """The scheduler starts and ends, again and again."""


class SchedulerStartupTimeout(SchedulerStartupError, TimeoutError):
    """Time is up; the message says what the scheduler was waiting for."""


class NameTaken(ValueError):
    """There is a cluster of this name, and it was not to be connected to."""


class Unreachable(ConnectionError):
    """The Kubernetes API does not answer."""


class ApiError(Exception):
    """The Kubernetes API refused a request.

    Attributes:
        status: The HTTP status.
        reason: Kubernetes' word for it, such as ``Forbidden``; empty where the answer had none.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message

    @property
    def is_absence(self) -> bool:
        """There is no such object; a path that the server does not know is not that."""
        return self.status == HTTPStatus.NOT_FOUND and self.reason == "NotFound"

    @property
    def is_temporary(self) -> bool:
        """The API server, or a node that it asked, cannot answer now; it may another time."""
        return self.status == HTTPStatus.TOO_MANY_REQUESTS or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def is_unknown_path(self) -> bool:
        """The server does not know such objects: nobody has installed their definition."""
        return self.status == HTTPStatus.NOT_FOUND and not self.reason
