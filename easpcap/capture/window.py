"""Window: a sliding window over the bytes of a capture, in one buffer that is refilled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from easpcap.limits import MAX_PACKET_BYTES

if TYPE_CHECKING:
    from easpcap.capture.source import Source, Stream

#: Unused bytes after the window, so that a header may be read before its bounds are checked.
SLACK_BYTES: Final = 128
#: The largest buffer: one packet of the greatest size and its headers.
MOST_BYTES: Final = MAX_PACKET_BYTES + 4096


class Window:
    """``buffer[start:end]`` was read and is not yet used. Scanners move ``start`` past what they have used."""

    def __init__(self, stream: Stream, source: Source, size: int) -> None:
        self._stream = stream
        self._source = source
        if stream is source and source.size is not None:
            size = min(size, max(source.size, 1))  # a small file needs no large buffer
        self.buffer = bytearray(size + SLACK_BYTES)
        self.start = 0
        self.end = 0

    def refill(self) -> bool:
        """Move the unused bytes to the front and read more after them; return False at the end.

        Overwrites the buffer, or allocates a larger one where the unused bytes fill it.
        """
        self._source.begin_window()
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
