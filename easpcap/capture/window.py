"""Window: a sliding window over the bytes of a capture, in one buffer that is refilled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from easpcap.capture.source import Source
from easpcap.limits import MAX_PACKET_BYTES

if TYPE_CHECKING:
    from easpcap.capture.source import Stream

#: Unused bytes after the window, so that a header may be read before its bounds are checked.
SLACK_BYTES: Final = 128
#: The largest buffer: one packet of the greatest size and its headers.
MOST_BYTES: Final = MAX_PACKET_BYTES + 4096


class Window:
    """``buffer[start:end]`` was read and is not yet used. Scanners move ``start`` past what they have used.

    ``ended`` is True at the end of the stream; ``idle`` also where a pipe has nothing more to give at this time.
    """

    def __init__(self, stream: Stream, size: int) -> None:
        self._stream = stream
        if isinstance(stream, Source) and stream.size is not None:
            size = min(size, stream.size + 1)  # a small file needs no large buffer
        self.buffer = bytearray(size + SLACK_BYTES)
        self.start = 0
        self.end = 0
        self.idle = False
        self.ended = False

    def refill(self) -> bool:
        """Move the unused bytes to the front and read more after them; return False at the end.

        Overwrites the buffer, or allocates a larger one where the unused bytes fill it, up to MOST_BYTES.
        """
        self._stream.begin_window()
        unused = self.end - self.start
        room = len(self.buffer) - SLACK_BYTES
        view = memoryview(self.buffer)[self.start : self.end]
        if unused >= room:
            room = min(2 * room, MOST_BYTES)
            self.buffer = bytearray(room + SLACK_BYTES)
        target = memoryview(self.buffer)
        target[:unused] = view
        self.start = 0
        self.end = unused + self._stream.read_into(target[unused:-SLACK_BYTES])
        self.ended = self.end == unused < room
        self.idle = self.end < room
        return self.end > unused
