"""TLS compression with DEFLATE (RFC 3749): one history for all records of one direction and epoch."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from easpcap.tls.protection.record_protection import Protection

#: RFC 5246 section 6.2.2: no record may expand to more than 2^14 bytes. This also limits hostile ones.
MAX_PLAINTEXT: Final = 2**14


def inflating(inner: Protection) -> Protection:
    """A Protection that also decompresses the records that ``inner`` decrypts."""
    return _Inflating(inner)


class _Inflating:
    """A Protection that decompresses what another one decrypted."""

    __slots__ = ("_inflate", "_inner")

    def __init__(self, inner: Protection) -> None:
        self._inner = inner
        self._inflate = zlib.decompressobj()

    @property
    def sequence(self) -> int:
        """The number of the next record."""
        return self._inner.sequence

    @sequence.setter
    def sequence(self, value: int) -> None:
        self._inner.sequence = value

    def open(self, content_type: int, version: int, fragment: bytes | memoryview, /) -> bytes | None:
        """The plaintext of the next record; None also if it cannot be decompressed."""
        compressed = self._inner.open(content_type, version, fragment)
        if compressed is None or self._inflate.eof:  # after the end of the stream zlib would only collect its input
            return None
        try:
            plain = self._inflate.decompress(compressed, MAX_PLAINTEXT + 1)
        except zlib.error:
            return None
        return plain if len(plain) <= MAX_PLAINTEXT else None

    def reopen(
        self,
        _content_type: int,
        _version: int,
        _fragment: bytes | memoryview,
        _before: bytes,
        _lost_bytes: int,
        _tries: int,
        /,
    ) -> bytes | None:
        """None, because the compression history is lost with the missing bytes."""
        return None
