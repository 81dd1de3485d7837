"""Where each byte of a direction was seen: from stream offset to packet, kept only as far back as it is asked for."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from easpcap.limits import MAX_INDEX_ENTRIES, MAX_INDEX_ROWS
from easpcap.stream import Position
from easpcap.tcp.sequence import MASK

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Rows:
    """The payload rows of one connection in one batch, as columns that runs point into.

    The columns first belong to the whole batch; ``detach`` replaces them with copies of this connection's own rows.
    ``size_before`` counts the payload bytes of the rows before each row.
    """

    __slots__ = ("_columns", "ack", "frame", "last", "origin", "size_before", "time_ns")

    def __init__(self, *columns: NDArray[np.int64]) -> None:
        self._columns = columns
        self.origin = 0
        self.last = 0
        self.size_before, self.frame, self.time_ns, self.ack = (column.data for column in columns)

    def detach(self, first: int) -> None:
        """Keep the rows from ``first`` to the last one used, in memory of their own."""
        self.__init__(*(column[first : self.last].copy() for column in self._columns))  # type: ignore[misc]  # the same columns, fewer rows
        self.origin = first


class Run(NamedTuple):
    """Rows ``first`` up to ``stop`` of a batch that delivered the bytes from ``start`` on, each with its own stamp.

    ``peer`` is the offset that the other direction had reached, ``peer_number`` its sequence number (-1: not known);
    what a row acknowledged is counted back from there.
    """

    start: int
    stamp: int
    first: int
    stop: int
    rows: Rows
    peer: int
    peer_number: int


class PositionIndex:
    """Finds the packet that first delivered a byte of one direction."""

    __slots__ = ("_entries", "_rows", "_starts")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._entries: list[Run | Position] = []
        self._rows = 0

    def add(self, start: int, position: Position) -> None:
        """One segment delivered the bytes from ``start`` on."""
        self._starts.append(start)
        self._entries.append(position)
        if len(self._starts) > MAX_INDEX_ENTRIES:
            self._shorten()

    def add_run(self, run: Run) -> None:
        """A run of segments delivered the bytes from ``run.start`` on."""
        self._starts.append(run.start)
        self._entries.append(run)
        self._rows += run.stop - run.first
        if len(self._starts) > MAX_INDEX_ENTRIES or self._rows > MAX_INDEX_ROWS:
            self._shorten()

    def locate(self, offset: int) -> Position | None:
        """Position of the byte at ``offset``; in a gap or beyond all the one before, else the oldest kept."""
        number = bisect_right(self._starts, offset) - 1
        if number < 0:
            if not self._entries:
                return None
            number, offset = 0, self._starts[0]
        entry = self._entries[number]
        if type(entry) is Position:
            return entry
        start, stamp, first, stop, rows, peer, peer_number = entry  # type: ignore[misc]  # only a Run is left
        first -= rows.origin
        size_before = rows.size_before
        row = bisect_right(size_before, size_before[first] + offset - start, first, stop - rows.origin) - 1
        acked = None if peer_number < 0 else max(0, peer - ((peer_number - rows.ack[row]) & MASK))
        return Position(stamp + row - first, rows.frame[row], rows.time_ns[row], acked)

    def prune(self, offset: int) -> None:
        """Forget what lies before the entry that holds ``offset``."""
        count = bisect_right(self._starts, offset) - 1
        if count > 0:
            self._forget(count)

    def first_row(self, rows: Rows) -> int | None:
        """The first row of ``rows`` (the newest batch) that is still in use, or None."""
        first = None
        for entry in reversed(self._entries):
            if type(entry) is Run:
                if entry.rows is not rows:
                    break
                first = entry.first
        return first

    def _forget(self, count: int) -> None:
        if self._rows:
            self._rows -= sum(entry.stop - entry.first for entry in self._entries[:count] if type(entry) is Run)
        del self._starts[:count], self._entries[:count]

    def _shorten(self) -> None:
        """A consumer that never prunes loses the older half."""
        self._forget(max(1, len(self._entries) // 2))
