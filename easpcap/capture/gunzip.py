"""Streamed gzip (RFC 1952): several members, a torn tail, and never more memory than the caller's window."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from easpcap.capture.source import MAGIC_BYTES

if TYPE_CHECKING:
    from easpcap.capture.source import Source

GZIP_MAGIC: Final = b"\x1f\x8b"
#: Compressed bytes read at a time; small, since what follows a member is copied.
PIECE_BYTES: Final = 64 * 2**10
#: zlib's word for "expect a gzip header and trailer".
GZIP_WINDOW_BITS: Final = 31


class Gunzip:
    """The uncompressed bytes of a gzip source. Damage ends the stream and is told by ``torn``."""

    def __init__(self, source: Source) -> None:
        self.torn = ""
        self._source = source
        self._inflate = zlib.decompressobj(GZIP_WINDOW_BITS)
        self._input = b""
        self._front = b""
        self._ended = False

    def peek(self) -> bytes:
        """The first bytes, which stay to be read."""
        if not self._front:
            view = memoryview(bytearray(MAGIC_BYTES))
            self._front = bytes(view[: self.read_into(view)])
        return self._front

    def read_into(self, view: memoryview) -> int:
        """Fill ``view``; the number of bytes, fewer than its size only at the end."""
        done = min(len(self._front), len(view))
        view[:done] = self._front[:done]
        self._front = self._front[done:]
        while done < len(view) and not self._ended:
            piece = self._next(len(view) - done)
            view[done : done + len(piece)] = piece
            done += len(piece)
        return done

    def _next(self, size: int) -> bytes:
        """At most ``size`` more bytes; none where a member begins or ends, or where more input was needed."""
        if self._inflate.eof:
            self._next_member()
            return b""
        try:
            piece = self._inflate.decompress(self._input, size)
        except zlib.error as error:
            self._end(f"the gzip data is damaged ({error})")
            return b""
        self._input = self._inflate.unconsumed_tail
        if not piece and not self._input and not self._inflate.eof:
            self._input = self._source.read(PIECE_BYTES)
            if not self._input:
                self._end("the gzip data ends in mid-stream")
        return piece

    def _next_member(self) -> None:
        rest = self._inflate.unused_data
        if len(rest) < len(GZIP_MAGIC):
            rest += self._source.read(PIECE_BYTES)
        if rest.startswith(GZIP_MAGIC):
            self._inflate = zlib.decompressobj(GZIP_WINDOW_BITS)
            self._input = rest
        else:  # zeros pad to a tape's block size; gzip itself ignores other trailing bytes, and so may we
            self._end("" if not rest.strip(b"\0") else "bytes that are no gzip follow the gzip data")

    def _end(self, torn: str) -> None:
        self._ended = True
        self.torn = torn
