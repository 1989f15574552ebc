"""Why a connection failed, in the words that Go programs use. Pure."""

from __future__ import annotations

import os


def why(error: OSError) -> str:
    """Return the system's reason, as `connection refused`."""
    return os.strerror(error.errno).lower() if error.errno else str(error)
