"""SPDY/3.1 as far as port-forwarding needs it: frames of streams, without flow control.

Bytes go in and frames come out; whoever carries them is not known here. The dictionary and the
numbers are those of draft-mbelshe-httpbis-spdy-00.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

DATA, SYN_STREAM, SYN_REPLY, RST_STREAM, PING = 0, 1, 2, 3, 6
FIN = 0x01
INTERNAL_ERROR = 6
MOST_HEADERS = 64 * 1024  # bytes after inflating; a client of ours sends a hundred
MOST_FRAME = 1024 * 1024
_VERSION = 3
_CONTROL = 0x80000000
_WORDS = (
    "options|head|post|put|delete|trace|accept|accept-charset|accept-encoding|accept-language|"
    "accept-ranges|age|allow|authorization|cache-control|connection|content-base|content-encoding|"
    "content-language|content-length|content-location|content-md5|content-range|content-type|date|"
    "etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|"
    "if-unmodified-since|last-modified|location|max-forwards|pragma|proxy-authenticate|"
    "proxy-authorization|range|referer|retry-after|server|te|trailer|transfer-encoding|upgrade|"
    "user-agent|vary|via|warning|www-authenticate|method|get|status|200 OK|version|HTTP/1.1|url|"
    "public|set-cookie|keep-alive|origin"
)
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203"
    " Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 "
    "Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 "
    "Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, "
    "Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
    "application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdch"
    "charset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = (
    b"".join(struct.pack(">I", len(w)) + w.encode() for w in _WORDS.split("|")) + _TAIL.encode()
)


class ProtocolError(Exception):
    """The other side does not speak SPDY/3.1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A frame that was read. `stream` is 0 for those of the connection."""

    kind: int
    stream: int = 0
    last: bool = False
    data: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Reader:
    """Makes frames of bytes, however they are cut."""

    def __init__(self) -> None:
        self._held = b""
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete now. Raises ProtocolError."""
        self._held += data
        while len(self._held) >= 8:
            first, second = struct.unpack_from(">II", self._held)
            size = second & 0xFFFFFF
            if size > MOST_FRAME:
                raise ProtocolError(f"A frame of {size} bytes is longer than {MOST_FRAME}.")
            if len(self._held) < 8 + size:
                return
            body, self._held = self._held[8 : 8 + size], self._held[8 + size :]
            last = bool(second >> 24 & FIN)
            if first & _CONTROL:
                if first >> 16 & 0x7FFF != _VERSION:
                    raise ProtocolError("The other side does not speak SPDY/3.1.")
                yield self._control(first & 0xFFFF, body, last=last)
            else:
                yield Frame(kind=DATA, stream=first, last=last, data=body)

    def _control(self, kind: int, body: bytes, *, last: bool) -> Frame:
        try:
            if kind == SYN_STREAM:
                stream: int = struct.unpack_from(">I", body)[0]
                headers = self._headers(body[10:])
                return Frame(kind=kind, stream=stream, last=last, headers=headers)
            if kind == RST_STREAM:
                return Frame(kind=kind, stream=struct.unpack_from(">I", body)[0])
        except (struct.error, zlib.error, UnicodeDecodeError) as error:
            raise ProtocolError(f"A frame cannot be read: {error}") from error
        return Frame(kind=kind, data=body)

    def _headers(self, block: bytes) -> dict[str, str]:
        text = self._inflate.decompress(block, MOST_HEADERS)
        if self._inflate.unconsumed_tail:
            raise ProtocolError(f"The headers have more than {MOST_HEADERS} bytes.")
        (count,), words, place = struct.unpack_from(">I", text), [], 4
        for _ in range(2 * count):
            (size,) = struct.unpack_from(">I", text, place)
            words.append(text[place + 4 : place + 4 + size].decode())
            place += 4 + size
        return dict(zip(words[::2], words[1::2], strict=True))


class Writer:
    """Makes bytes of frames."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def reply(self, stream: int) -> bytes:
        """That a stream is taken, without headers."""
        block = self._deflate.compress(struct.pack(">I", 0))
        block += self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return _control(SYN_REPLY, struct.pack(">I", stream) + block)

    def data(self, stream: int, data: bytes, *, last: bool = False) -> bytes:
        return struct.pack(">II", stream, (FIN if last else 0) << 24 | len(data)) + data

    def ping(self, body: bytes) -> bytes:
        """The answer to a ping is the ping."""
        return _control(PING, body)

    def reset(self, stream: int, status: int) -> bytes:
        return _control(RST_STREAM, struct.pack(">II", stream, status))


def _control(kind: int, body: bytes) -> bytes:
    return struct.pack(">HHI", 0x8000 | _VERSION, kind, len(body)) + body
