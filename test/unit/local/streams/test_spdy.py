"""SPDY/3.1 as kubectl speaks it when it forwards ports."""

from __future__ import annotations

import contextlib
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.local.streams.spdy import (
    DATA,
    DICTIONARY,
    MOST_FRAME,
    PING,
    RST_STREAM,
    SYN_REPLY,
    SYN_STREAM,
    Frame,
    ProtocolError,
    Reader,
    Writer,
)


def opened(stream: int, headers: dict[str, str], deflate: zlib._Compress) -> bytes:
    """A SYN_STREAM frame as a client writes it."""
    words = [word.encode() for pair in headers.items() for word in pair]
    block = struct.pack(">I", len(headers))
    block += b"".join(struct.pack(">I", len(word)) + word for word in words)
    packed = deflate.compress(block) + deflate.flush(zlib.Z_SYNC_FLUSH)
    body = struct.pack(">IIH", stream, 0, 0) + packed
    return struct.pack(">HHI", 0x8003, SYN_STREAM, len(body)) + body


def client() -> zlib._Compress:
    return zlib.compressobj(zdict=DICTIONARY)


def test_the_dictionary_is_that_of_the_draft() -> None:
    assert len(DICTIONARY) == 1423
    assert zlib.adler32(DICTIONARY) == 0xE3C6A7C2


@given(cuts=st.lists(st.integers(1, 40), max_size=30))
def test_frames_come_out_however_the_bytes_are_cut(cuts: list[int]) -> None:
    deflate = client()
    text = opened(1, {"streamtype": "error", "port": "80"}, deflate)
    text += opened(3, {"streamtype": "data", "port": "80"}, deflate)
    text += Writer().data(3, b"hello", last=True)
    reader, found = Reader(), []
    for cut in [*cuts, len(text)]:
        found += list(reader.feed(text[:cut]))
        text = text[cut:]
    assert found == [
        Frame(kind=SYN_STREAM, stream=1, headers={"streamtype": "error", "port": "80"}),
        Frame(kind=SYN_STREAM, stream=3, headers={"streamtype": "data", "port": "80"}),
        Frame(kind=DATA, stream=3, last=True, data=b"hello"),
    ]


def test_what_we_write_can_be_read() -> None:
    writer, inflate = Writer(), zlib.decompressobj(zdict=DICTIONARY)
    for stream in (1, 3):
        reply = writer.reply(stream)
        assert struct.unpack_from(">HHI", reply) == (0x8003, SYN_REPLY, len(reply) - 8)
        assert struct.unpack_from(">I", reply, 8) == (stream,)
        assert inflate.decompress(reply[12:]) == struct.pack(">I", 0)
    (pong,) = Reader().feed(writer.ping(b"\0\0\0\1"))
    assert (pong.kind, pong.data) == (PING, b"\0\0\0\1")
    (reset,) = Reader().feed(writer.reset(7, 6))
    assert (reset.kind, reset.stream) == (RST_STREAM, 7)


@pytest.mark.parametrize(
    "text",
    [
        struct.pack(">HHI", 0x8002, SYN_STREAM, 0),
        struct.pack(">HHI", 0x8003, SYN_STREAM, 3) + b"abc",
        struct.pack(">II", 1, MOST_FRAME + 1),
        struct.pack(">HHI", 0x8003, SYN_STREAM, 20) + b"x" * 20,
        opened(1, {"port": "8" * 100_000}, client()),
    ],
    ids=["another version", "cut short", "too long", "not packed", "a bomb"],
)
def test_what_is_not_spdy_is_refused(text: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(Reader().feed(text))


@given(text=st.binary(max_size=200))
def test_nothing_else_is_raised_whatever_is_sent(text: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        list(Reader().feed(text))
