"""Where each byte of a direction was seen: from stream offset to packet, kept only as far back as it is asked for."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final

from easpcap.limits import MAX_INDEX_ENTRIES, MAX_INDEX_ROWS
from easpcap.stream import Position
from easpcap.tcp.sequence import HALF, MASK

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

_new_tuple: Final = tuple.__new__  # a named tuple's own constructor takes twice the time


class Rows:
    """The plain payload rows of a batch as columns; row numbers count all of them.

    ``table`` has one line for each column: the bytes that the lower end of the row's flow sent in the rows before it,
    those of the higher end, frame, time and acknowledgement number.
    """

    __slots__ = ("columns", "table")

    def __init__(self, table: NDArray[np.int64]) -> None:
        self.table = table
        lower, higher, *others = table
        # The two that are searched are lists, on which that is twice as fast.
        self.columns: tuple[Sequence[int], ...] = (lower.tolist(), higher.tolist(), *(column.data for column in others))


class SegmentRun:
    """Rows of one connection in one batch that followed each other, each with its own stamp.

    ``starts`` are the offsets of both directions before it, ``ends`` those delivered so far. ``numbers`` are the
    sequence numbers at ``starts`` (-1: not known); what a row acknowledged is counted from there.
    The columns first are the batch's; ``detach`` makes it outlive the batch.
    """

    __slots__ = (
        "ack",
        "ends",
        "first",
        "frame",
        "numbers",
        "shifts",
        "size",
        "sizes",
        "stamp",
        "starts",
        "stop",
        "time_ns",
    )

    def __init__(
        self, rows: Rows, first: int, stop: int, client_side: int, starts: tuple[int, int], numbers: tuple[int, int]
    ) -> None:
        lower, higher, self.frame, self.time_ns, self.ack = rows.columns
        self.sizes = (higher, lower) if client_side else (lower, higher)
        self.first = first
        self.stop = stop
        self.size = stop - first
        self.starts = starts
        self.ends = [*starts]
        self.numbers = numbers
        self.shifts = (self.sizes[0][first] - starts[0], self.sizes[1][first] - starts[1])
        self.stamp = 0

    def detach(self, rows: Rows, first: int, client_side: int) -> None:
        """Keep the rows from ``first`` on in memory of their own, and let go of ``rows``."""
        first = max(first, self.stop - MAX_INDEX_ENTRIES)
        lower, higher, self.frame, self.time_ns, self.ack = (
            column.data for column in rows.table[:, first : self.stop].copy()
        )
        self.sizes = (higher, lower) if client_side else (lower, higher)
        self.stamp += first
        self.stop -= first
        self.first = 0

    def row(self, direction: int, offset: int) -> int:
        """The row that brought the byte at ``offset``, or the nearest one that is kept."""
        sizes, first, end = self.sizes[direction], self.first, self.ends[direction]
        if offset >= end:
            offset = end - 1
        # Rows of the other side repeat a size; the last one with it is of this side.
        row = bisect_right(sizes, offset + self.shifts[direction], first, self.stop) - 1
        return row if row >= first else bisect_right(sizes, sizes[first], first, self.stop) - 1

    def locate(self, direction: int, offset: int) -> Position:
        """Position of the byte at ``offset``."""
        row = self.row(direction, offset)
        number = self.numbers[1 - direction]
        acked = None
        if number >= 0:
            acked = self.starts[1 - direction] + ((self.ack[row] - number + HALF) & MASK) - HALF
            if acked < 0:
                acked = 0
        return _new_tuple(Position, (self.stamp + row, self.frame[row], self.time_ns[row], acked))


class PositionIndex:
    """Finds the packet that first delivered a byte of one direction."""

    __slots__ = ("_direction", "_entries", "_pruned", "_rows", "_starts")

    def __init__(self, direction: int) -> None:
        self._direction = direction
        self._starts: list[int] = []
        self._entries: list[SegmentRun | Position] = []
        self._rows = 0
        self._pruned = 0

    def add(self, start: int, position: Position) -> None:
        """One segment delivered the bytes from ``start`` on."""
        self._starts.append(start)
        self._entries.append(position)
        if len(self._starts) > MAX_INDEX_ENTRIES:
            self._shorten()

    def add_stretch(self, stretch: SegmentRun) -> None:
        """A stretch of segments begins to deliver the bytes from where it starts in this direction."""
        self._starts.append(stretch.starts[self._direction])
        self._entries.append(stretch)
        self._rows += stretch.size
        if len(self._starts) > MAX_INDEX_ENTRIES or self._rows > MAX_INDEX_ROWS:
            self._shorten()

    def locate(self, offset: int) -> Position | None:
        """Position of the byte at ``offset``; in a gap or beyond all the one before, else the oldest kept."""
        if not self._entries:
            return None
        if offset < self._pruned:
            offset = self._pruned
        number = -1  # most are asked for soon
        if offset < self._starts[-1]:
            number = max(bisect_right(self._starts, offset) - 1, 0)
        entry = self._entries[number]
        return entry if type(entry) is Position else entry.locate(self._direction, offset)  # type: ignore[union-attr]  # only a SegmentRun is left

    def prune(self, offset: int) -> None:
        """Forget what lies before the entry that holds ``offset``."""
        count = bisect_right(self._starts, offset) - 1
        if count >= 0:
            entry = self._entries[count]
            last = entry.ends[self._direction] - 1 if type(entry) is SegmentRun else self._starts[count]
            self._pruned = min(offset, last)
        if count > 0:
            self._forget(count)

    def first_row(self, stretch: SegmentRun) -> int:
        """The first row of ``stretch`` that can still be asked for, its ``stop`` where none can."""
        direction = self._direction
        start = stretch.starts[direction]
        if not self._starts or not self._starts[0] <= start < stretch.ends[direction]:
            return stretch.stop
        return stretch.first if self._pruned <= start else stretch.row(direction, self._pruned)

    def _forget(self, count: int) -> None:
        if self._rows:
            self._rows -= sum(entry.size for entry in self._entries[:count] if type(entry) is SegmentRun)
        del self._starts[:count], self._entries[:count]

    def _shorten(self) -> None:
        """A consumer that never prunes loses the older half."""
        self._forget(max(1, len(self._entries) // 2))
