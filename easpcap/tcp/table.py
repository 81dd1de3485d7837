"""FlowTable: the connection of every flow. The columnar path and the reference path both work on it."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from heapq import nsmallest
from itertools import islice
from typing import TYPE_CHECKING

from easpcap.limits import MAX_CLOSED_FLOWS, MAX_LIVE_CONNECTIONS, MAX_UNANSWERED_FRAMES, RESET_LINGER_NS
from easpcap.stream import Endpoint, Position
from easpcap.tcp.connection import TcpConnection, address_text, guess_roles
from easpcap.tcp.quotes import Quotes
from easpcap.tcp.reassembler import Reassembler
from easpcap.tcp.sequence import initial_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.batch import PacketBatch
    from easpcap.tcp.flows import FlowKey
    from easpcap.tcp.reassembler import Event


class ClosedFlow:
    """What remains of a connection that its consumer has forgotten: enough to recognise its late segments.

    ``first_numbers`` are the initial sequence numbers of the lower and the higher end of the flow, -1 where not known.
    """

    __slots__ = ("first_numbers",)

    def __init__(self, reassembler: Reassembler) -> None:
        self.first_numbers = [reassembler.first_number(side) for side in (0, 1)]

    def first_number(self, side: int) -> int:
        """The initial sequence number of one end of the flow, -1 where it is not known."""
        return self.first_numbers[side]

    def ignore(self, side: int, seq: int, flags: int) -> None:
        """Skip a late segment, which yields no events."""
        if self.first_numbers[side] < 0:
            self.first_numbers[side] = initial_number(seq, flags)


class FlowTable:
    """Finds, opens and closes connections.

    A connection stays in the table until its ports are reused, there is no room for it, or its consumer calls
    `TcpConnection.forget`. ``unanswered`` counts those without room of which only SYNs were seen.
    """

    def __init__(self) -> None:
        self._flows: dict[FlowKey, Reassembler] = {}
        self._closed: dict[FlowKey, ClosedFlow] = {}
        self._connections: dict[int, tuple[FlowKey, TcpConnection]] = {}
        self._forgotten: list[TcpConnection] = []
        self._opened = 0
        self._resets: OrderedDict[Reassembler, int] = OrderedDict()  # when each was reset, in that order
        self.quotes = Quotes()
        self.unanswered = 0
        self.unanswered_frames = array("q")  # the first frame of each; at the end also those of unseen quoted ones

    @property
    def connections(self) -> list[TcpConnection]:
        """All connections, by id, that have yielded events or still may, except the forgotten ones."""
        self.drop_forgotten()
        return sorted((connection for _, connection in self._connections.values()), key=lambda known: known.id)

    def find(self, key: FlowKey) -> Reassembler | ClosedFlow | None:
        """The newest connection of a flow."""
        return self._flows.get(key) or self._closed.get(key)

    def next_number(self) -> int:
        """The next number of a connection."""
        self._opened += 1
        return self._opened - 1

    def open(self, key: FlowKey, batch: PacketBatch, row: int) -> Reassembler:
        """A new connection whose first packet is this row; `enter` puts it into the table."""
        source = batch.src_high.item(row), batch.src_low.item(row), batch.sport.item(row)
        target = batch.dst_high.item(row), batch.dst_low.item(row), batch.dport.item(row)
        by_client, how = guess_roles(source[2], target[2], batch.flags.item(row))
        client, server = (source, target) if by_client else (target, source)
        self.quotes.read(self, batch.frame.item(row))
        number, first = self.quotes.take(key) or (
            self.next_number(),
            Position(0, batch.frame.item(row), batch.time_ns.item(row), None),
        )
        connection = TcpConnection(
            number,
            Endpoint(address_text(*client[:2]), client[2]),
            Endpoint(address_text(*server[:2]), server[2]),
            how,
            first,
            on_forget=self._forgotten.append,
        )
        self._connections[connection.id] = key, connection
        return Reassembler(connection, client_side=int(client > server))

    def enter(self, key: FlowKey, reassembler: Reassembler) -> Iterator[tuple[TcpConnection, Event]]:
        """Make this the connection of its flow, and end the earlier one whose ports it reuses."""
        old = self._flows.get(key)
        self._flows[key] = reassembler
        self._closed.pop(key, None)
        if old is not None:
            yield from self._end(old)

    def watch_reset(self, time_ns: int, reassembler: Reassembler) -> None:
        """A RST comes next, sent at ``time_ns``: `expire` ends the connection some time later."""
        if not reassembler.was_reset:
            self._resets[reassembler] = time_ns
            self._resets.move_to_end(reassembler)

    def expire(self, time_ns: int) -> Iterator[tuple[TcpConnection, Event]]:
        """End the connections that were reset long enough before ``time_ns``."""
        while self._resets:
            reassembler, reset_at = next(iter(self._resets.items()))
            if reset_at + RESET_LINGER_NS >= time_ns:
                break
            del self._resets[reassembler]
            for event in reassembler.expire(time_ns):
                yield reassembler.connection, event

    def make_room(self) -> Iterator[tuple[TcpConnection, Event]]:
        """Above MAX_LIVE_CONNECTIONS, drop those silent the longest; their ``closed_by`` stays "open"."""
        excess = len(self._flows) - MAX_LIVE_CONNECTIONS
        if excess <= 0:
            return
        for key, reassembler in nsmallest(
            excess + MAX_LIVE_CONNECTIONS // 16, self._flows.items(), key=lambda item: item[1].connection.last_frame
        ):
            del self._flows[key]
            if reassembler.is_unanswered:
                self.unanswered += 1
                if len(self.unanswered_frames) < MAX_UNANSWERED_FRAMES:
                    self.unanswered_frames.append(reassembler.connection.first.frame)
                self._resets.pop(reassembler, None)
                del self._connections[reassembler.connection.id]
                continue
            yield from self._end(reassembler)

    def drop_forgotten(self) -> None:
        """Free the connections that their consumer has forgotten; keep only a ClosedFlow for each."""
        for connection in self._forgotten:
            if connection.id not in self._connections:  # forgotten twice
                continue
            key, _ = self._connections.pop(connection.id)
            reassembler = self._flows.get(key)
            if reassembler is not None and reassembler.connection is connection:
                del self._flows[key]
                self._resets.pop(reassembler, None)
                self._closed[key] = ClosedFlow(reassembler)
        self._forgotten.clear()
        if len(self._closed) > MAX_CLOSED_FLOWS:
            excess = len(self._closed) - MAX_CLOSED_FLOWS
            for key in list(islice(self._closed, excess + MAX_CLOSED_FLOWS // 16)):
                del self._closed[key]

    def finish(self) -> Iterator[tuple[TcpConnection, Event]]:
        """No more packets: end every connection."""
        for reassembler in sorted(self._flows.values(), key=lambda reassembler: reassembler.connection.id):
            yield from self._end(reassembler)
        self._flows.clear()
        self._closed.clear()
        self.unanswered_frames.extend(self.quotes.frames())

    def _end(self, reassembler: Reassembler) -> Iterator[tuple[TcpConnection, Event]]:
        self._resets.pop(reassembler, None)
        for event in reassembler.finish():
            yield reassembler.connection, event
