"""Gunzip: streamed gzip (RFC 1952) of several members, in no more memory than the caller's window."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from easpcap.capture.source import MAGIC_BYTES

if TYPE_CHECKING:
    from easpcap.capture.source import Source

GZIP_MAGIC: Final = b"\x1f\x8b"
#: Compressed bytes read at a time; few, because zlib copies what follows a member.
PIECE_BYTES: Final = 64 * 2**10
#: zlib's code for data with a gzip header and trailer.
GZIP_WINDOW_BITS: Final = 31


class Gunzip:
    """The uncompressed bytes of a gzip source. Damage ends the stream and is described in ``damage``."""

    def __init__(self, source: Source) -> None:
        self.damage = ""
        self._source = source
        self._inflate: zlib._Decompress | None = zlib.decompressobj(GZIP_WINDOW_BITS)  # None: between two members
        self._input = b""
        self._needs_input = True
        self._exhausted = False  # the source has ended
        self._ended = False
        self._front = b""

    def peek(self) -> bytes:
        """The first bytes; they can still be read."""
        while len(self._front) < MAGIC_BYTES and not self._ended:
            if self._needs_input:
                self._read_input()
            self._front += self._next(MAGIC_BYTES - len(self._front))
        return self._front

    def read_into(self, view: memoryview) -> int:
        """Fill ``view``; return the bytes read: fewer than its size where a pipe pauses or ends, 0 only at the end."""
        done = min(len(self._front), len(view))
        view[:done] = self._front[:done]
        self._front = self._front[done:]
        while done < len(view) and not self._ended:
            if self._needs_input:
                if done and not self._source.more_comes():
                    break
                self._read_input()
            piece = self._next(len(view) - done)
            view[done : done + len(piece)] = piece
            done += len(piece)
        return done

    def _read_input(self) -> None:
        self._needs_input = False
        piece = self._source.read(PIECE_BYTES)
        self._input += piece
        self._exhausted = not piece
        if self._exhausted and self._inflate is not None:
            self._end("the gzip data ends in mid-stream")

    def _next(self, size: int) -> bytes:
        """At most ``size`` more bytes; none where a member begins or ends, or where more input is necessary."""
        if self._ended:
            return b""
        if self._inflate is None:
            self._begin_member()
            return b""
        try:
            piece = self._inflate.decompress(self._input, size)
        except zlib.error as error:
            self._end(f"the gzip data is damaged ({error})")
            return b""
        self._input = self._inflate.unconsumed_tail
        if self._inflate.eof:
            self._input, self._inflate = self._inflate.unused_data, None
        else:
            self._needs_input = not piece and not self._input
        return piece

    def _begin_member(self) -> None:
        if len(self._input) < len(GZIP_MAGIC) and not self._exhausted:
            self._needs_input = True
        elif self._input.startswith(GZIP_MAGIC):
            self._inflate = zlib.decompressobj(GZIP_WINDOW_BITS)
        else:  # zeros pad the data to a tape's block size; other trailing bytes are damage
            self._end("bytes that are no gzip follow the gzip data" if self._input.strip(b"\0") else "")

    def _end(self, damage: str) -> None:
        self._ended = True
        self.damage = damage
