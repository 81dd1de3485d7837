"""The columnar path: a whole batch at once. In-order rows become segment runs; the reassembler reads all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from easpcap.batch import ACK, RST, SYN
from easpcap.limits import MAX_REMEMBERED_BYTES
from easpcap.stream import Data
from easpcap.tcp.flows import group_by_flow
from easpcap.tcp.in_order import InOrderRuns, Sequences
from easpcap.tcp.positions import SegmentRun
from easpcap.tcp.reassembler import Reassembler
from easpcap.tcp.segment import segment_columns, segment_of
from easpcap.tcp.sequence import MASK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.batch import PacketBatch
    from easpcap.tcp.connection import TcpConnection
    from easpcap.tcp.flows import FlowKey
    from easpcap.tcp.reassembler import Event
    from easpcap.tcp.segment import Segment
    from easpcap.tcp.table import ClosedFlow, FlowTable

#: The columns from which `Reassembler.segment` takes its arguments.
_SEGMENT_COLUMNS = ("seq", "ack", "flags", "window", "payload_at", "captured", "on_wire", "frame", "time_ns")
_FLAGS, _WINDOW = 2, 3


class ColumnarPass:
    """Reads one batch. Its rows are sorted by flow, and all row numbers here are those of the sorted rows."""

    def __init__(self, table: FlowTable, batch: PacketBatch) -> None:
        self._table = table
        self._batch = batch
        self._buffer = memoryview(batch.buffer)
        self._flows = flows = group_by_flow(batch)
        self._found = [table.find(key) for key in flows.keys]
        self._sequences = sequences = Sequences(batch, flows)
        unknown = [-1, -1]
        sequences.mark_irregular(
            flows, [_next_numbers(found) if isinstance(found, Reassembler) else unknown for found in self._found]
        )
        self._runs = InOrderRuns(batch, flows, sequences.irregular, sequences.ack, sequences.other_before)
        self._irregular: list[int] = [*np.flatnonzero(sequences.irregular).tolist(), len(batch)]
        self._next_irregular = 0
        self._syns: list[int] = [*np.flatnonzero(sequences.flags & (SYN | ACK) == SYN).tolist(), len(batch)]
        self._syn = 0
        self._columns = [getattr(batch, name).data for name in _SEGMENT_COLUMNS]
        self._segments = segment_columns(batch)
        self._order = flows.order.data
        self._sides = flows.side.data
        self._after = sequences.after.data
        self._ack = sequences.ack.data
        self._other_before = sequences.other_before.data

    def events(self) -> Iterator[tuple[TcpConnection, Event]]:
        """The events of the batch, one flow after the other."""
        starts, table = self._flows.starts.tolist(), self._table
        for number, key in enumerate(self._flows.keys):
            start, stop, found = starts[number], starts[number + 1], self._found[number]
            first_other = start
            if found is None:
                yield from table.open(key, self._segment_at(start))
                found, first_other = table.find(key), start + 1
            # One generator less where only one connection can be meant: nearly always.
            if self._next_syn(first_other) >= stop and isinstance(found, Reassembler) and not table.holds(key):
                yield from self._connection(found, start, stop, was_known=True)
            else:
                yield from self._flow(key, found, start, stop)

    def _flow(
        self, key: FlowKey, found: Reassembler | ClosedFlow | None, start: int, stop: int
    ) -> Iterator[tuple[TcpConnection, Event]]:
        """Read rows [start, stop), all of one flow, whose newest connection in earlier batches is ``found``."""
        table, row, current = self._table, start, found
        while row < stop:
            until = self._next_syn(row)
            if table.holds(key) or (until == row and self._opens_another(current, row)):
                yield from table.read(key, self._segment_at(row))
                current = table.find(key)
                row += 1
                continue
            until = min(self._next_syn(row + 1), stop)
            if isinstance(current, Reassembler):
                yield from self._connection(current, row, until, was_known=row == start and current is found)
            elif current is not None:
                self._ignore(current, row, until)
            row = until

    def _next_syn(self, row: int) -> int:
        """The first row from ``row`` on that asks for a connection; flows are read in the order of the rows."""
        while self._syns[self._syn] < row:
            self._syn += 1
        return self._syns[self._syn]

    def _opens_another(self, current: Reassembler | ClosedFlow | None, row: int) -> bool:
        return current is not None and self._table.is_another(current, self._sides[row], int(self._sequences.seq[row]))

    def _segment_at(self, row: int) -> Segment:
        return segment_of(self._segments, self._order[row], self._buffer)

    def _ignore(self, closed: ClosedFlow, start: int, stop: int) -> None:
        """Skip late segments of a connection that its consumer has forgotten."""
        if -1 in closed.first_numbers:
            for row in range(start, stop):
                closed.ignore(self._sides[row], int(self._sequences.seq[row]), int(self._sequences.flags[row]))

    # ------------------------------------------------------------------ one connection

    def _connection(
        self, reassembler: Reassembler, start: int, stop: int, *, was_known: bool
    ) -> Iterator[tuple[TcpConnection, Event]]:
        """Read rows [start, stop) of one connection. ``was_known``: `Sequences` compared them with this connection."""
        connection, client_side = reassembler.connection, reassembler.client_side
        irregular, after, sides, order = self._irregular, self._after, self._sides, self._order
        number = self._next_irregular
        segment_runs: list[SegmentRun] = []
        # The number after the last row of each side. `Sequences` compared rows with these numbers: its result is valid
        # while the reassembler expects the same ones. At -1 it may have compared with an older connection.
        expected = _next_numbers(reassembler) if was_known else [-1, -1]
        row = start
        while row < stop:
            while irregular[number] < row:
                number += 1
            until = min(irregular[number], stop)
            if (
                until > row
                and reassembler.is_whole
                and expected == _next_numbers(reassembler)
                and (was_known or -1 not in expected)
            ):
                segment_run = self._segment_run(reassembler, row, until)
                if segment_run is not None:
                    segment_runs.append(segment_run)
                    yield from self._deliver(reassembler, segment_run)
                self._acknowledge(reassembler, row, until)
                expected, was_known = _next_numbers(reassembler), True
                row = until
                continue
            side = sides[row]
            for event in self._segment(reassembler, side ^ client_side, order[row]):
                yield connection, event
            expected[side] = after[row]
            row += 1
        self._next_irregular = number
        for segment_run in segment_runs:
            first = connection.first_row(segment_run)
            if first < segment_run.stop:
                segment_run.detach(self._runs.rows, first, client_side)

    def _segment(self, reassembler: Reassembler, direction: int, row: int) -> list[Event]:
        """Pass one row to the reassembler; ``row`` is its number in the batch."""
        if self._columns[_FLAGS][row] & (SYN | RST) or reassembler.was_reset:
            return self._table.feed(reassembler, segment_of(self._segments, row, self._buffer))
        seq, ack, flags, window, at, captured, on_wire, frame, time_ns = [column[row] for column in self._columns]
        payload = self._buffer[at : at + min(captured, on_wire)]
        return reassembler.segment(direction, seq, ack, flags, window, payload, on_wire, frame, time_ns)

    def _segment_run(self, reassembler: Reassembler, start: int, stop: int) -> SegmentRun | None:
        """The run of in-order rows [start, stop); None where none of them has payload."""
        connection, (to_server, to_client), runs = reassembler.connection, reassembler.directions, self._runs
        self._count(connection, start, stop)
        first, last = runs.rank[start], runs.rank[stop]
        if first == last:
            return None
        numbers = (to_server.number if to_server.base >= 0 else -1, to_client.number if to_client.base >= 0 else -1)
        offsets = (to_server.next, to_client.next)
        segment_run = SegmentRun(runs.rows, first, last, reassembler.client_side, offsets, numbers)
        segment_run.stamp = connection.stamp + 1 - first
        connection.stamp += last - first
        return segment_run

    def _deliver(self, reassembler: Reassembler, segment_run: SegmentRun) -> Iterator[tuple[TcpConnection, Event]]:
        """Yield the bytes of a segment run, one piece up to each change of direction."""
        runs, buffer, join = self._runs, self._buffer, b"".join
        connection, client_side = reassembler.connection, reassembler.client_side
        starts, ends, states = segment_run.starts, segment_run.ends, reassembler.directions
        row = origin = segment_run.first
        last = segment_run.stop
        pieces = [buffer[begin:end] for begin, end in zip(runs.begins[row:last], runs.ends[row:last], strict=True)]
        chosen = slice(runs.run[row], runs.run[last - 1] + 1)
        for stop, side in zip(runs.stops[chosen], runs.sides[chosen], strict=True):
            direction = side ^ client_side
            data = join(pieces[row - origin : stop - origin])
            row = stop
            at = ends[direction]
            ends[direction] = at + len(data)
            state = states[direction]  # `DirectionState.remember` without the call
            state.recent = (
                data[-MAX_REMEMBERED_BYTES:]
                if len(data) >= MAX_REMEMBERED_BYTES
                else ((state.recent + data)[-MAX_REMEMBERED_BYTES:])
            )
            if at == starts[direction]:
                connection.indexes[direction].add_run(segment_run)
            yield connection, Data(direction, at, data)
        for state, start, end, direction in zip(reassembler.directions, starts, ends, (0, 1), strict=True):
            connection.payload_bytes[direction] += end - start
            state.next = end

    def _count(self, connection: TcpConnection, start: int, stop: int) -> None:
        last = self._order[stop - 1]
        connection.packets += stop - start
        connection.last_frame, connection.last_time_ns = self._columns[-2][last], self._columns[-1][last]

    def _acknowledge(self, reassembler: Reassembler, start: int, stop: int) -> None:
        """Record what the last row of each side acknowledged."""
        connection = reassembler.connection
        for row in (stop - 1, self._other_before[stop - 1]):
            if row >= start:
                direction = self._sides[row] ^ reassembler.client_side
                connection.seen[direction] = True
                peer, own = reassembler.directions[1 - direction], reassembler.directions[direction]
                if peer.base >= 0:
                    acked = peer.next - ((peer.number - self._ack[row]) & MASK)
                    limit = max(acked, 0) + (self._columns[_WINDOW][self._order[row]] << own.scale)
                    if limit > peer.limit:
                        peer.limit = limit
                    connection.acked[1 - direction] = max(connection.acked[1 - direction], acked)


def _next_numbers(reassembler: Reassembler) -> list[int]:  # hot
    """The next sequence number of the lower and the higher end, -1 where it is not known."""
    to_server, to_client = reassembler.directions
    numbers = [
        (to_server.base + to_server.next) & MASK if to_server.base >= 0 else -1,
        (to_client.base + to_client.next) & MASK if to_client.base >= 0 else -1,
    ]
    if reassembler.client_side:
        numbers.reverse()
    return numbers
