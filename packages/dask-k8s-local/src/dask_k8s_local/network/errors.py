"""Why a connection failed, in the words that Go programs use. Pure."""

import os


def error_text(error: OSError) -> str:
    """Return the system's reason, as `connection refused`."""
    return os.strerror(error.errno).lower() if error.errno else str(error)
