"""Where the API server is and who we are: kubeconfig, service account, tokens. No requests.

This is the only module that imports the ``kubernetes`` package, and it does so late: the import takes longer
than all others together.
"""

import base64
import functools
import ipaddress
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from yaml import YAMLError

from dask_k8s_client.arguments import JSON

if TYPE_CHECKING:
    from kubernetes.aio.client import Configuration

logger = logging.getLogger("dask_k8s_client")

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TOKEN = _SERVICE_ACCOUNT / "token"


class NoAccess(RuntimeError):
    """No way to an API server is configured, or the configured one cannot be used."""


@dataclass(frozen=True, slots=True)
class Login:
    """Which kubeconfig and context to use; None: the one that kubectl uses."""

    kubeconfig: str | None = None
    """Path of a kubeconfig to use instead of $KUBECONFIG."""
    context: str | None = None
    """Name of a context in the kubeconfig."""


DEFAULT_LOGIN = Login()


@dataclass(frozen=True, slots=True)
class OwnPod:
    """The pod that this process runs in, as the owner of what it creates."""

    namespace: str
    name: str
    uid: str

    @classmethod
    def from_token(cls, token: str) -> Self | None:
        """Return the pod that a service account token was issued for; None if the token does not contain it.

        This needs no permission, and does not depend on the host name, which may differ from the pod's name.
        The token is our own, so its signature is not verified.
        """
        try:
            _, claims, _ = token.split(".")
            claim = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["kubernetes.io"]
            return cls(claim["namespace"], claim["pod"]["name"], claim["pod"]["uid"])
        except (ValueError, LookupError, TypeError):
            return None

    def own(self, manifest: Mapping[str, Any]) -> JSON:
        """Return a copy of a manifest with this pod as its owner, so that it is deleted with the pod."""
        # Some API servers demand a permission for `blockOwnerDeletion` that users do not have.
        owner = {"apiVersion": "v1", "kind": "Pod", "name": self.name, "uid": self.uid}
        return {**manifest, "metadata": {**manifest["metadata"], "ownerReferences": [owner]}}


def owner_for(pod: OwnPod | None, manifest: Mapping[str, Any], namespace: str) -> OwnPod | None:
    """Return the pod if it can own what a manifest creates in `namespace`; if it cannot, log why, once."""
    if manifest["metadata"].get("ownerReferences"):
        return None
    if pod is None:
        _warn("the token of our service account does not say which pod this is")
    elif pod.namespace != namespace:
        # Kubernetes treats an owner in another namespace as deleted.
        _warn(f"they are in the namespace {namespace}, and this pod is in {pod.namespace}")
    else:
        return pod
    return None


@functools.cache
def _warn(reason: str) -> None:
    logger.warning("clusters that nobody closes stay when this pod is gone: %s", reason)


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach an API server, and with which credentials."""

    server: str
    namespace: str
    """The default namespace."""
    in_cluster: bool
    """Whether this process runs in a pod of that Kubernetes, so that names of services resolve."""
    own_pod: OwnPod | None
    """That pod, if its token identifies it."""
    connection: Mapping[str, Any]
    """TLS and proxy settings, as arguments of aiohttp's requests."""
    proxy_of_environment: bool
    """Whether to use HTTPS_PROXY and similar variables."""
    configuration: "Configuration"
    login: Login
    """What this was loaded from, to load it again."""

    async def headers(self) -> dict[str, str]:
        """Return the headers that authenticate a request; a service account token is read again when due."""
        from kubernetes.aio.config import ConfigException  # noqa: PLC0415

        try:
            settings: Mapping[str, Any] = await self.configuration.auth_settings()
        except (ConfigException, OSError) as error:
            raise NoAccess(f"cannot renew the credentials for {self.server}: {error}") from error
        return {str(each["key"]): each["value"] for each in settings.values() if each["value"]}


async def load(environ: Mapping[str, str] = os.environ, login: Login = DEFAULT_LOGIN) -> Access:
    """Load the first that exists of `login`, $KUBECONFIG, the pod's service account and ~/.kube/config.

    Only the service account means that we are inside the cluster: a kubeconfig may be for another one.
    """
    from kubernetes.aio.client import Configuration  # noqa: PLC0415
    from kubernetes.aio.client.rest import RESTClientObject  # noqa: PLC0415
    from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config  # noqa: PLC0415

    configuration = Configuration()
    configuration.api_key = {}
    own_pod = None
    paths = login.kubeconfig or environ.get("KUBECONFIG", "")
    in_cluster = not (login.kubeconfig or login.context or _any_file(paths)) and _TOKEN.is_file()
    paths = paths or "~/.kube/config"
    try:
        if in_cluster:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            namespace = (_SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
            own_pod = OwnPod.from_token(_TOKEN.read_text(encoding="utf-8"))
        elif not _any_file(paths):
            raise NoAccess(f"no Kubernetes to talk to: there is no kubeconfig ({paths}), nor is this a pod")
        else:
            loader = await load_kube_config(  # type: ignore[no-untyped-call]
                paths, context=login.context, client_configuration=configuration, persist_config=False
            )
            namespace = loader.current_context["context"].get("namespace") or "default"
        rest = RESTClientObject(configuration)
    except (ConfigException, OSError, ValueError, YAMLError) as error:
        raise NoAccess(str(error) if in_cluster else f"cannot use the kubeconfig {paths}: {error}") from error
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
        own_pod=own_pod,
        connection={key: value for key, value in connection.items() if value is not None},
        proxy_of_environment=not (configuration.proxy or _is_loopback(configuration.host)),
        configuration=configuration,
        login=login,
    )


def _is_loopback(url: str) -> bool:
    """Return whether a URL is on this machine, where neither we nor kubectl use a proxy."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _any_file(paths: str) -> bool:
    return any(Path(path).expanduser().is_file() for path in paths.split(os.pathsep) if path)
