"""Member: one capture of a set, its clock corrected, its packets numbered in the set."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from easpcap.capture.capture import Head, open_capture, open_head
from easpcap.capture.interleave import take
from easpcap.errors import CaptureError
from easpcap.limits import MAX_CLOCK_OFFSET_NS, MAX_HEAD_PACKETS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from easpcap.batch import PacketBatch
    from easpcap.capture.capture import Capture
    from easpcap.capture.segments import Segments

STDIN: Final = "-"


class Member:
    """One capture. A file is opened to look at its first packets, and again to be read; a pipe is opened only once.

    ``clock_offset`` is how many ns its clock is ahead of that of the set; the times of its batches are corrected by it.
    ``order`` are the times (corrected) by which its rows are merged with those of others: they never decrease, so that
    the order of the file is kept.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.number = 0  # in the set
        self.clock_offset = 0
        self.clock_of: Member | None = None  # whose clock it was compared with
        self.head: Segments | None = None
        self.first_frame = 1
        self.capture: Capture | None = None
        self.batch: PacketBatch | None = None
        self.order: NDArray[np.int64] = np.empty(0, np.int64)
        self._segments: Segments | None = None
        self._batches: Iterator[PacketBatch] = iter(())
        self._latest = -(2**63)
        self._first_time: int | None = None
        self._last_of_head: int | None = None

    @property
    def name(self) -> str:
        """The path as valid Unicode."""
        return self.path.encode("utf-8", "backslashreplace").decode()

    @property
    def first_time(self) -> int | None:
        """When its first packet was captured, by the clock of the set; None where the first packets have no times."""
        return None if self._first_time is None else self._first_time - self.clock_offset

    @property
    def has_later(self) -> bool:
        """Whether its first packets have different times."""
        return self._last_of_head != self._first_time

    @property
    def segments(self) -> Segments | None:
        """The rows that are loaded, for comparing them with those of other captures."""
        if self._segments is None and self.batch is not None:
            from easpcap.capture.segments import segments_of  # only sets of captures are compared

            self._segments = segments_of(self.batch)
        return self._segments

    @property
    def packets(self) -> int:
        """Packets read so far."""
        return self.capture.packets if self.capture is not None else 0

    def look(self) -> None:
        """Find out when the first packets were captured, and what they are."""
        if is_stream(self.path):
            self.capture = open_capture(self.path)
            self._keep(self.capture.peek())
        else:
            with open_head(self.path) as capture:
                self._keep(capture.peek())

    def _keep(self, head: Head) -> None:
        self._first_time, self._last_of_head = head.first_time, head.last_time
        if head.rows is not None:
            from easpcap.capture.segments import segments_of

            self.head = segments_of(head.rows).where(np.arange(min(MAX_HEAD_PACKETS, len(head.rows))))

    def open(self, first_frame: int, window_bytes: int) -> Iterator[PacketBatch]:
        """Begin to read; ``first_frame`` is the number of the first packet. Returns the batches."""
        if self.capture is None:
            self.capture = open_capture(self.path, window_bytes=window_bytes)
        self.head = None
        self.first_frame = self.capture.first_frame = first_frame
        self._batches = iter(self.capture)
        return self._batches

    def close(self) -> None:
        """Close the file; for members that are not read to their end."""
        if self.capture is not None:
            self.capture.close()

    def load(self) -> bool:
        """Read on if there is no row left; return False at the end of the capture."""
        if self.batch is None:
            self.batch = next(self._batches, None)
            if self.batch is None:
                return False
            self._correct(self.clock_offset)
        return True

    def set_clock(self, offset: int, compared_with: Member) -> None:
        """Correct the times, also those of the rows that were read already."""
        if abs(offset) > MAX_CLOCK_OFFSET_NS:
            return
        change, self.clock_offset, self.clock_of = offset - self.clock_offset, offset, compared_with
        if self.batch is not None:
            self._correct(change)

    def _correct(self, ahead: int) -> None:
        self._segments = None
        if self.batch is not None:
            if ahead:
                self.batch = self.batch.replaced(time_ns=self.batch.time_ns - ahead)
            self.order = np.maximum(np.maximum.accumulate(self.batch.time_ns), self._latest)

    def begins_in(self, other: Member) -> bool:
        """Whether the first packet of this capture, which is not open yet, is among the rows read of the other one."""
        if self.head is None or other.segments is None or not len(self.head.alike):
            return False
        return bool((other.segments.alike == self.head.alike[0]).any())

    def take(self, until: int) -> PacketBatch | None:
        """Remove and return the rows up to this time; the rest stays."""
        self._segments = None
        batch, count = self.batch, int(np.searchsorted(self.order, until, side="right"))
        if batch is None or not count:
            return None
        self._latest = int(self.order[count - 1])
        if count == len(batch):
            self.batch = None
            return batch
        self.batch, self.order = take(batch, slice(count, None)), self.order[count:]
        return take(batch, slice(count))


def is_stream(path: str) -> bool:
    """Whether a capture can be read only once: standard input, a named pipe."""
    if path == STDIN:
        return True
    try:
        return not stat.S_ISREG(Path(path).stat().st_mode)
    except (OSError, ValueError):
        return False  # opening it says what is wrong


def why_no_capture(path: str) -> str | None:
    """The error of opening a file that is no capture, in one line; None for captures, and for pipes, which may be."""
    try:
        if not is_stream(path):
            open_head(path).close()
    except CaptureError as error:
        return str(error)
    return None


def identity(path: str) -> tuple[int, int] | str:
    """The same for two names of one file."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return path
    return (status.st_dev, status.st_ino) if path != STDIN and status.st_ino else path
