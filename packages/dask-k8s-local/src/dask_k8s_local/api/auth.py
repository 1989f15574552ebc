"""Authentication: accepts the server's token and tokens that it has signed for pods.

There is no authorization.
"""

import base64
import hmac
from typing import Any

import orjson
from aiohttp import web

from dask_k8s_local.api import errors

USER = "kubernetes-admin"
_OPEN = ("/healthz", "/livez", "/readyz", "/version")
_PREFIX = "bearer "
"""Compared in lower case, which the Python client sends."""


class Tokens:
    """The bearer tokens that are accepted."""

    def __init__(self, token: str) -> None:
        self._token = token

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a JSON Web Token for a pod."""
        text = ".".join(_encoded(orjson.dumps(part)) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
        return f"{text}.{self._signature(text)}"

    def check(self, request: web.BaseRequest) -> str:
        """Return the user of a request; raises StatusError."""
        header = request.headers.get("Authorization", "")
        if header.lower().startswith(_PREFIX):
            token = header[len(_PREFIX) :].strip()
            if hmac.compare_digest(token.encode(), self._token.encode()) or self._is_signed(token):
                return USER
        elif not header and request.path.rstrip("/").startswith(_OPEN):
            return "system:anonymous"
        raise errors.unauthorized()

    def _is_signed(self, token: str) -> bool:
        text, _, signature = token.rpartition(".")
        return hmac.compare_digest(signature.encode(), self._signature(text).encode())

    def _signature(self, text: str) -> str:
        return _encoded(hmac.digest(self._token.encode(), text.encode(), "sha256"))


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode().rstrip("=")
