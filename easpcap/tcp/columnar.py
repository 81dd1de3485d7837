"""Sweep: one batch through all its connections, plain rows as runs and the others by the reassembler."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

import numpy as np

from easpcap.batch import ACK, RST, SYN
from easpcap.stream import Data
from easpcap.tcp.flows import group_by_flow
from easpcap.tcp.index import Run
from easpcap.tcp.order import Runs, Sequences
from easpcap.tcp.sequence import MASK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.batch import PacketBatch
    from easpcap.tcp.assembler import Assembler
    from easpcap.tcp.connection import TcpConnection
    from easpcap.tcp.index import Rows
    from easpcap.tcp.reassembler import Event, Reassembler

#: The columns that a single row is read from.
_ROW_COLUMNS = ("seq", "ack", "flags", "window", "payload_at", "captured", "on_wire", "frame", "time_ns")


class Sweep:
    """The work on one batch. ``events`` gives those of one flow after the other."""

    def __init__(self, assembler: Assembler, batch: PacketBatch) -> None:
        self._assembler = assembler
        self._batch = batch
        self._buffer = memoryview(batch.buffer)
        self._flows = flows = group_by_flow(batch)
        self._found = [assembler.find(key) for key in flows.keys]
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
        newcomers = self._newcomers()
        starts = self._flows.starts.tolist()
        for number, key in enumerate(self._flows.keys):
            reassembler = self._found[number]
            start, stop = starts[number], starts[number + 1]
            first = bisect_left(newcomers, (start,))
            is_expected = True
            while start < stop:
                if first < len(newcomers) and newcomers[first][0] == start:
                    is_expected = reassembler is None
                    reassembler = newcomers[first][1]
                    yield from self._assembler.enter(key, reassembler)
                    first += 1
                until = min(stop, newcomers[first][0]) if first < len(newcomers) else stop
                assert reassembler is not None  # noqa: S101  # a flow that is not known begins with a newcomer
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
        return sorted((place, self._assembler.open(self._batch, self._order[place])) for place in in_capture_order)

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
        suspects, after = self._suspects, self._after
        number = self._next_suspect
        rows: Rows | None = None
        # Where the last row of each side ended: the columns are right where the connection stands there, too.
        ended = _numbers(reassembler) if is_expected else [-1, -1]
        row = start
        while row < stop:
            while suspects[number] < row:
                number += 1
            until = min(suspects[number], stop)
            if until > row and reassembler.is_whole and _agree(reassembler, ended, is_expected):
                if rows is None:
                    rows = self._runs.rows()
                yield from self._plain(reassembler, rows, row, until)
                ended, is_expected = _numbers(reassembler), True
                row = until
                continue
            side = self._sides[row]
            for event in self._single(reassembler, side ^ client_side, self._order[row]):
                yield connection, event
            ended[side] = after[row]
            row += 1
        self._next_suspect = number
        if rows is not None:
            _detach(connection, rows)

    def _single(self, reassembler: Reassembler, direction: int, row: int) -> list[Event]:
        """One row of the batch through the reassembler."""
        seq, ack, flags, window, at, captured, on_wire, frame, time_ns = [column[row] for column in self._columns]
        if flags & RST:
            self._assembler.watch_reset(time_ns, reassembler)
        payload = self._buffer[at : at + min(captured, on_wire)]
        return reassembler.segment(direction, seq, ack, flags, window, payload, on_wire, frame, time_ns)

    def _plain(
        self, reassembler: Reassembler, rows: Rows, start: int, stop: int
    ) -> Iterator[tuple[TcpConnection, Event]]:
        """Rows that follow each other: every run in one piece."""
        connection, halves, client_side = reassembler.connection, reassembler.halves, reassembler.client_side
        runs, buffer = self._runs, self._buffer
        begins, ends, stops = runs.begins, runs.ends, runs.stops
        self._count(connection, start, stop)
        first, last = runs.rank[start], runs.rank[stop]
        while first < last:
            end = stops[first]
            direction = runs.sides[first] ^ client_side
            if end == first + 1:
                data = bytes(buffer[begins[first] : ends[first]])
            else:
                spans = zip(begins[first:end], ends[first:end], strict=True)
                data = b"".join([buffer[begin:finish] for begin, finish in spans])
            half, peer = halves[direction], halves[1 - direction]
            at = half.next
            half.next = at + len(data)
            connection.payload_bytes[direction] += len(data)
            stamp = connection.stamp + 1
            connection.stamp += end - first
            peer_number = (peer.base + peer.next) & MASK if peer.base >= 0 else -1
            rows.last = end
            connection.indexes[direction].add_run(Run(at, stamp, first, end, rows, peer.next, peer_number))
            yield connection, Data(direction, at, data)
            first = end
        self._acknowledge(reassembler, start, stop)

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


def _numbers(reassembler: Reassembler) -> list[int]:
    """The next sequence number of each side, -1 where it is not known."""
    client, server = (half.number if half.base >= 0 else -1 for half in reassembler.halves)
    return [server, client] if reassembler.client_side else [client, server]


def _agree(reassembler: Reassembler, ended: list[int], is_expected: bool) -> bool:  # hot
    """Whether both directions stand where the columns took them to stand: where the row before ended."""
    for side in (0, 1):
        half = reassembler.halves[side ^ reassembler.client_side]
        if ended[side] < 0:  # no row yet: the columns know nothing, or think of an older connection
            if half.base >= 0 or not is_expected:
                return False
        elif half.base < 0 or ended[side] != half.number:
            return False
    return True


def _detach(connection: TcpConnection, rows: Rows) -> None:
    """Let the rows that are still asked for outlive the batch, and forget the others."""
    first = [index.first_row(rows) for index in connection.indexes]
    kept = [row for row in first if row is not None]
    if kept:
        rows.detach(min(kept))
