"""The kubeconfig of a local server: written so that only its owner reads it, known again later."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

from dask_k8s_local.store import Object

NAME = "dask-k8s-local"


class NotOurs(Exception):
    """The file is somebody else's kubeconfig; the message says what to do."""


def kubeconfig(url: str, token: str, certificate: bytes) -> Object:
    """Return a kubeconfig; JSON, which is YAML too."""
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
    """Put a kubeconfig in the place of an older one of ours, or of none; raises NotOurs."""
    check(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(config, file, indent=2)
    new.replace(path)


def check(path: Path) -> None:
    """Refuse to overwrite what we have not written."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return
    try:
        ours = [cluster["name"] for cluster in json.loads(text)["clusters"]] == [NAME]
    except (ValueError, KeyError, TypeError):
        ours = False
    if text.strip() and not ours:
        raise NotOurs(f"{path} is a kubeconfig of something else: it is left alone; name another file")
