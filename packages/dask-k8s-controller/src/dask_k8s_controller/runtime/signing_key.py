"""A random key that all controllers of an installation share, and signatures made with it.

The key is in a Secret, which the first controller creates. The right to read Secrets is not needed: the
response to a creation contains the Secret, and so does the response to a patch that changes nothing.
"""

import asyncio
import base64
import hmac
import logging
import math
import secrets
from dataclasses import dataclass, field
from typing import Any

from dask_k8s_controller.runtime.api import Api
from dask_k8s_controller.runtime.backoff import Backoff
from dask_k8s_controller.runtime.objects import Body, Key
from dask_k8s_controller.runtime.plan import COMPONENT
from dask_k8s_crds.api_errors import ApiError

logger = logging.getLogger(__name__)

FIELD = "key"
"""The key in the ``data`` of the Secret."""
KEY_BYTES = 32
"""The length of a new key, and the least length of one that somebody else created."""


class UnusableKey(Exception):
    """The Secret exists and contains no usable key."""


@dataclass(slots=True)
class SigningKey:
    """The key in a Secret; `load` reads or creates it."""

    api: Api
    secret: Key
    backoff: Backoff = field(default_factory=Backoff)
    problem: str = ""
    """Why the key cannot be loaded, and what to do; empty if there is no problem."""
    loaded: float = field(default=-math.inf, init=False)
    """When the key was last read or created, in monotonic time."""
    _key: bytes = field(default=b"", repr=False)

    async def load(self) -> None:
        """Read the key, or create it if the Secret does not exist; try again until that succeeds."""
        failures = 0
        while True:
            try:
                self._key = await self._create_or_read()
            except (ApiError, UnusableKey) as error:
                failures += 1
                self._report(self._explain(error))
                await asyncio.sleep(self.backoff.delay(failures))
            else:
                self.problem = ""
                self.loaded = asyncio.get_running_loop().time()
                return

    def sign(self, text: str) -> str:
        """Return the HMAC of a text, which nobody can compute without the key."""
        if not self._key:
            raise RuntimeError(f"the key in the {self.secret} is not loaded: await `load` first")
        return hmac.digest(self._key, text.encode(), "sha256").hex()

    async def _create_or_read(self) -> bytes:
        try:
            body = await self.api.create(self.secret.collection_path, self._manifest(), fenced=False)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            body = await self.api.patch(self.secret.path(), {}, fenced=False)
        else:
            logger.info("Created a new key in the %s", self.secret)
        return self._decode(body)

    def _manifest(self) -> dict[str, Any]:
        description = f"The key of {COMPONENT}. To replace it, delete this Secret and restart the controller."
        metadata = {
            "name": self.secret.name,
            "namespace": self.secret.namespace,
            "labels": {"app.kubernetes.io/managed-by": COMPONENT},
            "annotations": {"kubernetes.io/description": description},
        }
        key = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
        # It cannot be edited by mistake: with another key, no scheduler that runs accepts a request.
        content = {"immutable": True, "data": {FIELD: key}}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, **content}

    def _decode(self, body: Body) -> bytes:
        key = base64.b64decode((body.get("data") or {}).get(FIELD) or "")
        if len(key) < KEY_BYTES:
            raise UnusableKey(
                f'the {self.secret} has no "{FIELD}" of at least {KEY_BYTES} bytes in its data: delete the '
                "Secret, and the controller creates another"
            )
        return key

    def _explain(self, error: Exception) -> str:
        if isinstance(error, UnusableKey):
            return str(error)
        problem = f"cannot create or read the {self.secret}: {error}"
        if isinstance(error, ApiError) and error.status == 403 and "exceeded quota" not in error.message:
            problem += (
                f'; grant the controller the rights to "create" Secrets in the namespace '
                f'{self.secret.namespace} and to "patch" this one, as the Role in '
                f'"{COMPONENT} manifests --controller-namespace {self.secret.namespace}" does'
            )
        return problem

    def _report(self, problem: str) -> None:
        """Log a problem, once until it is another one."""
        if problem != self.problem:
            logger.error("%s", problem)
        self.problem = problem
