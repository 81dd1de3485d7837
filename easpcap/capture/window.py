"""A sliding window over a capture's bytes: one buffer, filled again and again, whole packets only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from easpcap.limits import MAX_PACKET_BYTES

if TYPE_CHECKING:
    from easpcap.capture.source import Source, Stream

#: Unused bytes behind the window, so that a header may be looked at there before its bounds are checked.
SLACK_BYTES: Final = 128
#: The buffer never grows beyond one packet of the greatest size and its headers.
MOST_BYTES: Final = MAX_PACKET_BYTES + 4096


class Window:
    """``buffer[start:end]`` has been read and not yet been used; whoever uses bytes moves ``start`` forward."""

    def __init__(self, stream: Stream, source: Source, size: int) -> None:
        self._stream = stream
        self._source = source
        if stream is source and source.size is not None:
            size = min(size, max(source.size, 1))  # a small file needs no great buffer
        self.buffer = bytearray(size + SLACK_BYTES)
        self.start = 0
        self.end = 0

    def refill(self) -> bool:
        """Read on behind the unused bytes, which move to the front; False where nothing was left to read.

        Overwrites the buffer, or takes a greater one where the unused bytes fill it.
        """
        self._source.settle()
        unused = self.end - self.start
        room = len(self.buffer) - SLACK_BYTES
        view = memoryview(self.buffer)[self.start : self.end]
        if unused >= room:
            self.buffer = bytearray(min(2 * room, MOST_BYTES) + SLACK_BYTES)
        target = memoryview(self.buffer)
        target[:unused] = view
        self.start = 0
        self.end = unused + self._stream.read_into(target[unused:-SLACK_BYTES])
        return self.end > unused
