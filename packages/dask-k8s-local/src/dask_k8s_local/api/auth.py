"""Who may ask: whoever has the server's token, or one that it has signed for a pod."""

from __future__ import annotations

import base64
import hmac
from typing import Any

import orjson
from aiohttp import web

from dask_k8s_local.api import errors

USER = "kubernetes-admin"
_OPEN = ("/healthz", "/livez", "/readyz", "/version")
_PREFIX = "bearer "  # in any case: the Python client writes it like this


class Tokens:
    """The bearer tokens that are accepted."""

    def __init__(self, token: str) -> None:
        self._token = token

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a JSON Web Token, as programs in pods have one and may read who they are."""
        text = ".".join(_encoded(orjson.dumps(part)) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
        return f"{text}.{self._signature(text)}"

    def check(self, request: web.BaseRequest) -> str:
        """Return who asks, or refuse."""
        header = request.headers.get("Authorization", "")
        if header.lower().startswith(_PREFIX):
            given = header[len(_PREFIX) :].strip()
            text, _, signature = given.rpartition(".")
            expected = ((given, self._token), (signature, self._signature(text)))
            if any(hmac.compare_digest(one.encode(), other.encode()) for one, other in expected):
                return USER
        elif not header and request.path.rstrip("/").startswith(_OPEN):
            return "system:anonymous"
        raise errors.unauthorized()

    def _signature(self, text: str) -> str:
        return _encoded(hmac.digest(self._token.encode(), text.encode(), "sha256"))


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode().rstrip("=")
