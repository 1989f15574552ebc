"""Access to the API from pods: the files and variables of their service account.

There is no authorization.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dask_k8s_local.kubelet.runtime.mounts import Mount
from dask_k8s_local.store import Object, namespace_of

_MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"


@dataclass(frozen=True, kw_only=True)
class ServiceAccountAccess:
    """How pods reach the API server."""

    host: str
    port: int
    sign: Callable[[dict[str, Any]], str]
    """Returns a token with these claims."""
    authority: str

    def is_enabled_for(self, pod: Object) -> bool:
        """Return whether the pod gets access: not with `default`, which has no rights on most clusters."""
        spec = pod["spec"]
        account = spec.get("serviceAccountName", "default")
        return account != "default" and spec.get("automountServiceAccountToken") is not False

    def mount(self, pod: Object, directory: Path) -> Mount:
        """Return the mount with `token`, `ca.crt` and `namespace`."""
        namespace = namespace_of(pod)
        if not directory.exists():
            directory.mkdir(parents=True)
            token = self.sign(_claims(pod))
            for name, text in (("token", token), ("ca.crt", self.authority), ("namespace", namespace)):
                (directory / name).write_text(text)
        return (str(directory), _MOUNT_PATH, True)

    def variables(self) -> dict[str, str]:
        """Return the environment variables that client libraries read."""
        return {
            "KUBERNETES_SERVICE_HOST": self.host,
            "KUBERNETES_SERVICE_PORT": str(self.port),
            "KUBERNETES_SERVICE_PORT_HTTPS": str(self.port),
            "KUBERNETES_PORT": f"tcp://{self.host}:{self.port}",
        }


def _claims(pod: Object) -> dict[str, Any]:
    """Return the claims of a pod's token, which is valid as long as the server runs."""
    metadata, account = pod["metadata"], pod["spec"].get("serviceAccountName", "default")
    namespace = namespace_of(pod)
    bound = {
        "namespace": namespace,
        "pod": {"name": metadata["name"], "uid": metadata["uid"]},
        "serviceaccount": {"name": account},
    }
    return {"sub": f"system:serviceaccount:{namespace}:{account}", "kubernetes.io": bound}
