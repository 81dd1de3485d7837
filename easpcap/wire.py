"""Reader: a cursor over bytes that cannot read past their end, and must read blocks completely."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from easpcap.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Reader:
    """Reads big-endian values from the front of ``data``; raises DecodeError instead of reading past its end."""

    __slots__ = ("_data", "_end", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0
        self._end = len(data)

    def __len__(self) -> int:
        """Bytes left in the current block."""
        return self._end - self._position

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        end = self._position + size
        if end > self._end:
            msg = f"{size} bytes wanted, {len(self)} left"
            raise DecodeError(msg)
        data = self._data[self._position : end]
        self._position = end
        return data

    def rest(self) -> bytes:
        """All bytes left in the current block."""
        return self.take(len(self))

    def uint(self, size: int) -> int:
        """The next ``size`` bytes as an unsigned integer."""
        return int.from_bytes(self.take(size), "big")

    def vector(self, prefix: int) -> bytes:
        """The body of a vector whose length precedes it in ``prefix`` bytes (RFC 5246 section 4.3)."""
        return self.take(self.uint(prefix))

    @contextmanager
    def block(self, prefix: int) -> Iterator[None]:
        """Limit reading to a length-prefixed block, which must be consumed exactly."""
        size = self.uint(prefix)
        outer, end = self._end, self._position + size
        if end > outer:
            msg = f"a block of {size} bytes in {len(self)}"
            raise DecodeError(msg)
        self._end = end
        yield
        if self._position != end:
            msg = f"{len(self)} bytes left over in a block"
            raise DecodeError(msg)
        self._end = outer
