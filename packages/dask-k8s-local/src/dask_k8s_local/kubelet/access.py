"""How programs in pods reach the API: files and variables of a service account, which may do everything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dask_k8s_local.kubelet.runtime.mounts import Mount
from dask_k8s_local.store import Object, namespace_of

_PLACE = "/var/run/secrets/kubernetes.io/serviceaccount"


@dataclass(frozen=True, kw_only=True)
class Access:
    """The API as pods see it."""

    directory: Path
    host: str
    port: int
    token: str
    authority: str

    def wanted_by(self, pod: Object) -> bool:
        """Tell whether it has a service account of its own; on most clusters, `default` may do nothing."""
        spec = pod["spec"]
        account = spec.get("serviceAccountName", "default")
        return account != "default" and spec.get("automountServiceAccountToken") is not False

    def mount(self, pod: Object) -> Mount:
        """Return the directory with token, authority and namespace, at its usual place."""
        namespace = namespace_of(pod)
        directory = self.directory / namespace
        if not directory.exists():
            directory.mkdir(parents=True)
            for name, text in (("token", self.token), ("ca.crt", self.authority), ("namespace", namespace)):
                (directory / name).write_text(text)
        return (str(directory), _PLACE, True)

    def variables(self) -> dict[str, str]:
        """Return the variables that every client library knows."""
        return {
            "KUBERNETES_SERVICE_HOST": self.host,
            "KUBERNETES_SERVICE_PORT": str(self.port),
            "KUBERNETES_SERVICE_PORT_HTTPS": str(self.port),
            "KUBERNETES_PORT": f"tcp://{self.host}:{self.port}",
        }
