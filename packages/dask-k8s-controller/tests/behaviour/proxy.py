"""A line between a controller and the API server that can be cut, with a note of every request."""

import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme
import yaml

from dask_k8s_local.pytest_plugin import Kubectl

WEBHOOK_DOWN = (
    'Internal error occurred: failed calling webhook "w.example.com": no endpoints available for service "w"'
)


class Proxy(ThreadingHTTPServer):
    """Passes requests on to ``upstream``, hides paths, goes silent, refuses."""

    def __init__(self, upstream: str, kubeconfig: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Forward)
        self.upstream = upstream
        self.kubeconfig = kubeconfig
        self.requests: list[tuple[str, str]] = []
        """Methods and paths, in the order of their arrival."""
        self.hidden: str | None = None
        """The API server does not know paths that begin so."""
        self.forbidden: str | None = None
        """Paths that contain this are forbidden."""
        self.webhook_down: str | None = None
        """A webhook has to see each object that is created at paths with this end, and does not answer."""
        self.connections: set[socket.socket] = set()
        self.refusal: int | None = None
        self.token: str | None = None
        """What the API server accepts; None: whoever comes."""
        self._since = 0
        self._cuts: dict[str, int] = {}
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.silent = threading.Event()
        self._audible = threading.Event()
        self._audible.set()
        self._last: tuple[str, str, int, bool] | None = None
        self._before: tuple[str, str, Callable[[], object]] | None = None
        self.answered = threading.Event()
        """Set once there is an answer to the request of `before`."""

    def go_silent(self) -> None:
        """From now on swallow every byte, in both directions."""
        self._audible.clear()
        self.silent.set()

    def go_silent_at(self, method: str, end: str, number: int, answer_only: bool) -> None:
        """Go silent at so many requests from now: the last one is lost, or the answer to it."""
        self._last = method, end, self.count(method, end) + number, answer_only

    def before(self, method: str, end: str, act: Callable[[], object]) -> None:
        """Do something once, after such a request has come and before it goes on."""
        self._before = method, end, act

    def meets(self, method: str, path: str) -> bool:
        """Do what `before` was asked to do if this is the request."""
        if self._before is None or self._before[0] != method or not path.endswith(self._before[1]):
            return False
        _, _, act = self._before
        self._before = None
        act()
        return True

    def speak(self) -> None:
        """Let new requests pass; what was swallowed is lost."""
        self._last = None
        self.silent.clear()
        self._audible.set()

    def refuse(self, status: int) -> None:
        """End what is under way, and answer what comes by an HTTP status; 0 hangs up."""
        self.refusal = status
        self.hang_up()

    def hang_up(self) -> None:
        """End what is under way."""
        self._since = len(self.requests)
        for connection in tuple(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def accept(self) -> None:
        self.refusal = None

    def count(self, method: str, end: str) -> int:
        return sum(one == method and path.endswith(end) for one, path in self.requests)

    def cut(self, path: str, times: int) -> None:
        """End the next answers about this path before their bodies."""
        self._cuts[path] = times

    def cuts(self, path: str) -> bool:
        left = self._cuts.get(path, 0)
        self._cuts[path] = left - 1
        return left > 0

    def demand(self, token: str) -> None:
        """From now on accept this token and no other; end what is under way."""
        self.token = token
        self.hang_up()

    def secure(self, authority: trustme.CA) -> None:
        """From now on speak TLS, by a certificate of this authority."""
        authority.issue_cert("127.0.0.1").configure_cert(self._tls)
        if not isinstance(self.socket, ssl.SSLSocket):
            self.socket = self._tls.wrap_socket(self.socket, server_side=True)
        self.hang_up()

    def hears(self, end: str, timeout: float = 60.0) -> None:
        """Wait for a request that was accepted since the last time that all were ended."""
        deadline = time.monotonic() + timeout
        while not any(path.endswith(end) for _, path in self.requests[self._since :]):
            assert time.monotonic() < deadline, self.requests
            time.sleep(0.1)

    def lets_pass(self) -> bool:
        """Whether a byte that comes now goes on; while it is silent nobody gets to know."""
        if self._audible.is_set():
            return True
        self._audible.wait()
        return False

    def record(self, method: str, path: str, *, answered: bool) -> None:
        if not answered:
            self.requests.append((method, path))
        if self._last is not None:
            method_to_cut, end, number, answer_only = self._last
            is_it = (method, answered) == (method_to_cut, answer_only) and path.endswith(end)
            if is_it and self.count(method_to_cut, end) >= number:
                self.go_silent()

    def handle_error(self, *_: Any) -> None:
        """A controller that was killed hangs up."""


class _Forward(BaseHTTPRequestHandler):
    server: Proxy

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def _forward(self) -> None:
        path = self.path.partition("?")[0]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        token = self.server.token
        if token is not None and self.headers.get("Authorization") != f"Bearer {token}":
            self.send_error(401)
            return
        self.server.record(self.command, path, answered=False)
        if not self.server.lets_pass():
            return
        down = self.server.webhook_down
        if down is not None and self.command == "POST" and path.endswith(down):
            self._answer_by_status(500, "InternalError", WEBHOOK_DOWN)
            return
        refusal = self.server.refusal
        if self.server.hidden is not None and path.startswith(self.server.hidden):
            refusal = 404
        if self.server.forbidden is not None and self.server.forbidden in path:
            refusal = 403
        if refusal is not None:
            if refusal:
                self.send_error(refusal)
            return
        met = self.server.meets(self.command, path)
        headers = {name: self.headers[name] for name in ("Accept", "Content-Type") if name in self.headers}
        with contextlib.closing(http.client.HTTPConnection(self.server.upstream)) as upstream:
            upstream.request(self.command, self.path, body, headers)
            answer = upstream.getresponse()
            self.server.record(self.command, path, answered=True)
            if met:
                self.server.answered.set()
            if self.server.lets_pass():
                self._answer(answer)

    do_GET = do_POST = do_PATCH = do_DELETE = _forward  # noqa: N815 - so they are found

    def _answer_by_status(self, code: int, reason: str, message: str) -> None:
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        body = json.dumps(status | {"code": code, "reason": reason, "message": message}).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, answer: http.client.HTTPResponse) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers["Content-Type"])
        self.end_headers()
        if self.server.cuts(self.path.partition("?")[0]):
            return
        while (part := answer.read1()) and self.server.lets_pass():
            self.wfile.write(part)

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@contextlib.contextmanager
def serve(kubectl: Kubectl, folder: Path, *options: str) -> Iterator[Proxy]:
    """A proxy in front of ``kubectl proxy``, which knows the credentials and takes the options."""
    with kubectl.start("proxy", "--port=0", *options) as behind:
        address = behind.stdout.readline().split()[-1]
        with Proxy(address, folder / "kubeconfig-of-proxy") as proxy:
            proxy.kubeconfig.write_text(_kubeconfig(f"http://127.0.0.1:{proxy.server_port}"))
            threading.Thread(target=proxy.serve_forever, daemon=True).start()
            yield proxy
            proxy.speak()
            proxy.shutdown()
            behind.kill()


def _kubeconfig(server: str) -> str:
    return yaml.safe_dump({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "proxy", "cluster": {"server": server}}],
        "users": [{"name": "nobody", "user": {}}],
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "nobody"}}],
        "current-context": "proxy",
    })  # fmt: skip
