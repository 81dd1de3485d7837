"""FlowTable: the connection of every flow. Both ways of reading a batch, by columns and by rows, work on it."""

from __future__ import annotations

from collections import deque
from heapq import nsmallest
from typing import TYPE_CHECKING

from easpcap.limits import MAX_LIVE_CONNECTIONS, RESET_LINGER_NS
from easpcap.stream import Endpoint, Position
from easpcap.tcp.connection import TcpConnection, address_text, guess_roles
from easpcap.tcp.reassembler import Reassembler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.batch import PacketBatch
    from easpcap.tcp.flows import FlowKey
    from easpcap.tcp.reassembler import Event


class FlowTable:
    """Finds, opens and closes connections. ``unanswered`` counts those dropped of which only SYNs were seen."""

    def __init__(self) -> None:
        self._flows: dict[FlowKey, Reassembler] = {}
        self._connections: dict[int, TcpConnection] = {}
        self._opened = 0
        self._resets: deque[tuple[int, Reassembler]] = deque()
        self.unanswered = 0

    @property
    def connections(self) -> list[TcpConnection]:
        """All connections that have yielded events or still may."""
        return list(self._connections.values())

    def find(self, key: FlowKey) -> Reassembler | None:
        """The newest connection of a flow."""
        return self._flows.get(key)

    def open(self, batch: PacketBatch, row: int) -> Reassembler:
        """A new connection whose first packet is this row; `enter` puts it into the table."""
        source = batch.src_high.item(row), batch.src_low.item(row), batch.sport.item(row)
        target = batch.dst_high.item(row), batch.dst_low.item(row), batch.dport.item(row)
        by_client, how = guess_roles(source[2], target[2], batch.flags.item(row))
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
        """Make this the connection of its flow, and end the one before it, whose ports it reuses."""
        old = self._flows.get(key)
        self._flows[key] = reassembler
        if old is not None:
            for event in old.finish():
                yield old.connection, event

    def watch_reset(self, time_ns: int, reassembler: Reassembler) -> None:
        """A RST was seen at ``time_ns``: `expire` ends the connection some time later."""
        self._resets.append((time_ns, reassembler))

    def expire(self, time_ns: int) -> Iterator[tuple[TcpConnection, Event]]:
        """End the connections that were reset long enough before ``time_ns``."""
        while self._resets and self._resets[0][0] + RESET_LINGER_NS < time_ns:
            reassembler = self._resets.popleft()[1]
            for event in reassembler.expire(time_ns):
                yield reassembler.connection, event

    def make_room(self) -> Iterator[tuple[TcpConnection, Event]]:
        """Above the limit, close the connections that have been silent the longest, as open."""
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

    def finish(self) -> Iterator[tuple[TcpConnection, Event]]:
        """No more packets: end every connection."""
        for reassembler in sorted(self._flows.values(), key=lambda reassembler: reassembler.connection.id):
            for event in reassembler.finish():
                yield reassembler.connection, event
        self._flows.clear()
        self._resets.clear()
