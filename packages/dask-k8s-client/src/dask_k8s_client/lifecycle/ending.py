"""The end of the interpreter: clusters that are still open and ours are deleted, without an event loop.

At that time loops may be closed and threads refuse new work (even the look-up of a host name), so the
request is a plain blocking one.
"""

import asyncio
import atexit
import json
import os
import urllib.error
import urllib.request
import weakref
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Protocol

from dask_k8s_client.api.access import Access, load

_TIMEOUT = 10.0


class Closes(Protocol):
    """What can be closed at the end."""

    def close_at_exit(self) -> None:
        """Delete what is ours, quickly, whatever state the loop is in."""


# By id: two objects for the same cluster are equal, and both must be closed.
# By process: a fork must not end its parent's clusters.
_open: "weakref.WeakValueDictionary[tuple[int, int], Closes]" = weakref.WeakValueDictionary()


def remember(cluster: Closes) -> None:
    """Have it closed at exit."""
    _open[os.getpid(), id(cluster)] = cluster


def forget(cluster: Closes) -> None:
    """It is closed."""
    _open.pop((os.getpid(), id(cluster)), None)


@atexit.register
def _close_all() -> None:
    for (process, _), cluster in list(_open.items()):
        if process == os.getpid():
            cluster.close_at_exit()


def delete_now(access: Access, path: str, uid: str) -> None:
    """DELETE, blocking; an object that is gone, or another one by now, is fine."""
    _request(access, "DELETE", path, {"propagationPolicy": "Background", "preconditions": {"uid": uid}})


def patch_now(access: Access, path: str, patch: Mapping[str, Any]) -> None:
    """PATCH with a merge patch, blocking; an object that is gone, or another one by its uid, is fine."""
    _request(access, "PATCH", path, patch)


def _request(access: Access, method: str, path: str, body: Mapping[str, Any]) -> None:
    for last in (False, True):
        try:
            _send(access, method, path, body)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == HTTPStatus.UNAUTHORIZED and not last:
                access = asyncio.run(load(login=access.login))  # an expired token
                continue
            if error.code not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
                raise
        return


def _send(access: Access, method: str, path: str, body: Mapping[str, Any]) -> None:
    content_type = "application/merge-patch+json" if method == "PATCH" else "application/json"
    request = urllib.request.Request(  # noqa: S310  # the scheme is the kubeconfig's
        access.server + path,
        data=json.dumps(body).encode(),
        headers={"Content-Type": content_type, **asyncio.run(access.headers())},
        method=method,
    )
    proxy = access.connection.get("proxy")
    proxies = {"http": proxy, "https": proxy} if proxy else None if access.proxy_of_environment else {}
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler(proxies), urllib.request.HTTPSHandler(context=access.tls)
    )
    opener.open(request, timeout=_TIMEOUT).close()
