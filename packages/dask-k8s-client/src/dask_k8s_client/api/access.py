"""The door to the `kubernetes` package: where the API server is and who we are. No requests.

That package takes longer to import than all others together, so it is not before it is needed.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from yaml import YAMLError

from dask_k8s_client.api.creator import Creator

if TYPE_CHECKING:
    from kubernetes.aio.client import Configuration

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Login:
    """What somebody said about where to log in; None: as kubectl has it."""

    kubeconfig: str | None = None
    """Path of a kubeconfig to use instead of $KUBECONFIG."""
    context: str | None = None
    """Name of a context in the kubeconfig."""

    @property
    def is_explicit(self) -> bool:
        """Something was said."""
        return bool(self.kubeconfig or self.context)


UNSAID = Login()


class NoAccess(RuntimeError):
    """No way to an API server is configured, or what is configured cannot be used."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach an API server, and as whom."""

    server: str
    namespace: str
    """The one to use where nobody names one."""
    in_cluster: bool
    """We are a pod of that very Kubernetes: names of services resolve."""
    creator: Creator | None
    """That pod, if we are one and know which."""
    connection: Mapping[str, Any]
    """TLS and proxy, as aiohttp's requests take them."""
    proxy_of_environment: bool
    """Whether HTTPS_PROXY and its like are heeded."""
    tls: ssl.SSLContext
    configuration: Configuration
    login: Login
    """How to get the like of this again."""

    async def headers(self) -> dict[str, str]:
        """Credentials; the token of a pod is read again when it is due."""
        from kubernetes.aio.config import ConfigException  # noqa: PLC0415

        try:
            settings: Mapping[str, Any] = await self.configuration.auth_settings()
        except (ConfigException, OSError) as error:
            raise NoAccess(f"cannot renew the credentials for {self.server}: {error}") from error
        return {str(each["key"]): each["value"] for each in settings.values() if each["value"]}


async def load(environ: Mapping[str, str] = os.environ, login: Login = UNSAID) -> Access:
    """From $KUBECONFIG, the service account of the pod we run in, or ~/.kube/config; the first that is there.

    Only the service account means that we are inside: a kubeconfig may well be that of another Kubernetes.
    What `login` says comes before all of them.
    """
    from kubernetes.aio.client import Configuration  # noqa: PLC0415
    from kubernetes.aio.client.rest import RESTClientObject  # noqa: PLC0415
    from kubernetes.aio.config import (  # noqa: PLC0415
        ConfigException,
        load_incluster_config,
        load_kube_config,
    )

    configuration = Configuration()
    configuration.api_key = {}
    creator = None
    paths = login.kubeconfig or environ.get("KUBECONFIG", "")
    in_cluster = not login.is_explicit and not _any_file(paths) and (_SERVICE_ACCOUNT / "token").is_file()
    paths = paths or "~/.kube/config"
    try:
        if in_cluster:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            namespace = (_SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
            creator = Creator.of_token((_SERVICE_ACCOUNT / "token").read_text(encoding="utf-8"))
        else:
            if not _any_file(paths):
                raise NoAccess(
                    f"no Kubernetes to talk to: there is no kubeconfig ({paths}), nor is this a pod"
                )
            loader = await load_kube_config(  # type: ignore[no-untyped-call]
                paths, context=login.context, client_configuration=configuration, persist_config=False
            )
            namespace = loader.current_context["context"].get("namespace") or "default"
        rest = RESTClientObject(configuration)
    except (ConfigException, OSError, ValueError, YAMLError) as error:
        raise NoAccess(
            f"cannot use the kubeconfig {paths}: {error}" if not in_cluster else str(error)
        ) from error
    connection = {
        "ssl": rest.ssl_context,
        "server_hostname": configuration.tls_server_name,
        "proxy": configuration.proxy,
        "proxy_headers": configuration.proxy_headers,
    }
    return Access(
        server=configuration.host.rstrip("/"),
        namespace=namespace,
        in_cluster=in_cluster,
        creator=creator,
        connection={key: value for key, value in connection.items() if value is not None},
        proxy_of_environment=not (configuration.proxy or _is_loopback(configuration.host)),
        tls=rest.ssl_context,
        configuration=configuration,
        login=login,
    )


def _is_loopback(url: str) -> bool:
    """No proxy leads there, whatever the environment says; kubectl thinks so too."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _any_file(paths: str) -> bool:
    return any(Path(path).expanduser().is_file() for path in paths.split(os.pathsep) if path)
