"""Packets -> PacketBatch: reads all headers of a window at once; each packet that carries TCP becomes a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from easpcap.batch import PacketBatch
from easpcap.capture.internet import Carried, find_tcp
from easpcap.capture.link import locate_ip
from easpcap.capture.packets import count_lost, gather

if TYPE_CHECKING:
    from collections import Counter

    from easpcap.capture.packets import Packets

#: RFC 9293 section 3.1, up to the window. Checksums are not read: with checksum offload a sender captures wrong ones.
TCP_HEADER: Final = np.dtype(
    [("sport", ">u2"), ("dport", ">u2"), ("seq", ">u4"), ("ack", ">u4"),
     ("size", "u1"), ("flags", "u1"), ("window", ">u2")]
)  # fmt: skip
LEAST_TCP: Final = 20


def decode(buffer: bytearray, packets: Packets, first_frame: int, ignored: Counter[str]) -> PacketBatch | None:
    """The TCP rows of ``packets``, the first of which is ``first_frame``; None where there are none.

    Packets that yield no row are counted in ``ignored`` by reason.
    """
    groups = [
        carried for located in locate_ip(buffer, packets, ignored) for carried in find_tcp(buffer, located, ignored)
    ]
    if not groups:
        return None
    carried = groups[0] if len(groups) == 1 else _merge(groups)
    whole = carried.tcp_at + LEAST_TCP <= carried.end
    if count_lost(ignored, "malformed", whole):
        carried = carried.where(whole)
    return _batch(buffer, packets, carried, first_frame, ignored)


def _merge(groups: list[Carried]) -> Carried:
    """Join the rows of several link types and IP versions in file order."""
    columns = [np.concatenate(columns) for columns in zip(*groups, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return Carried(*(column[order] for column in columns))


def _batch(
    buffer: bytearray, packets: Packets, carried: Carried, first_frame: int, ignored: Counter[str]
) -> PacketBatch | None:
    header = gather(buffer, carried.tcp_at, TCP_HEADER)
    header_bytes = (header["size"] >> 4).astype(np.int64) * 4
    sound = (header_bytes >= LEAST_TCP) & (carried.tcp_at + header_bytes <= carried.wire_end)
    if count_lost(ignored, "malformed", sound):
        carried, header, header_bytes = carried.where(sound), header[sound], header_bytes[sound]
    if not len(header):
        return None
    payload_at = carried.tcp_at + header_bytes
    on_wire = carried.wire_end - payload_at
    options = np.where(payload_at <= carried.end, header_bytes - LEAST_TCP, -1).astype(np.int8)
    payload_at = np.minimum(payload_at, carried.end)
    return PacketBatch(
        buffer=buffer,
        frame=carried.row + first_frame,
        time_ns=packets.time_ns[carried.row],
        src_high=carried.src_high,
        src_low=carried.src_low,
        dst_high=carried.dst_high,
        dst_low=carried.dst_low,
        sport=header["sport"].astype(np.uint16),
        dport=header["dport"].astype(np.uint16),
        seq=header["seq"].astype(np.uint32),
        ack=header["ack"].astype(np.uint32),
        flags=header["flags"].copy(),
        window=header["window"].astype(np.uint16),
        options=options,
        payload_at=payload_at,
        captured=np.minimum(carried.end - payload_at, on_wire),
        on_wire=on_wire,
    )
