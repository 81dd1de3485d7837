"""Batches as plain rows, to be compared with what a test put on the wire."""

from __future__ import annotations

import io
import ipaddress
from typing import TYPE_CHECKING, Any, NamedTuple

from easpcap.capture import Capture, open_capture

if TYPE_CHECKING:
    from easpcap.batch import PacketBatch


class Row(NamedTuple):
    frame: int
    time_ns: int
    src: str
    dst: str
    sport: int
    dport: int
    seq: int
    ack: int
    flags: int
    window: int
    payload: bytes
    on_wire: int


def address(high: int, low: int) -> str:
    """The address that two columns stand for, in text."""
    value = ipaddress.IPv6Address(high << 64 | low)
    return str(value.ipv4_mapped or value)


def rows_of(batch: PacketBatch) -> list[Row]:
    """Every row of a batch, its payload copied."""
    columns: list[Any] = [
        getattr(batch, name).tolist() for name in batch.__slots__ if name not in {"buffer", "options"}
    ]
    rows = []
    for frame, time, sh, sl, dh, dl, sport, dport, seq, ack, flags, window, at, captured, wire in zip(
        *columns, strict=True
    ):
        payload = bytes(batch.buffer[at : at + captured])
        assert len(payload) == captured <= wire
        rows.append(
            Row(frame, time, address(sh, sl), address(dh, dl), sport, dport, seq, ack, flags, window, payload, wire)
        )
    return rows


def read(data: bytes, **options: int) -> tuple[Capture, list[Row]]:
    """A capture of these bytes, read to its end, and its rows."""
    capture = open_capture(io.BytesIO(data), **{"window_bytes": 2**16, **options})
    rows = [row for batch in capture for row in rows_of(batch)]
    return capture, rows
