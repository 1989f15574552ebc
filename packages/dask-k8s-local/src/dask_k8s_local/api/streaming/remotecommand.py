"""exec: connects the streams of a command to WebSocket channels and reports its exit code as a Status."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from dask_k8s_local.api.errors import internal
from dask_k8s_local.api.streaming.channels import Channels
from dask_k8s_local.api.streaming.stream_buffer import StreamBuffer, run_session
from dask_k8s_local.kubelet.protocol import Kubelet, Pod, PodUnavailable, Process

_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE = range(5)
_CHUNK = 2**15
_DISCARD_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class ExecOptions:
    """Kubernetes' PodExecOptions: the command and the streams to connect."""

    container: str
    command: Sequence[str]
    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool


async def serve(ws: web.WebSocketResponse, kubelet: Kubelet, pod: Pod, options: ExecOptions) -> None:
    """Run a command; kill it when the client disconnects."""
    command = _Command(ws, options)
    await run_session(ws, command.channels.receive(), command.run(kubelet, pod))


async def refuse(ws: web.WebSocketResponse, message: str) -> None:
    """Send an error instead of running a command."""
    await Channels(ws, {}).send(_ERROR, orjson.dumps(internal(message).status()))
    await ws.close()


class _Command:
    def __init__(self, ws: web.WebSocketResponse, options: ExecOptions) -> None:
        self._options = options
        self._stdin, self._resize = StreamBuffer(), StreamBuffer()
        self.channels = Channels(ws, {_STDIN: self._stdin, _RESIZE: self._resize})

    async def run(self, kubelet: Kubelet, pod: Pod) -> None:
        options = self._options
        requested = {_STDOUT: options.stdout, _STDERR: options.stderr and not options.tty, _ERROR: True}
        # An empty message shows the client that the connection is established.
        await self.channels.send(
            next(channel for channel, is_requested in requested.items() if is_requested), b""
        )
        try:
            process = await _start(kubelet, pod, options)
        except PodUnavailable as error:
            refused = internal(f"error executing command in container: {error}").status()
            await self.channels.send(_ERROR, orjson.dumps(refused))
            return
        try:
            code = await self._connect_streams(process, requested)
        except BaseException:
            process.kill()
            await _discard(process)
            raise
        await self.channels.send(_ERROR, orjson.dumps(_status(code)))

    async def _connect_streams(self, process: Process, requested: dict[int, bool]) -> int:
        inputs = [  # the size of the terminal is set before it gets input
            asyncio.create_task(_apply_resizes(self._resize, process.resize)),
            asyncio.create_task(_forward_stdin(self._stdin, process.stdin)),
        ]
        try:
            async with asyncio.TaskGroup() as outputs:
                for channel, reader in ((_STDOUT, process.stdout), (_STDERR, process.stderr)):
                    if reader:
                        outputs.create_task(
                            self._forward_output(reader, channel if requested[channel] else None)
                        )
                return await process.wait()
        except ExceptionGroup as group:
            raise group.exceptions[0] from None  # the client has disconnected; both outputs raise the same
        finally:
            for task in inputs:
                task.cancel()
            await asyncio.gather(*inputs, return_exceptions=True)
            if process.stdin:
                process.stdin.close()

    async def _forward_output(self, reader: asyncio.StreamReader, channel: int | None) -> None:
        while data := await reader.read(_CHUNK):
            if channel is not None:
                await self.channels.send(channel, data)


async def _start(kubelet: Kubelet, pod: Pod, options: ExecOptions) -> Process:
    """Start the command; kill it if the client disconnects meanwhile."""
    if not options.command:
        raise PodUnavailable("args must not be empty")
    starting = asyncio.ensure_future(
        kubelet.exec(pod, options.container, options.command, stdin=options.stdin, tty=options.tty)
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with contextlib.suppress(PodUnavailable):
            process = await starting
            process.kill()
            await _discard(process)
        raise


async def _forward_stdin(buffer: StreamBuffer, writer: asyncio.StreamWriter | None) -> None:
    """Forward standard input; it is not an error if the command does not read it."""
    if writer:
        with contextlib.suppress(OSError):
            async for data in buffer:
                writer.write(data)
                await writer.drain()
        writer.close()
    buffer.close()


async def _discard(process: Process) -> None:
    """Read the rest of the output, so that the pipes are closed."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DISCARD_SECONDS):
            for reader in filter(None, (process.stdout, process.stderr)):
                while await reader.read(_CHUNK):
                    pass


async def _apply_resizes(buffer: StreamBuffer, resize: Callable[[int, int], None]) -> None:
    async for data in buffer:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            size = orjson.loads(data)
            resize(int(size["Height"]), int(size["Width"]))


def _status(code: int) -> dict[str, Any]:
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: command terminated with exit code {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }
