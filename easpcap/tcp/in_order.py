"""The columnar path: prove for a whole batch at once which rows simply follow each other.

A row is plain when it carries on where the last row of its direction ended, acknowledges nothing that was not seen
before it, and has nothing else to say. Plain rows of a connection that stand together need no reassembly: their
payload is joined as it stands. All other rows are left to the reassembler, one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from easpcap.batch import ACK, FIN, RST, SYN
from easpcap.limits import MAX_WINDOW_BYTES
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
    """The plain rows with payload, and the runs that they form.

    ``rank`` of a sorted row is the number of plain payload rows before it, and such a row is known by this number in
    all else; ``begins`` and ``ends`` say where its payload stands, ``run`` to which run it belongs. Each run has its
    ``stops`` and ``sides``; it ends where the flow or the side changes, and before a suspect row.
    """

    __slots__ = ("begins", "ends", "rank", "rows", "run", "sides", "stops")

    def __init__(self, batch: PacketBatch, flows: Flows, suspects: Flags, ack: Numbers) -> None:
        order = flows.order
        chosen = (batch.captured[order] > 0) & ~suspects
        rank = np.zeros(len(order) + 1, np.int64)
        np.cumsum(chosen, out=rank[1:])
        self.rank = rank.data
        places = np.flatnonzero(chosen)
        source, side = order[places], flows.side[places]
        size, begins = batch.captured[source], batch.payload_at[source]
        self.begins: list[int] = begins.tolist()
        self.ends: list[int] = (begins + size).tolist()
        kind = (flows.flow * 2 + flows.side + 2 * len(flows.keys) * np.cumsum(suspects))[places]
        changes = kind[1:] != kind[:-1]
        run = np.zeros(len(places) + 1, np.int64)
        np.cumsum(changes, out=run[1:-1])
        run[-1:] = run[-2] + 1 if len(places) else 0
        self.run = run.data
        stops = np.append(np.flatnonzero(changes) + 1, len(places))
        self.stops: list[int] = stops.tolist()
        self.sides: list[bool] = side[stops - 1].tolist() if len(places) else []
        self.rows = Rows(_table(size, side, batch.frame[source], batch.time_ns[source], ack[places]))


def _table(size: NDArray[np.int64], side: Flags, *others: NDArray[Any]) -> NDArray[np.int64]:
    """The columns of the payload rows, as `Rows` has them."""
    table = np.empty((2 + len(others), len(size)), np.int64)
    for line, own in ((0, ~side), (1, side)):
        counted = size * own
        np.subtract(np.cumsum(counted), counted, out=table[line])
    for line, column in enumerate(others, 2):
        table[line] = column
    return table
