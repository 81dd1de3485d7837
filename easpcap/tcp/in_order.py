"""Finds, for a whole batch at once, the rows that need no reassembly.

A row is in order when its sequence number continues the last row of its sender, when it acknowledges only bytes seen
before it, and when it carries no SYN, FIN, RST, zero window or cut payload. Consecutive in-order rows of a connection
form a run: their payload is joined unchanged. All other rows are irregular, and the reassembler reads them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from easpcap.batch import ACK, FIN, PSH, RST, SYN
from easpcap.limits import MAX_PADDING_BYTES, MAX_WINDOW_BYTES
from easpcap.tcp.positions import Rows
from easpcap.tcp.sequence import HALF

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from easpcap.batch import PacketBatch
    from easpcap.tcp.flows import Flows

    Integers = NDArray[np.intp]
    Numbers = NDArray[np.uint32]
    Flags = NDArray[np.bool_]

_HALF: Final = np.uint32(HALF)
_FAR: Final = np.uint32(MAX_WINDOW_BYTES)
_CHECKED_FLAGS: Final = SYN | FIN | RST | ACK


class Sequences:
    """The sequence space of the rows, sorted by flow.

    ``after`` is the sequence number that the next row of the same sender should have, ``other_before`` the last row of
    the other side before each row (-1: none in this batch).
    """

    __slots__ = ("ack", "after", "flags", "irregular", "other_before", "seq")

    def __init__(self, batch: PacketBatch, flows: Flows) -> None:
        order = flows.order
        self.seq: Numbers = batch.seq[order]
        self.ack: Numbers = batch.ack[order]
        self.flags = batch.flags[order]
        size = batch.on_wire[order]
        syn_fin = (self.flags & SYN > 0).astype(np.int64) + (self.flags & FIN > 0)  # each takes one sequence number
        self.after: Numbers = self.seq + (size + syn_fin).astype(np.uint32)
        self.other_before: Integers = np.full(len(order), -1, np.intp)
        self.irregular: Flags = self.flags & _CHECKED_FLAGS != ACK
        self.irregular |= batch.window[order] == 0
        self.irregular |= batch.captured[order] != size
        self._mark_zeros(batch, order, size)

    def _mark_zeros(self, batch: PacketBatch, order: Integers, size: NDArray[np.int64]) -> None:
        """Mark the rows whose few bytes of payload may be padding of an empty segment."""
        few = (size > 0) & (size <= MAX_PADDING_BYTES) & (self.flags & PSH == 0)
        for row in np.flatnonzero(few).tolist():
            begin = int(batch.payload_at[order[row]])
            self.irregular[row] |= not any(batch.buffer[begin : begin + int(size[row])])

    def mark_irregular(self, flows: Flows, expected: list[list[int]]) -> None:
        """Mark the rows that do not continue the rows before them.

        ``expected`` holds for each flow the next sequence number of its lower and its higher end by earlier batches;
        -1 where it is not known.
        """
        sides = (np.flatnonzero(~flows.side), np.flatnonzero(flows.side))
        known = np.array(expected, np.int64).T
        for rows, others, own, peer in ((*sides, *known), (*sides[::-1], *known[::-1])):
            if len(rows):
                self._check_sequence(flows, rows, own)
                self._check_acknowledged(flows, rows, others, peer)

    def _check_sequence(self, flows: Flows, rows: Integers, expected: NDArray[np.int64]) -> None:
        """Mark rows of one side that do not follow each other, or that acknowledge less than the one before."""
        flow, seq, ack = flows.flow[rows], self.seq[rows], self.ack[rows]
        irregular = np.empty(len(rows), np.bool_)
        irregular[1:] = (seq[1:] != self.after[rows[:-1]]) | (ack[1:] - ack[:-1] >= _HALF)
        first = np.flatnonzero(np.append(True, flow[1:] != flow[:-1]))
        irregular[first] = seq[first] != expected[flow[first]]
        self.irregular[rows] |= irregular

    def _check_acknowledged(self, flows: Flows, rows: Integers, others: Integers, expected: NDArray[np.int64]) -> None:
        """Mark rows of one side that acknowledge more than earlier rows of the other side delivered."""
        flow = flows.flow[rows]
        before = rows - np.arange(1, len(rows) + 1)  # the number of rows of the other side before each, less one
        present = before >= 0
        if len(others):
            row = others[before]
            present &= row >= flows.starts[flow]
            self.other_before[rows] = np.where(present, row, -1)
            reached = np.where(present, self.after[row], expected[flow].astype(np.uint32))
        else:
            reached = expected[flow].astype(np.uint32)
        ahead = reached - self.ack[rows] >= _FAR
        self.irregular[rows] |= ahead & (present | (expected[flow] >= 0))


class InOrderRuns:
    """The in-order rows that have payload, numbered from 0 in sorted order, and the runs that they form.

    ``rank`` of a sorted row is the number of such rows before it. For each such row, ``begins`` and ``ends`` are the
    bounds of its payload in the buffer, and ``run`` is the number of its run. For each run, ``stops`` is the row after
    its last one, and ``sides`` is True where the higher end of the flow sent it. A run ends where the flow or the side
    changes, and before an irregular row.
    """

    __slots__ = ("begins", "ends", "rank", "rows", "run", "sides", "stops")

    def __init__(
        self, batch: PacketBatch, flows: Flows, irregular: Flags, ack: Numbers, other_before: Integers
    ) -> None:
        order = flows.order
        chosen = (batch.captured[order] > 0) & ~irregular
        rank = np.zeros(len(order) + 1, np.int64)
        np.cumsum(chosen, out=rank[1:])
        self.rank = rank.data
        places = np.flatnonzero(chosen)
        source, side = order[places], flows.side[places]
        size, begins = batch.captured[source], batch.payload_at[source]
        self.begins: list[int] = begins.tolist()
        self.ends: list[int] = (begins + size).tolist()
        kind = (flows.flow * 2 + flows.side + 2 * len(flows.keys) * np.cumsum(irregular))[places]
        changes = kind[1:] != kind[:-1]
        run = np.zeros(len(places) + 1, np.int64)
        np.cumsum(changes, out=run[1:-1])
        run[-1:] = run[-2] + 1 if len(places) else 0
        self.run = run.data
        stops = np.append(np.flatnonzero(changes) + 1, len(places))
        self.stops: list[int] = stops.tolist()
        self.sides: list[bool] = side[stops - 1].tolist() if len(places) else []
        table = _table(size, side, batch.frame[source], batch.time_ns[source], ack[places])
        self.rows = Rows(table, lambda: np.where(other_before >= 0, ack[other_before].astype(np.int64), -1)[places])


def _table(size: NDArray[np.int64], side: Flags, *others: NDArray[Any]) -> NDArray[np.int64]:
    """The columns of `Rows`."""
    table = np.empty((2 + len(others), len(size)), np.int64)
    for line, own in ((0, ~side), (1, side)):
        counted = size * own
        np.subtract(np.cumsum(counted), counted, out=table[line])
    for line, column in enumerate(others, 2):
        table[line] = column
    return table
