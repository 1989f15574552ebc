"""Messages of connection errors, as Go programs write them."""

import os


def error_text(error: OSError) -> str:
    """Return the message of the operating system, such as `connection refused`."""
    return os.strerror(error.errno).lower() if error.errno else str(error)
