"""The reference path: the rows of a batch one by one, in capture order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.tcp.segment import segment_columns, segment_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.batch import PacketBatch
    from easpcap.tcp.connection import TcpConnection
    from easpcap.tcp.reassembler import Event
    from easpcap.tcp.table import FlowTable


def read_rows(table: FlowTable, batch: PacketBatch) -> Iterator[tuple[TcpConnection, Event]]:
    """The events of a batch, read row by row."""
    buffer, columns = memoryview(batch.buffer), segment_columns(batch)
    for row in range(len(batch)):
        segment = segment_of(columns, row, buffer)
        yield from table.read(segment.key, segment)
