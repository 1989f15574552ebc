import pytest

from dask_k8s_local.api.streaming import spdy
from dask_k8s_local.api.streaming.spdy import Control, Data, Type

KUBECTL = bytes.fromhex(
    "800300010000003f0000000100000000000078f9e3c6a7c202253a703a2b294a4dcc851625aca9a0808614cb45a024cc6a62686a"
    "082a85388b20f198094adf8c0600000000ffff0000000101000000800300010000001800000003000000000000c2aa1b54102512"
    "a119000000ffff000000030000000268690000000301000000800300010000001400000005000000000000a2c86a4300000000ff"
    "ff000000050100000080030001000000170000000700000000000082eac61425c63100000000ffff000000070000000268690000"
    "00070100000080030006000000040000000180030007000000080000000000000000"
)
"""Recorded from kubectl 1.37: two connections that send "hi", a ping and an interrupt."""


def _opened(stream, kind, request):
    headers = {"streamtype": kind, "port": "41515", "requestid": request}
    return Control(Type.SYN_STREAM, stream, headers=headers)


FRAMES = [
    _opened(1, "error", "0"),
    Data(1, b"", fin=True),
    _opened(3, "data", "0"),
    Data(3, b"hi", fin=False),
    Data(3, b"", fin=True),
    _opened(5, "error", "1"),
    Data(5, b"", fin=True),
    _opened(7, "data", "1"),
    Data(7, b"hi", fin=False),
    Data(7, b"", fin=True),
    Control(Type.PING, 1),
    Control(Type.GOAWAY, 0),
]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_reads_kubectl_in_pieces(size):
    decoder = spdy.Decoder()
    pieces = [KUBECTL[at : at + size] for at in range(0, len(KUBECTL), size)]
    assert [frame for piece in pieces for frame in decoder.feed(piece)] == FRAMES


def test_reads_what_it_writes():
    encoder, decoder = spdy.Encoder(), spdy.Decoder()
    written = [
        encoder.open(1, {"port": "80"}),
        encoder.reply(1),
        spdy.data(1, b"x" * 70_000),
        spdy.data(1, b"", fin=True),
        spdy.reset(1, spdy.Reset.CANCEL),
        encoder.reply(3),
        spdy.ping(2),
        spdy.goaway(3),
    ]
    assert list(decoder.feed(b"".join(written))) == [
        Control(Type.SYN_STREAM, 1, headers={"port": "80"}),
        Control(Type.SYN_REPLY, 1),
        Data(1, b"x" * 70_000, fin=False),
        Data(1, b"", fin=True),
        Control(Type.RST_STREAM, 1),
        Control(Type.SYN_REPLY, 3),
        Control(Type.PING, 2),
        Control(Type.GOAWAY, 3),
    ]


@pytest.mark.parametrize(
    "data, text",
    [
        pytest.param("8002 0006 00000004 00000001", "SPDY version 2", id="version"),
        pytest.param("8003 0005 00000004 00000001", "type 5", id="type"),
        pytest.param("8003 0006 00000002 0000", "type 6", id="too short"),
        pytest.param("8003 0002 00000008 00000001 12345678", "type 2", id="not compressed"),
    ],
)
def test_refuses(data, text):
    with pytest.raises(spdy.ProtocolError, match=text):
        list(spdy.Decoder().feed(bytes.fromhex(data)))


def test_refuses_headers_without_end():
    bomb = spdy.Encoder().open(1, {"x": "x" * 2**21})
    with pytest.raises(spdy.ProtocolError, match="too large"):
        list(spdy.Decoder().feed(bomb))
