"""The reference path: the rows of a batch one by one, in capture order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.batch import ACK, RST, SYN
from easpcap.tcp.flows import end_of
from easpcap.tcp.table import ClosedFlow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.batch import PacketBatch
    from easpcap.tcp.connection import TcpConnection
    from easpcap.tcp.reassembler import Event
    from easpcap.tcp.table import FlowTable


def read_rows(table: FlowTable, batch: PacketBatch) -> Iterator[tuple[TcpConnection, Event]]:
    """The events of a batch, read row by row."""
    buffer = memoryview(batch.buffer)
    for row in range(len(batch)):
        source = end_of(batch.src_high.item(row), batch.src_low.item(row), batch.sport.item(row))
        target = end_of(batch.dst_high.item(row), batch.dst_low.item(row), batch.dport.item(row))
        key = (source, target) if source < target else (target, source)
        side = int(source > target)
        flags, seq, time_ns = batch.flags.item(row), batch.seq.item(row), batch.time_ns.item(row)
        reassembler = table.find(key)
        if reassembler is None or (flags & (SYN | ACK) == SYN and reassembler.first_number(side) not in (-1, seq)):
            reassembler = table.open(key, batch, row)
            yield from table.enter(key, reassembler)
        if isinstance(reassembler, ClosedFlow):
            reassembler.ignore(side, seq, flags)
            continue
        if flags & RST:
            table.watch_reset(time_ns, reassembler)
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
