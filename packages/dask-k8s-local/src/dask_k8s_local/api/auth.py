"""Who may ask: whoever has the server's token."""

from __future__ import annotations

import hmac

from aiohttp import web

from dask_k8s_local.api import errors

USER = "kubernetes-admin"
_OPEN = ("/healthz", "/livez", "/readyz", "/version")
_PREFIX = "bearer "  # in any case: the Python client writes it like this


class Tokens:
    """The bearer tokens that are accepted."""

    def __init__(self, *tokens: str) -> None:
        self._tokens = tuple(tokens)

    def check(self, request: web.BaseRequest) -> str:
        """Return who asks, or refuse."""
        header = request.headers.get("Authorization", "")
        if header.lower().startswith(_PREFIX):
            given = header[len(_PREFIX) :].strip().encode()
            if any(hmac.compare_digest(given, token.encode()) for token in self._tokens):
                return USER
        elif not header and request.path.rstrip("/").startswith(_OPEN):
            return "system:anonymous"
        raise errors.unauthorized()
