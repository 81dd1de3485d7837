"""Assembler: packets of all connections in, ordered bytes of each connection out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.tcp.columnar import ColumnarPass
from easpcap.tcp.connection import TcpConnection, TcpFact
from easpcap.tcp.reassembler import Event
from easpcap.tcp.table import FlowTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from easpcap.batch import PacketBatch

__all__ = ["Assembler", "Event", "TcpConnection", "TcpFact"]


class Assembler:
    """Feeds every packet to its connection and yields the events of each connection in causal order.

    Call `TcpConnection.forget` when you are done with a connection that has ended: memory then holds only the open
    connections, not all that the capture contains. Late segments of a forgotten connection are ignored.

    ``columnar`` False reads row by row and is the specification. True yields the same events, except that consecutive
    bytes come in fewer and longer pieces.
    """

    def __init__(self, *, columnar: bool = True) -> None:
        self._columnar = columnar
        self._table = FlowTable()

    @property
    def connections(self) -> list[TcpConnection]:
        """All connections, by id, that have yielded events or still may, except the forgotten ones."""
        return self._table.connections

    @property
    def unanswered(self) -> int:
        """How many connections were dropped for lack of room of which only SYNs were seen."""
        return self._table.unanswered

    @property
    def unanswered_frames(self) -> Sequence[int]:
        """The frame of the first packet of each unanswered connection, at most MAX_UNANSWERED_FRAMES."""
        return self._table.unanswered_frames

    def feed(self, batch: PacketBatch) -> Iterator[tuple[TcpConnection, Event]]:
        """Read the next packets. Consume the iterator completely before the capture reads its next batch."""
        self._table.drop_forgotten()
        if len(batch):
            self._table.quotes.add(batch.quoted, self._table.find)
            yield from self._events(batch)
            yield from self._table.expire(int(batch.time_ns.max()))
            yield from self._table.make_room()

    def _events(self, batch: PacketBatch) -> Iterator[tuple[TcpConnection, Event]]:
        if self._columnar:
            return ColumnarPass(self._table, batch).events()
        from easpcap.tcp.rows import read_rows

        return read_rows(self._table, batch)

    def finish(self) -> Iterator[tuple[TcpConnection, Event]]:
        """No more packets: declare missing bytes as gaps, and end every direction that is still open."""
        self._table.drop_forgotten()
        return self._table.finish()
