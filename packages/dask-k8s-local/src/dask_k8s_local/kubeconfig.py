"""The kubeconfig file of a local server.

Only its owner can read it, and no other kubeconfig is overwritten.
"""

import base64
import json
import os
from pathlib import Path

from dask_k8s_local.store import Object

NAME = "dask-k8s-local"


class ForeignKubeconfig(Exception):
    """The file is a kubeconfig of another cluster; the message says what to do."""


def kubeconfig(url: str, token: str, certificate: bytes) -> Object:
    """Return the contents of a kubeconfig."""
    cluster = {"server": url, "certificate-authority-data": base64.b64encode(certificate).decode()}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": NAME,
        "clusters": [{"name": NAME, "cluster": cluster}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME, "namespace": "default"}}],
        "users": [{"name": NAME, "user": {"token": token}}],
    }


def write(path: Path, config: Object) -> None:
    """Write a kubeconfig, or replace an older one of ours; raises ForeignKubeconfig."""
    check(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(config, file, indent=2)
    new.replace(path)


def check(path: Path) -> None:
    """Raise ForeignKubeconfig if the file exists and this package has not written it."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return
    try:
        ours = [cluster["name"] for cluster in json.loads(text)["clusters"]] == [NAME]
    except (ValueError, KeyError, TypeError):
        ours = False
    if text.strip() and not ours:
        raise ForeignKubeconfig(
            f"{path} is a kubeconfig of something else: it is left alone; name another file"
        )
