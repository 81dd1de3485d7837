"""Compressed captures: gzip, zstd, lz4, xz and bzip2, decompressed as they are read.

Each codec is a decompressor with the interface of `bz2.BZ2Decompressor`; `Decompressed` reads any of them.
"""

from __future__ import annotations

import importlib
import sys
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from easpcap.capture.source import MAGIC_BYTES
from easpcap.errors import CaptureError
from easpcap.limits import MAX_EXPANSION, MAX_FREELY_EXPANDED_BYTES, MAX_XZ_MEMORY, MAX_ZSTD_WINDOW_LOG

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from easpcap.capture.source import Stream

#: Compressed bytes read at a time; few, because a decompressor copies what follows a member.
PIECE_BYTES: Final = 64 * 2**10
#: zlib's code for data with a gzip header and trailer.
GZIP_WINDOW_BITS: Final = 31
#: Bytes that say which member follows.
MEMBER_MAGIC_BYTES: Final = 4


class Decompressor(Protocol):
    """Decompresses one member of a compressed file."""

    @property
    def eof(self) -> bool:
        """Whether the member has ended."""

    @property
    def needs_input(self) -> bool:
        """Whether more compressed bytes are necessary to go on."""

    @property
    def unused_data(self) -> bytes | None:
        """The bytes after the member."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """At most ``max_length`` bytes; what is left of ``data`` is kept."""


class Codec(NamedTuple):
    """One compression: its name, the magics with which a file may begin, and those with which a later member may.

    ``load`` returns the class of the decompressor and the exceptions with which it reports damage.
    """

    name: str
    magics: tuple[bytes, ...]
    member_magics: tuple[bytes, ...]
    load: Callable[[], tuple[Callable[[], Decompressor], tuple[type[Exception], ...]]]


class Inflate:
    """zlib with the interface of the other decompressors."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(GZIP_WINDOW_BITS)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        """Whether the member has ended."""
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        """The bytes after the member."""
        return self._inflate.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """At most ``max_length`` bytes; what is left of ``data`` is kept."""
        tail = self._inflate.unconsumed_tail
        piece = self._inflate.decompress(tail + data if tail else data, max_length)
        self.needs_input = not self._inflate.unconsumed_tail and len(piece) < max_length
        return piece


def _load_gzip() -> tuple[Callable[[], Decompressor], tuple[type[Exception], ...]]:
    return Inflate, (zlib.error,)


def _load_bzip2() -> tuple[Callable[[], Decompressor], tuple[type[Exception], ...]]:
    bz2 = _module("bz2", "bzip2")
    return bz2.BZ2Decompressor, (OSError, ValueError)


def _load_xz() -> tuple[Callable[[], Decompressor], tuple[type[Exception], ...]]:
    lzma = _module("lzma", "xz")

    def begin() -> Decompressor:
        decompressor: Decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_XZ_MEMORY)
        return decompressor

    return begin, (lzma.LZMAError,)


def _load_zstd() -> tuple[Callable[[], Decompressor], tuple[type[Exception], ...]]:
    zstd = _module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd", "zstd")

    def begin() -> Decompressor:
        options = {zstd.DecompressionParameter.window_log_max: MAX_ZSTD_WINDOW_LOG}
        decompressor: Decompressor = zstd.ZstdDecompressor(options=options)
        return decompressor

    return begin, (zstd.ZstdError,)


def _load_lz4() -> tuple[Callable[[], Decompressor], tuple[type[Exception], ...]]:
    frame = _module("lz4.frame", "lz4")
    return frame.LZ4FrameDecompressor, (RuntimeError,)


#: The packages of modules that are not in Python's standard library.
PACKAGES: Final = {"zstd": "backports.zstd", "lz4": "lz4"}


def _module(name: str, codec: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        remedy = f"pip install {PACKAGES[codec]}" if codec in PACKAGES else f"decompress the file first, with {codec}"
        msg = f"the capture is compressed with {codec}, and Python's module {name} is missing; {remedy}"
        raise CaptureError(msg) from error


GZIP, ZSTD, LZ4, XZ, BZIP2 = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"\xfd7zXZ\0", b"BZh"
#: A frame that zstd and lz4 decoders skip.
SKIPPABLE: Final = tuple(bytes((low, 0x2A, 0x4D, 0x18)) for low in range(0x50, 0x60))
CODECS: Final = (
    Codec("gzip", (GZIP,), (GZIP,), _load_gzip),
    Codec("zstd", (ZSTD, *SKIPPABLE), (ZSTD, *SKIPPABLE), _load_zstd),
    Codec("lz4", (LZ4,), (LZ4, *SKIPPABLE), _load_lz4),
    Codec("xz", (XZ,), (XZ,), _load_xz),
    Codec("bzip2", (BZIP2,), (BZIP2,), _load_bzip2),
)


def codec_of(head: bytes) -> Codec | None:
    """The codec of a file that begins with ``head``; None where it is not compressed."""
    return next((codec for codec in CODECS if head.startswith(codec.magics)), None)


class Decompressed:
    """The bytes of a compressed stream, member after member. Damage ends it and is described in ``damage``."""

    def __init__(self, inner: Stream, codec: Codec) -> None:
        self._inner = inner
        self._codec = codec
        self._begin, self._errors = codec.load()
        self._decompressor: Decompressor | None = self._begin()  # None: between two members
        self._input = b""  # not yet passed to the decompressor
        self._needs_input = True
        self._exhausted = False  # the inner stream has ended
        self._ended = False
        self._damage = ""
        self._front = b""
        self._read, self._written = 0, 0

    @property
    def damage(self) -> str:
        """Why the stream ended too early; empty where it did not."""
        return self._damage or self._inner.damage

    def begin_window(self) -> None:
        """See `Stream`."""
        self._inner.begin_window()

    def more_comes(self) -> bool:
        """See `Stream`."""
        return not self._needs_input or self._inner.more_comes()

    def close(self) -> None:
        """See `Stream`."""
        self._inner.close()

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
                if done and not self._inner.more_comes():
                    break
                self._read_input()
            piece = self._next(len(view) - done)
            view[done : done + len(piece)] = piece
            done += len(piece)
        return done

    def _read_input(self) -> None:
        self._needs_input = False
        view = memoryview(bytearray(PIECE_BYTES))
        size = self._inner.read_into(view)
        self._input += view[:size]
        self._read += size
        self._exhausted = not size
        if self._exhausted and self._decompressor is not None:
            self._end(f"the {self._codec.name} data ends in mid-stream")

    def _next(self, size: int) -> bytes:
        """At most ``size`` more bytes; none where a member begins or ends, or where more input is necessary."""
        if self._ended:
            return b""
        decompressor = self._decompressor
        if decompressor is None:
            self._begin_member()
            return b""
        data, self._input = self._input, b""
        try:
            piece = decompressor.decompress(data, size)
        except self._errors as error:
            self._end(f"the {self._codec.name} data is damaged ({error})")
            return b""
        if decompressor.eof:
            self._input, self._decompressor = decompressor.unused_data or b"", None
        else:  # lz4 also asks for input where it has more output than was requested
            self._needs_input = decompressor.needs_input and len(piece) < size
        self._check_expansion(len(piece))
        return piece

    def _begin_member(self) -> None:
        if len(self._input) < MEMBER_MAGIC_BYTES and not self._exhausted:
            self._needs_input = True
        elif any(magic.startswith(self._input[: len(magic)]) for magic in self._codec.member_magics if self._input):
            self._decompressor = self._begin()
        else:  # zeros pad the data to a tape's block size; other trailing bytes are damage
            name = self._codec.name
            self._end(f"bytes that are no {name} follow the {name} data" if self._input.strip(b"\0") else "")

    def _check_expansion(self, size: int) -> None:
        self._written += size
        if self._written > MAX_FREELY_EXPANDED_BYTES + MAX_EXPANSION * self._read:
            self._end(
                f"the {self._codec.name} data expands more than {MAX_EXPANSION:,} times; "
                "if that is meant, decompress the file first"
            )

    def _end(self, damage: str) -> None:
        self._ended = True
        self._damage = damage
