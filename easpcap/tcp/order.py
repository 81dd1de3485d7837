"""The columnar path: prove for a whole batch at once which rows simply follow each other.

A row is plain when it carries on where the last row of its direction ended, acknowledges nothing that was not seen
before it, and has nothing else to say. Plain rows of a connection that stand together need no reassembly: their
payload is joined as it stands. All other rows are left to the reassembler, one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from easpcap.batch import ACK, FIN, RST, SYN
from easpcap.limits import MAX_WINDOW_BYTES
from easpcap.tcp.index import Rows
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
_PLAIN_FLAGS: Final = SYN | FIN | RST | ACK


class Sequences:
    """The sorted rows' sequence space. ``after`` is the number that the next row of the same sender should carry."""

    __slots__ = ("ack", "after", "flags", "other_before", "seq", "suspects")

    def __init__(self, batch: PacketBatch, flows: Flows) -> None:
        order = flows.order
        self.seq: Numbers = batch.seq[order]
        self.ack: Numbers = batch.ack[order]
        self.flags = batch.flags[order]
        size = batch.on_wire[order]
        turn = (self.flags & SYN > 0).astype(np.int64) + (self.flags & FIN > 0)  # each takes a number of its own
        self.after: Numbers = self.seq + (size + turn).astype(np.uint32)
        self.other_before: Integers = np.full(len(order), -1, np.intp)
        self.suspects: Flags = self.flags & _PLAIN_FLAGS != ACK
        self.suspects |= batch.window[order] == 0
        self.suspects |= batch.captured[order] != size

    def suspect(self, flows: Flows, expected: list[list[int]]) -> None:
        """Mark the rows that do not follow the rows before them.

        ``expected`` holds for each flow the next sequence number of each side as the connection knows it, -1 where not.
        """
        sides = (np.flatnonzero(~flows.side), np.flatnonzero(flows.side))
        known = np.array(expected, np.int64).T
        for rows, others, own, peer in ((*sides, *known), (*sides[::-1], *known[::-1])):
            if len(rows):
                self._suspect_order(flows, rows, own)
                self._suspect_causes(flows, rows, others, peer)

    def _suspect_order(self, flows: Flows, rows: Integers, expected: NDArray[np.int64]) -> None:
        """Rows of one side must follow each other, and may not take an acknowledgement back."""
        flow, seq, ack = flows.flow[rows], self.seq[rows], self.ack[rows]
        suspects = np.empty(len(rows), np.bool_)
        suspects[1:] = (seq[1:] != self.after[rows[:-1]]) | (ack[1:] - ack[:-1] >= _HALF)
        first = np.flatnonzero(np.append(True, flow[1:] != flow[:-1]))
        suspects[first] = seq[first] != expected[flow[first]]
        self.suspects[rows] |= suspects

    def _suspect_causes(self, flows: Flows, rows: Integers, others: Integers, expected: NDArray[np.int64]) -> None:
        """Rows of one side may only acknowledge what the other side's rows before them brought."""
        flow = flows.flow[rows]
        before = rows - np.arange(1, len(rows) + 1)  # as many rows of the other side stand before each
        present = before >= 0
        if len(others):
            place = others[before]
            present &= place >= flows.starts[flow]
            self.other_before[rows] = np.where(present, place, -1)
            reached = np.where(present, self.after[place], expected[flow].astype(np.uint32))
        else:
            reached = expected[flow].astype(np.uint32)
        ahead = reached - self.ack[rows] >= _FAR
        self.suspects[rows] |= ahead & (present | (expected[flow] >= 0))


class Runs:
    """The plain rows with payload, and where runs of them end; all for access row by row.

    ``rank`` of a sorted row is the number of plain payload rows before it; ``stops`` says for each of them where its
    run ends. A run ends where the flow or the side changes, and before a suspect row.
    """

    __slots__ = ("_columns", "begins", "ends", "rank", "sides", "stops")

    def __init__(self, batch: PacketBatch, flows: Flows, suspects: Flags, ack: Numbers) -> None:
        order = flows.order
        size = batch.captured[order]
        chosen = (size > 0) & ~suspects
        rank = np.zeros(len(order) + 1, np.int64)
        np.cumsum(chosen, out=rank[1:])
        self.rank = rank.data
        rows = np.flatnonzero(chosen)
        place = (flows.flow * 2 + flows.side + 2 * len(flows.keys) * np.cumsum(suspects))[rows]
        stops = np.append(np.flatnonzero(place[1:] != place[:-1]) + 1, len(rows))
        self.stops = np.repeat(stops, np.diff(stops, prepend=0)).data if len(rows) else stops.data
        self.sides: list[bool] = flows.side[rows].tolist()
        size = size[rows]
        source = order[rows]
        begins = batch.payload_at[source]
        self.begins: list[int] = begins.tolist()
        self.ends: list[int] = (begins + size).tolist()
        self._columns = (
            np.cumsum(size) - size,
            batch.frame[source],
            batch.time_ns[source],
            ack[rows].astype(np.int64),
        )

    def rows(self) -> Rows:
        """The payload rows as the position index refers to them; one for each connection."""
        return Rows(*self._columns)
