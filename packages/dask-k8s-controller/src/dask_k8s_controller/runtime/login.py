"""Credentials for the API server, from a service account or a kubeconfig, read by the package `kubernetes`.

The only module of the controller that imports `kubernetes`. It sends no requests.
"""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import getproxies

from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config import incluster_config, kube_config
from kubernetes.aio.config.config_exception import ConfigException


def has_proxy() -> bool:
    """Return whether the environment configures a proxy; if not, aiohttp need not look for one each time."""
    return bool(getproxies())


@dataclass(slots=True)
class Credentials:
    """The address of the API server and how to authenticate with it; can be loaded again at any time."""

    configuration: Configuration = field(default_factory=Configuration)

    async def load(self) -> None:
        """Load the service account or the kubeconfig; raise ``ConnectionError`` if there is neither."""
        configuration = Configuration()
        try:
            incluster_config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        except ConfigException:
            try:
                await kube_config.load_kube_config(  # type: ignore[no-untyped-call]
                    client_configuration=configuration
                )
            except Exception as error:
                # Not only ConfigException: a partly written file can raise TypeError and others.
                reason = f"not in a pod, and no kubeconfig ({error}); set KUBECONFIG"
                raise ConnectionError(f"no Kubernetes is configured: {reason}") from error
        self.configuration = configuration

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return str(self.configuration.host).rstrip("/")

    def namespace(self) -> str:
        """Return the namespace of the pod or, outside a pod, of the kubeconfig's current context."""
        file = Path(incluster_config.SERVICE_TOKEN_FILENAME).with_name("namespace")
        if file.exists():
            return file.read_text(encoding="utf-8").strip()
        _, context = kube_config.list_kube_config_contexts()  # type: ignore[no-untyped-call]
        return context["context"].get("namespace") or "default"

    def ssl_context(self) -> ssl.SSLContext:
        """Return a TLS context as configured, with client certificates if there are any."""
        return RESTClientObject(self.configuration).ssl_context

    async def authorization(self) -> str | None:
        """Return the ``Authorization`` header; raise ``ConnectionError`` if the token cannot be renewed."""
        try:
            token: str | None = await self.configuration.get_api_key_with_prefix("BearerToken")
        except Exception as error:
            # As in `load`: the file is missing or partly written, or the program that makes tokens failed.
            raise ConnectionError(f"the credentials cannot be renewed: {error}") from error
        if token is None and self.configuration.username:
            return str(self.configuration.get_basic_auth_token())
        return token

    def is_unauthenticated(self, status: int) -> bool:
        """Return whether a response with this status means that authentication, not authorization, failed.

        A token file that was empty when it was read, because it was being written, makes requests anonymous;
        those get a 403.
        """
        loaded = self.configuration
        anonymous = not (loaded.api_key or loaded.username or loaded.cert_file)
        return status == 401 or (status == 403 and anonymous)

    def trust(self, context: ssl.SSLContext) -> None:
        """Add the certificate authorities that were loaded last to a TLS context that is in use."""
        if self.configuration.ssl_ca_cert:
            context.load_verify_locations(self.configuration.ssl_ca_cert)
