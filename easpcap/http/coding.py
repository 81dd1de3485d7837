"""Codings of bodies: gzip and deflate are removed while the body passes, within limits.

They are content codings (RFC 9110 section 8.4.1) or, seldom, transfer codings under chunked (RFC 9112 section 7.2).
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from easpcap.http.body import BodyEnd
from easpcap.limits import MAX_BODY_CODINGS, MAX_DECODED_BODY, MAX_DECODED_PIECE

if TYPE_CHECKING:
    from easpcap.http.body import BodySink
    from easpcap.http.exchange import Message

_GZIP: Final = frozenset({"gzip", "x-gzip"})
_NO_CODING: Final = frozenset({"", "identity", "chunked"})  # chunked has been removed already

_GZIP_MAGIC: Final = b"\x1f\x8b"  # RFC 1952 section 2.3.1
_GZIP_OR_ZLIB: Final = 47  # zlib's window bits: the largest window, the format by its header
_RAW_DEFLATE: Final = -15
_LOOKAHEAD: Final = 2  # bytes of the header of either format


def codings(message: Message) -> list[str]:
    """The codings of a message's body in lower case, in the order in which they were applied; chunked is left out."""
    listed = [
        coding.strip(" \t").lower()
        for field in ("content-encoding", "transfer-encoding")
        for name, value in message.headers
        if name == field
        for coding in value.split(",")
    ]
    return [coding for coding in listed if coding not in _NO_CODING]


def decode(message: Message, sink: BodySink, limit: int = MAX_DECODED_BODY) -> BodySink | None:
    """A sink for the body of ``message`` that removes its codings and writes what they contain to ``sink``.

    Args:
        message: its head is complete.
        sink: is given at most ``limit`` bytes; where there are more, its body is cut.
        limit: in bytes.

    Returns:
        ``sink`` itself where there is no coding; None where one of them is not known, or there are too many.
    """
    applied = codings(message)
    if len(applied) > MAX_BODY_CODINGS or not _GZIP.union({"deflate"}).issuperset(applied):
        return None
    for coding in applied:
        sink = _Inflater(sink, coding, limit)
    return sink


class _Inflater:
    """A sink that removes one gzip or deflate coding.

    gzip may have several members (RFC 1952 section 2.2); other bytes after the end are ignored. Some senders of
    "deflate" leave the zlib header away (RFC 9110 section 8.4.1.2).
    """

    __slots__ = ("_coding", "_complete", "_decoder", "_left", "_over", "_sink", "_start", "_wanted")

    def __init__(self, sink: BodySink, coding: str, limit: int) -> None:
        self._sink = sink
        self._coding = coding
        self._left = limit  # bytes that may still be written
        self._decoder: zlib._Decompress | None = None  # of the present stream
        self._start = b""  # of a stream, too short to choose its decoder
        self._complete = False  # at least one stream has come to its end
        self._over = False  # what follows is not part of the body
        self._wanted = True

    def write(self, data: bytes, /) -> bool:
        """Decode the next bytes."""
        try:
            self._decode(data)
        except zlib.error:
            self._stop(BodyEnd.DAMAGED)
        return self._wanted

    def finish(self, end: BodyEnd, /) -> None:
        """The coded body has ended; the decoded one is cut where the coding is not at its end."""
        unfinished = self._decoder is not None or (self._start and not self._complete)
        self._stop(BodyEnd.CUT if unfinished and end is BodyEnd.WHOLE else end)

    def _begin(self, data: bytes) -> bytes:
        """Choose the decoder by the first bytes of a stream; the bytes to decode."""
        data = self._start + data
        if len(data) < _LOOKAHEAD:
            self._start = data
            return b""
        self._start = b""
        if self._complete and not data.startswith(_GZIP_MAGIC):
            self._over = True
            return b""
        raw = self._coding not in _GZIP and not _is_zlib_header(data) and not data.startswith(_GZIP_MAGIC)
        self._decoder = zlib.decompressobj(_RAW_DEFLATE if raw else _GZIP_OR_ZLIB)
        return data

    def _decode(self, data: bytes) -> None:
        """Write what ``data`` contains in pieces of bounded size."""
        content_left = False  # the decoder may hold content of bytes that it has taken
        while (data or content_left) and self._wanted and not self._over:
            if self._decoder is None:
                data = self._begin(data)
            else:
                data, content_left = self._decode_piece(self._decoder, data)

    def _decode_piece(self, decoder: zlib._Decompress, data: bytes) -> tuple[bytes, bool]:
        """Write one piece of content; the bytes of ``data`` that are left, and whether content is."""
        before = decoder.copy()
        try:
            content = decoder.decompress(data, MAX_DECODED_PIECE)
        except zlib.error:  # zlib gives nothing of these bytes: narrow them down, so that cuts make no difference
            if len(data) <= 1:
                raise
            self._decoder = before
            self._decode(data[: len(data) // 2])
            return data[len(data) // 2 :], False
        self._pass_on(content)
        if decoder.eof:
            self._decoder, self._complete = None, True
            return decoder.unused_data, False
        return decoder.unconsumed_tail, len(content) == MAX_DECODED_PIECE

    def _pass_on(self, content: bytes) -> None:
        """Write content as far as the limit allows."""
        allowed = content[: self._left]
        self._left -= len(allowed)
        if allowed and not self._sink.write(allowed):
            self._wanted = False
        elif len(allowed) < len(content):
            self._stop(BodyEnd.CUT)

    def _stop(self, end: BodyEnd) -> None:
        self._wanted = False
        self._sink.finish(end)


def _is_zlib_header(data: bytes) -> bool:
    """Whether a zlib header begins here (RFC 1950 section 2.2): the method is deflate, and the check bits are right."""
    return data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
