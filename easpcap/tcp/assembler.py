"""Assembler: packets of all connections in, ordered bytes of each connection out."""

from __future__ import annotations

from collections import deque
from heapq import nsmallest
from typing import TYPE_CHECKING

from easpcap.batch import ACK, RST, SYN
from easpcap.limits import MAX_LIVE_CONNECTIONS, RESET_LINGER_NS
from easpcap.stream import Endpoint, Position
from easpcap.tcp.columnar import ColumnarPass
from easpcap.tcp.connection import TcpConnection, TcpFact, address_text, tell_roles
from easpcap.tcp.flows import end_of
from easpcap.tcp.reassembler import Event, Reassembler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.batch import PacketBatch
    from easpcap.tcp.flows import FlowKey

__all__ = ["Assembler", "Event", "TcpConnection", "TcpFact"]


class Assembler:
    """Feeds every packet to its connection and passes on what the connections tell, connection by connection.

    ``columnar`` False reads row by row and is the specification; True gives the same events, only with bytes that
    follow each other in fewer and longer pieces. Events of one connection come in causal order.
    """

    def __init__(self, *, columnar: bool = True) -> None:
        self._columnar = columnar
        self._flows: dict[FlowKey, Reassembler] = {}
        self._connections: dict[int, TcpConnection] = {}
        self._opened = 0
        self._resets: deque[tuple[int, Reassembler]] = deque()
        self.unanswered = 0  # connections dropped for lack of room of which nothing but SYNs was seen

    @property
    def connections(self) -> list[TcpConnection]:
        """All connections that have told anything or still may."""
        return list(self._connections.values())

    def feed(self, batch: PacketBatch) -> Iterator[tuple[TcpConnection, Event]]:
        """Read the next packets. To be consumed whole, and before the next batch is asked for."""
        if len(batch):
            yield from ColumnarPass(self, batch).events() if self._columnar else self._feed_rows(batch)
            yield from self._expire(int(batch.time_ns.max()))
            yield from self._make_room()

    def finish(self) -> Iterator[tuple[TcpConnection, Event]]:
        """No more packets: what is missing stays missing, and what has not ended ends with the capture."""
        for reassembler in sorted(self._flows.values(), key=lambda reassembler: reassembler.connection.id):
            for event in reassembler.finish():
                yield reassembler.connection, event
        self._flows.clear()
        self._resets.clear()

    # ------------------------------------------------------------------ connections

    def find(self, key: FlowKey) -> Reassembler | None:
        """The newest connection of a flow."""
        return self._flows.get(key)

    def open(self, batch: PacketBatch, row: int) -> Reassembler:
        """A connection begins with this row. It only takes its place in the flow by ``enter``."""
        source = batch.src_high.item(row), batch.src_low.item(row), batch.sport.item(row)
        target = batch.dst_high.item(row), batch.dst_low.item(row), batch.dport.item(row)
        by_client, how = tell_roles(source[2], target[2], batch.flags.item(row))
        client, server = (source, target) if by_client else (target, source)
        connection = TcpConnection(
            self._opened,
            Endpoint(address_text(*client[:2]), client[2]),
            Endpoint(address_text(*server[:2]), server[2]),
            how,
            Position(0, batch.frame.item(row), batch.time_ns.item(row), None),
        )
        self._opened += 1
        self._connections[connection.id] = connection
        return Reassembler(connection, client_side=int(client > server))

    def enter(self, key: FlowKey, reassembler: Reassembler) -> Iterator[tuple[TcpConnection, Event]]:
        """Make this the connection of its flow; the one before it, whose ports it uses, has ended."""
        old = self._flows.get(key)
        self._flows[key] = reassembler
        if old is not None:
            for event in old.finish():
                yield old.connection, event

    def watch_reset(self, time_ns: int, reassembler: Reassembler) -> None:
        """A RST was seen; some time later the connection can be closed for good."""
        self._resets.append((time_ns, reassembler))

    def _expire(self, time_ns: int) -> Iterator[tuple[TcpConnection, Event]]:
        while self._resets and self._resets[0][0] + RESET_LINGER_NS < time_ns:
            reassembler = self._resets.popleft()[1]
            for event in reassembler.expire(time_ns):
                yield reassembler.connection, event

    def _make_room(self) -> Iterator[tuple[TcpConnection, Event]]:
        """Above the limit the connections that have been silent the longest are closed as open."""
        excess = len(self._flows) - MAX_LIVE_CONNECTIONS
        if excess <= 0:
            return
        for key, reassembler in nsmallest(
            excess + MAX_LIVE_CONNECTIONS // 16, self._flows.items(), key=lambda item: item[1].connection.last_frame
        ):
            del self._flows[key]
            if reassembler.is_unanswered:
                self.unanswered += 1
                del self._connections[reassembler.connection.id]
                continue
            for event in reassembler.finish():
                yield reassembler.connection, event

    # ------------------------------------------------------------------ row by row

    def _feed_rows(self, batch: PacketBatch) -> Iterator[tuple[TcpConnection, Event]]:
        """The reference: every row by itself, in the order of the capture."""
        buffer = memoryview(batch.buffer)
        for row in range(len(batch)):
            source = end_of(batch.src_high.item(row), batch.src_low.item(row), batch.sport.item(row))
            target = end_of(batch.dst_high.item(row), batch.dst_low.item(row), batch.dport.item(row))
            key = (source, target) if source < target else (target, source)
            side = int(source > target)
            flags, seq, time_ns = batch.flags.item(row), batch.seq.item(row), batch.time_ns.item(row)
            reassembler = self._flows.get(key)
            if reassembler is None or (flags & (SYN | ACK) == SYN and reassembler.begins_anew(side, seq)):
                reassembler = self.open(batch, row)
                yield from self.enter(key, reassembler)
            if flags & RST:
                self.watch_reset(time_ns, reassembler)
            at, on_wire = batch.payload_at.item(row), batch.on_wire.item(row)
            payload = buffer[at : at + min(batch.captured.item(row), on_wire)]
            for event in reassembler.segment(
                side ^ reassembler.client_side,
                seq,
                batch.ack.item(row),
                flags,
                batch.window.item(row),
                payload,
                on_wire,
                batch.frame.item(row),
                time_ns,
            ):
                yield reassembler.connection, event
