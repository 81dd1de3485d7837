"""HeadCollector: puts together the head of a message, which may come in pieces, and finds out early what is no head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from easpcap.http.head import head_end
from easpcap.limits import MAX_HTTP_HEAD

if TYPE_CHECKING:
    from collections.abc import Callable

#: What HeadCollector.read found: a whole head, a part of one, one that is too large, or bytes that begin no message.
COMPLETE, PARTIAL, TOO_LARGE, NO_HEAD = range(4)

_LINE_END: Final = b"\r\n"
_NO_HEAD_BYTES: Final = 32  # of the bytes that begin no message, as many as a caller needs to recognise a protocol


class HeadCollector:
    """Collects one head after the other of one direction.

    Args:
        starts: whether a head begins at a place in some bytes; None while too few bytes are there.
        likely: whether the bytes of an unfinished head are worth reporting.
    """

    __slots__ = ("_buffer", "_certain", "_likely", "_starts", "offset")

    def __init__(
        self, starts: Callable[[bytes | bytearray, int], bool | None], likely: Callable[[bytes], bool]
    ) -> None:
        self.offset = 0  # stream offset of the first byte of the present head, or of the last one
        self._starts = starts
        self._likely = likely
        self._buffer = bytearray()  # the beginning of a head whose end has not come
        self._certain = False  # the buffered bytes do begin a head

    @property
    def begun(self) -> bool:
        """Whether there are bytes that may be the beginning of a head."""
        return bool(self._buffer)

    def begins(self, data: bytes) -> bool:
        """Whether a head certainly begins at the first of these bytes."""
        return bool(self._starts(data, 0))

    def is_reportable(self, expected: bool) -> bool:
        """Whether there is an unfinished head to report; ``expected``: only a head can begin here."""
        return self.begun and (self._certain or expected or self._likely(bytes(self._buffer)))

    def take_unfinished(self, expected: bool) -> bytes:
        """Give up the unfinished head; its bytes where they are worth reporting, else none."""
        head = bytes(self._buffer) if self.is_reportable(expected) else b""
        self.clear()
        return head

    def clear(self) -> None:
        """Forget what was collected."""
        self._buffer.clear()
        self._certain = False

    def read(self, data: bytes, position: int, base: int) -> tuple[int, bytes, int]:
        """Read on at ``position`` of ``data``, which begins at the stream offset ``base``.

        Blank lines before a head are skipped (RFC 9112 section 2.2).

        Returns:
            What was found; the head if it is complete, or the first bytes of what is no head; where to read on.
        """
        if not self._buffer:
            while data[position] in _LINE_END:
                position += 1
                if position == len(data):
                    return PARTIAL, b"", position
            self.offset = base + position
            starts = self._starts(data, position)
            if starts:  # nearly always the head is whole in one piece
                end = head_end(data, position)
                if 0 <= end <= position + MAX_HTTP_HEAD:
                    return COMPLETE, data[position:end], end
            elif starts is False:
                return NO_HEAD, data[position : position + _NO_HEAD_BYTES], len(data)
        return self._collect(data, position)

    def _collect(self, data: bytes, position: int) -> tuple[int, bytes, int]:
        """Add to a head that comes in pieces."""
        buffer = self._buffer
        before = len(buffer)
        buffer += data[position : position + MAX_HTTP_HEAD - before]
        if not self._certain:
            starts = self._starts(buffer, 0)
            if starts is False:
                first = bytes(buffer[:_NO_HEAD_BYTES])
                self.clear()
                return NO_HEAD, first, len(data)
            self._certain = bool(starts)
        end = head_end(buffer, max(before - 2, 0)) if self._certain else -1
        if end >= 0:
            head = bytes(buffer[:end])
            self.clear()
            return COMPLETE, head, position + end - before
        return TOO_LARGE if len(buffer) == MAX_HTTP_HEAD else PARTIAL, b"", position + len(buffer) - before
