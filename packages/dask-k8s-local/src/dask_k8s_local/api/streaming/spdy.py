"""SPDY/3.1 frames, as far as Kubernetes uses them for port-forwarding. Encodes and decodes; does no I/O.

Kubernetes' implementation has no flow control, so there is none here: the TCP connection provides it.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

_VERSION = 3
_CONTROL = 0x8000
_HEADER = struct.Struct(">HHI")
"""Of a control frame: control bit and version, type, flags and length."""
_DATA_HEADER = struct.Struct(">II")
"""Of a data frame: stream, flags and length."""
_NUMBER = struct.Struct(">I")
_STREAM = 0x7FFFFFFF
_LENGTH = 0xFFFFFF
_HEADERS_MAX = 2**20
FIN = 1


class Type(IntEnum):
    """The type of a control frame."""

    SYN_STREAM = 1
    SYN_REPLY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    HEADERS = 8
    WINDOW_UPDATE = 9


class Reset(IntEnum):
    """Status codes of RST_STREAM."""

    CANCEL = 5


class ProtocolError(ValueError):
    """The bytes are not SPDY/3.1."""


@dataclass(frozen=True)
class Control:
    """A control frame; `number` is the stream, the id of a PING, or the last stream of a GOAWAY."""

    type: Type
    number: int
    fin: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Data:
    """A data frame."""

    stream: int
    data: bytes
    fin: bool


_LAYOUT = {
    Type.SYN_STREAM: struct.Struct(">IIBB"),  # stream, associated stream, priority, slot
    Type.SYN_REPLY: struct.Struct(">I"),
    Type.RST_STREAM: struct.Struct(">II"),  # stream, status
    Type.SETTINGS: struct.Struct(">I"),
    Type.PING: struct.Struct(">I"),
    Type.GOAWAY: struct.Struct(">II"),  # last good stream, status
    Type.HEADERS: struct.Struct(">I"),
    Type.WINDOW_UPDATE: struct.Struct(">II"),  # stream, bytes
}
"""The numbers at the start of each control frame; the contents of SETTINGS are ignored."""
_WITH_HEADERS = {Type.SYN_STREAM, Type.SYN_REPLY, Type.HEADERS}

_NAMES = """
options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age
allow authorization cache-control connection content-base content-encoding content-language content-length
content-location content-md5 content-range content-type date etag expect expires from host if-match
if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma
proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade
user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie
keep-alive origin
"""
_VALUES = (
    "10010120120220520630030230330430530630740240540640740840941041141241341441541641750250450520"
    "3 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
    "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _counted(text: str) -> bytes:
    return _NUMBER.pack(len(text)) + text.encode()


DICTIONARY = b"".join(_counted(name.replace("_", " ")) for name in _NAMES.split()) + _VALUES.encode()
"""The compression dictionary of the protocol: names with their lengths, then values."""


class Decoder:
    """Decodes frames from a stream of bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._headers = zlib.decompressobj(zdict=DICTIONARY)  # shared by all frames of a connection

    def feed(self, data: bytes) -> Iterator[Control | Data]:
        """Add bytes and yield all complete frames; raises ProtocolError."""
        self._buffer += data
        while len(self._buffer) >= _DATA_HEADER.size:
            first, flags_and_length = _DATA_HEADER.unpack_from(self._buffer)
            end = _DATA_HEADER.size + (flags_and_length & _LENGTH)
            if len(self._buffer) < end:
                return
            payload = bytes(memoryview(self._buffer)[_DATA_HEADER.size : end])
            del self._buffer[:end]
            fin = bool(flags_and_length >> 24 & FIN)
            if first <= _STREAM:
                yield Data(first, payload, fin)
            else:
                yield self._control(first, payload, fin=fin)

    def _control(self, first: int, payload: bytes, *, fin: bool) -> Control:
        version, number = first >> 16 & ~_CONTROL, first & 0xFFFF
        try:
            kind = Type(number)
            if version != _VERSION:
                raise ProtocolError(f"SPDY version {version}")
            layout = _LAYOUT[kind]
            headers = self._block(payload[layout.size :]) if kind in _WITH_HEADERS else {}
            return Control(kind, layout.unpack_from(payload)[0] & _STREAM, fin, headers)
        except (struct.error, zlib.error, ValueError) as error:
            raise ProtocolError(f"control frame of type {number}: {error}") from None

    def _block(self, compressed: bytes) -> dict[str, str]:
        block = self._headers.decompress(compressed, _HEADERS_MAX)
        if self._headers.unconsumed_tail:
            raise ProtocolError("headers too large")
        (count,) = _NUMBER.unpack_from(block)
        at, texts = _NUMBER.size, []
        for _ in range(2 * count):
            (length,) = _NUMBER.unpack_from(block, at)
            at += _NUMBER.size
            texts.append(block[at : at + length].decode())
            at += length
        return dict(zip(texts[::2], texts[1::2], strict=True))


class Encoder:
    """Encodes frames with headers, which must be sent in the order of the calls."""

    def __init__(self) -> None:
        self._headers = zlib.compressobj(zlib.Z_BEST_COMPRESSION, zdict=DICTIONARY)

    def open(self, stream: int, headers: Mapping[str, str]) -> bytes:
        """Return a SYN_STREAM."""
        numbers = _LAYOUT[Type.SYN_STREAM].pack(stream, 0, 0, 0)
        return _control(Type.SYN_STREAM, numbers + self._block(headers))

    def reply(self, stream: int) -> bytes:
        """Return a SYN_REPLY."""
        return _control(Type.SYN_REPLY, _NUMBER.pack(stream) + self._block({}))

    def _block(self, headers: Mapping[str, str]) -> bytes:
        texts = [text for pair in headers.items() for text in pair]
        block = _NUMBER.pack(len(headers)) + b"".join(map(_counted, texts))
        return self._headers.compress(block) + self._headers.flush(zlib.Z_SYNC_FLUSH)


def data(stream: int, payload: bytes, *, fin: bool = False) -> bytes:
    """Return a DATA frame."""
    return _DATA_HEADER.pack(stream, fin << 24 | len(payload)) + payload


def reset(stream: int, status: Reset) -> bytes:
    """Return a RST_STREAM."""
    return _control(Type.RST_STREAM, _LAYOUT[Type.RST_STREAM].pack(stream, status))


def ping(number: int) -> bytes:
    """Return a PING."""
    return _control(Type.PING, _NUMBER.pack(number))


def goaway(last: int, status: int = 0) -> bytes:
    """Return a GOAWAY."""
    return _control(Type.GOAWAY, _LAYOUT[Type.GOAWAY].pack(last, status))


def _control(kind: Type, payload: bytes) -> bytes:
    return _HEADER.pack(_CONTROL | _VERSION, kind, len(payload)) + payload
