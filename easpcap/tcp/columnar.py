"""Sweep: one batch through all its connections, plain rows as runs and the others by the reassembler."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from easpcap.batch import ACK, RST, SYN
from easpcap.stream import Data
from easpcap.tcp.flows import group_by_flow
from easpcap.tcp.in_order import Runs, Sequences
from easpcap.tcp.positions import SegmentRun
from easpcap.tcp.sequence import MASK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.batch import PacketBatch
    from easpcap.tcp.connection import TcpConnection
    from easpcap.tcp.reassembler import Event, Reassembler
    from easpcap.tcp.table import FlowTable

#: The columns that a single row is read from.
_ROW_COLUMNS = ("seq", "ack", "flags", "window", "payload_at", "captured", "on_wire", "frame", "time_ns")


class ColumnarPass:
    """The work on one batch. ``events`` gives those of one flow after the other."""

    def __init__(self, table: FlowTable, batch: PacketBatch) -> None:
        self._table = table
        self._batch = batch
        self._buffer = memoryview(batch.buffer)
        self._flows = flows = group_by_flow(batch)
        self._found = [table.find(key) for key in flows.keys]
        self._sequences = sequences = Sequences(batch, flows)
        unknown = [-1, -1]
        sequences.suspect(flows, [unknown if found is None else _numbers(found) for found in self._found])
        self._runs = Runs(batch, flows, sequences.suspects, sequences.ack)
        self._suspects: list[int] = [*np.flatnonzero(sequences.suspects).tolist(), len(batch)]
        self._next_suspect = 0
        self._columns = [getattr(batch, name).data for name in _ROW_COLUMNS]
        self._order = flows.order.data
        self._sides = flows.side.data
        self._after = sequences.after.data
        self._ack = sequences.ack.data
        self._other_before = sequences.other_before.data

    def events(self) -> Iterator[tuple[TcpConnection, Event]]:
        """The events of the batch."""
        table, found, starts = self._table, self._found, self._flows.starts.tolist()
        newcomers = iter([*self._newcomers(), (len(self._batch), None)])
        place, newcomer = next(newcomers)
        for number, key in enumerate(self._flows.keys):
            reassembler = found[number]
            start, stop = starts[number], starts[number + 1]
            is_expected = True
            while start < stop:
                if place == start and newcomer is not None:
                    is_expected = reassembler is None
                    reassembler = newcomer
                    yield from table.enter(key, reassembler)
                    place, newcomer = next(newcomers)
                assert reassembler is not None  # noqa: S101  # a flow that is not known begins with a newcomer
                until = min(stop, place)
                yield from self._connection(reassembler, start, until, is_expected=is_expected)
                start = until

    # ------------------------------------------------------------------ new connections

    def _newcomers(self) -> list[tuple[int, Reassembler]]:
        """Where connections begin, by sorted row; numbered in the order of the capture."""
        starts = self._flows.starts.tolist()
        places = {start for start, found in zip(starts, self._found, strict=False) if found is None}
        flags = self._sequences.flags
        begun: dict[int, int] = {}
        for place in np.flatnonzero(flags & (SYN | ACK) == SYN).tolist():
            flow = int(self._flows.flow[place])
            if place in places or self._begins_anew(place, flow, begun.get(flow, -1)):
                places.add(place)
                begun[flow] = place
        in_capture_order = sorted(places, key=lambda place: self._order[place])
        return sorted((place, self._table.open(self._batch, self._order[place])) for place in in_capture_order)

    def _begins_anew(self, place: int, flow: int, begun: int) -> bool:
        """Whether the SYN at ``place`` is the first packet of a connection; the flow's last one began at ``begun``."""
        side = self._sides[place]
        found = self._found[flow]
        first = -1
        if begun < 0 and found is not None:
            first = found.first_numbers[side ^ found.client_side]
        if first < 0:
            start = max(begun, int(self._flows.starts[flow]))
            before = start + np.flatnonzero(self._flows.side[start:place] == side)[:1]
            if not len(before):
                return False
            first = int(self._sequences.seq[before[0]])
            if not self._sequences.flags[before[0]] & SYN:
                first = (first - 1) & MASK
        return int(self._sequences.seq[place]) != first

    # ------------------------------------------------------------------ one connection

    def _connection(
        self, reassembler: Reassembler, start: int, stop: int, *, is_expected: bool
    ) -> Iterator[tuple[TcpConnection, Event]]:
        """Rows [start, stop) of one connection; the columns expected it where it was already known."""
        connection, client_side = reassembler.connection, reassembler.client_side
        suspects, after, sides, order = self._suspects, self._after, self._sides, self._order
        number = self._next_suspect
        stretches: list[SegmentRun] = []
        # Where the last row of each side ended: the columns are right where the connection stands there, too. Where
        # they know nothing of a side (-1), they may think of an older connection.
        ended = _numbers(reassembler) if is_expected else [-1, -1]
        row = start
        while row < stop:
            while suspects[number] < row:
                number += 1
            until = min(suspects[number], stop)
            if (
                until > row
                and reassembler.is_whole
                and ended == _numbers(reassembler)
                and (is_expected or -1 not in ended)
            ):
                stretch = self._stretch(reassembler, row, until)
                if stretch is not None:
                    stretches.append(stretch)
                    yield from self._deliver(reassembler, stretch)
                self._acknowledge(reassembler, row, until)
                ended, is_expected = _numbers(reassembler), True
                row = until
                continue
            side = sides[row]
            for event in self._single(reassembler, side ^ client_side, order[row]):
                yield connection, event
            ended[side] = after[row]
            row += 1
        self._next_suspect = number
        for stretch in stretches:
            first = connection.first_row(stretch)
            if first < stretch.stop:
                stretch.detach(self._runs.rows, first, client_side)

    def _single(self, reassembler: Reassembler, direction: int, row: int) -> list[Event]:
        """One row of the batch through the reassembler."""
        seq, ack, flags, window, at, captured, on_wire, frame, time_ns = [column[row] for column in self._columns]
        if flags & RST:
            self._table.watch_reset(time_ns, reassembler)
        payload = self._buffer[at : at + min(captured, on_wire)]
        return reassembler.segment(direction, seq, ack, flags, window, payload, on_wire, frame, time_ns)

    def _stretch(self, reassembler: Reassembler, start: int, stop: int) -> SegmentRun | None:
        """Rows that follow each other; None where none of them carries bytes."""
        connection, (client, server), runs = reassembler.connection, reassembler.halves, self._runs
        self._count(connection, start, stop)
        first, last = runs.rank[start], runs.rank[stop]
        if first == last:
            return None
        numbers = (client.number if client.base >= 0 else -1, server.number if server.base >= 0 else -1)
        stretch = SegmentRun(runs.rows, first, last, reassembler.client_side, (client.next, server.next), numbers)
        stretch.stamp = connection.stamp + 1 - first
        connection.stamp += last - first
        return stretch

    def _deliver(self, reassembler: Reassembler, stretch: SegmentRun) -> Iterator[tuple[TcpConnection, Event]]:
        """Every run of a stretch in one piece."""
        runs, buffer, join, new = self._runs, self._buffer, b"".join, tuple.__new__
        connection, client_side = reassembler.connection, reassembler.client_side
        starts, ends = stretch.starts, stretch.ends
        row = origin = stretch.first
        last = stretch.stop
        pieces = [buffer[begin:end] for begin, end in zip(runs.begins[row:last], runs.ends[row:last], strict=True)]
        chosen = slice(runs.run[row], runs.run[last - 1] + 1)
        for stop, side in zip(runs.stops[chosen], runs.sides[chosen], strict=True):
            direction = side ^ client_side
            data = join(pieces[row - origin : stop - origin])
            row = stop
            at = ends[direction]
            ends[direction] = at + len(data)
            if at == starts[direction]:
                connection.indexes[direction].add_stretch(stretch)
            yield connection, new(Data, (direction, at, data))
        for half, start, end, direction in zip(reassembler.halves, starts, ends, (0, 1), strict=True):
            connection.payload_bytes[direction] += end - start
            half.next = end

    def _count(self, connection: TcpConnection, start: int, stop: int) -> None:
        last = self._order[stop - 1]
        connection.packets += stop - start
        connection.last_frame, connection.last_time_ns = self._columns[-2][last], self._columns[-1][last]

    def _acknowledge(self, reassembler: Reassembler, start: int, stop: int) -> None:
        """Take over what the last row of each side acknowledged."""
        connection = reassembler.connection
        for row in (stop - 1, self._other_before[stop - 1]):
            if row >= start:
                direction = self._sides[row] ^ reassembler.client_side
                connection.seen[direction] = True
                peer = reassembler.halves[1 - direction]
                if peer.base >= 0:
                    acked = peer.next - ((peer.number - self._ack[row]) & MASK)
                    connection.acked[1 - direction] = max(connection.acked[1 - direction], acked)


def _numbers(reassembler: Reassembler) -> list[int]:  # hot
    """The next sequence number of each side, -1 where it is not known."""
    client, server = reassembler.halves
    numbers = [
        (client.base + client.next) & MASK if client.base >= 0 else -1,
        (server.base + server.next) & MASK if server.base >= 0 else -1,
    ]
    if reassembler.client_side:
        numbers.reverse()
    return numbers
