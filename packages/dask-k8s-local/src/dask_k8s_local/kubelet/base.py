"""What every process of a pod finds in its environment, as if an image had brought it; its directories."""

from __future__ import annotations

import os
import site
import sys
from pathlib import Path

import dask_k8s_local.network.pod
from dask_k8s_local.store import Object, namespace_of

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_INHERITED = (
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "TZ",
    "CONDA_PREFIX",
    "VIRTUAL_ENV",
)
_HOSTNAME_MAX = 63


def base_variables(pod: Object, directory: Path, address: str, names: Path) -> dict[str, str]:
    """Return the variables: those that make the server's Python environment the pod's, and the pod's own."""
    home, temporary = directory / "home", directory / "tmp"
    for path in (home, temporary):
        path.mkdir(parents=True, exist_ok=True)
    hostname = (pod["spec"].get("hostname") or pod["metadata"]["name"])[:_HOSTNAME_MAX].rstrip(".-")
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return inherited | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{_SYSTEM_PATH}",
        "PYTHONUSERBASE": site.getuserbase(),
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "HOSTNAME": hostname,
        "K8S_LOCAL_ADDRESS": address,
        "K8S_LOCAL_NAMES": str(names),
        "K8S_LOCAL_NAMESPACE": namespace_of(pod),
    }


def python_path() -> str:
    """Return the directory whose sitecustomize gives Python the pod's view of the network."""
    return str(Path(dask_k8s_local.network.pod.__file__).parent)
