"""Credentials for the API server, read by the `kubernetes` package from a service account or a kubeconfig.

No other module of the controller imports `kubernetes`.
"""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import getproxies

import aiohttp
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config import incluster_config, kube_config
from kubernetes.aio.config.config_exception import ConfigException


def has_proxy() -> bool:
    """Whether the environment names a proxy; aiohttp would otherwise read a file for each request."""
    return bool(getproxies())


@dataclass(slots=True)
class Credentials:
    """Where the API server is and how to speak to it, read anew on demand."""

    configuration: Configuration = field(default_factory=Configuration)

    async def load(self) -> None:
        """Read the service account, or else the kubeconfig (`KUBECONFIG`, ``~/.kube/config``).

        Raises ``ConnectionError`` where there is neither.
        """
        configuration = Configuration()
        try:
            incluster_config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        except ConfigException:
            try:
                await kube_config.load_kube_config(  # type: ignore[no-untyped-call]
                    client_configuration=configuration
                )
            except Exception as error:
                # Not only ConfigException: a file that is being written is a TypeError or worse.
                message = (
                    f"no Kubernetes is configured: not in a pod, and no kubeconfig ({error}); set KUBECONFIG"
                )
                raise ConnectionError(message) from error
        self.configuration = configuration

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return str(self.configuration.host).rstrip("/")

    def namespace(self) -> str:
        """Return where this runs: the namespace of the pod, or else of the kubeconfig's context."""
        file = Path(incluster_config.SERVICE_TOKEN_FILENAME).with_name("namespace")
        if file.exists():
            return file.read_text(encoding="utf-8").strip()
        _, context = kube_config.list_kube_config_contexts()  # type: ignore[no-untyped-call]
        return context["context"].get("namespace") or "default"

    def ssl_context(self) -> ssl.SSLContext:
        """TLS as the configuration says, with client certificates if it has them."""
        return RESTClientObject(self.configuration).ssl_context

    async def authorization(self) -> str | None:
        """The value of the ``Authorization`` header; a token file that changed is read again.

        Raises ``ConnectionError`` where it cannot be.
        """
        try:
            token: str | None = await self.configuration.get_api_key_with_prefix("BearerToken")
        except Exception as error:
            # As in `load`: the file is gone or half-written, or the program that makes tokens failed.
            raise ConnectionError(f"the credentials cannot be renewed: {error}") from error
        if token is None and self.configuration.username:
            return str(self.configuration.get_basic_auth_token())
        return token

    def refused(self, status: int) -> bool:
        """Whether an answer is about who we are, not about what we may.

        A token file that was empty when it was read, as while it is written, makes us nobody.
        """
        found = self.configuration
        anonymous = not (found.api_key or found.username or found.cert_file)
        return status == 401 or (status == 403 and anonymous)

    def trust(self, context: ssl.SSLContext) -> None:
        """Let TLS that is in use trust the authorities of today, too."""
        if self.configuration.ssl_ca_cert:
            context.load_verify_locations(self.configuration.ssl_ca_cert)

    def session(
        self, context: ssl.SSLContext, *middlewares: aiohttp.ClientMiddlewareType
    ) -> aiohttp.ClientSession:
        """Open a session for somebody else; the middlewares authorize its requests."""
        connector = aiohttp.TCPConnector(limit=0, ssl=context)
        return aiohttp.ClientSession(connector=connector, middlewares=middlewares, trust_env=has_proxy())
