"""Captures of rarer formats made by hand; packets are given as in `tests.support.packets`."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from tests.support.packets import ETHERNET, timed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.support.packets import Packet

FILETIME_OF_1970 = 116_444_736_000_000_000


def pcap_variant(
    packets: Iterable[Packet],
    *,
    magic: int = 0xA1B2C3D4,
    version: tuple[int, int] = (2, 4),
    link_type: int = ETHERNET,
    order: str = "<",
    fraction_ns: int = 1000,
    extra_header: bytes = b"",
    extra: bytes = b"",
    swapped: bool = False,
) -> bytes:
    """A pcap file of another kind; ``extra`` follows each record header, ``extra_header`` that of the file."""
    pieces = [struct.pack(order + "IHHiIII", magic, *version, 0, 0, 65535, link_type) + extra_header]
    for time_ns, data, wire in timed(packets):
        seconds, rest = divmod(time_ns, 10**9)
        lengths = (wire, len(data)) if swapped else (len(data), wire)
        pieces.append(struct.pack(order + "IIII", seconds, rest // fraction_ns, *lengths) + extra + data)
    return b"".join(pieces)


def snoop_bytes(packets: Iterable[Packet], *, link_type: int = 4, padding: int = 4) -> bytes:
    """A snoop file; records are padded to a multiple of ``padding``."""
    pieces = [b"snoop\0\0\0" + struct.pack(">II", 2, link_type)]
    for time_ns, data, wire in timed(packets):
        body = data + bytes(-len(data) % padding)
        seconds, rest = divmod(time_ns, 10**9)
        pieces.append(struct.pack(">IIIIII", wire, len(data), 24 + len(body), 7, seconds, rest // 1000) + body)
    return b"".join(pieces)


class NetmonFrame(NamedTuple):
    """A frame of Network Monitor: its network type, and what is stored before it by mistake."""

    packet: Packet
    network: int = 1
    hole: bytes = b""


def netmon_bytes(
    frames: Sequence[Packet | NetmonFrame],
    *,
    version: tuple[int, int] = (2, 3),
    start: datetime = datetime(2010, 11, 15, 22, 47, 1, 250_000, tzinfo=UTC),
    table: Sequence[int] | None = None,
    network: int = 1,
    header_bytes: int = 128,
) -> bytes:
    """A Network Monitor file; ``table`` gives the order of the frames in the frame table."""
    body, places = b"", []
    start_ns = int(start.timestamp()) * 10**9 + start.microsecond * 1000
    all_frames = [frame if isinstance(frame, NetmonFrame) else NetmonFrame(frame) for frame in frames]
    for frame, (time_ns, data, wire) in zip(all_frames, timed(frame.packet for frame in all_frames), strict=True):
        body += frame.hole
        places.append(header_bytes + len(body))
        body += netmon_frame(time_ns - start_ns, time_ns, data, wire, version, frame.network)
    entries = b"".join(struct.pack("<I", places[number]) for number in (table or range(len(places))))
    milliseconds = start.microsecond // 1000
    clock = (start.year, start.month, start.isoweekday() % 7, start.day, start.hour, start.minute, start.second)
    head = (b"RTSS" if version[0] == 1 else b"GMBU") + bytes((version[1], version[0])) + struct.pack("<H", network)
    head += struct.pack("<8H", *clock, milliseconds) + struct.pack("<II", header_bytes + len(body), len(entries))
    return head.ljust(header_bytes, b"\0") + body + entries


def netmon_frame(delta_ns: int, time_ns: int, data: bytes, wire: int, version: tuple[int, int], network: int) -> bytes:
    """One frame with its header and trailer."""
    if version[0] == 1:
        return struct.pack("<IHH", delta_ns // 10**6, wire, len(data)) + data
    # A negative time is one whose ten-fold overflows 64 bits.
    delta = delta_ns // 1000 if delta_ns >= 0 else (2**64 + delta_ns // 100) // 10
    trailer = struct.pack("<HIQB", network, 0, time_ns // 100 + FILETIME_OF_1970, 0)
    return struct.pack("<QII", delta, wire, len(data)) + data + trailer[: (0, 2, 6, 15)[version[1]]]
