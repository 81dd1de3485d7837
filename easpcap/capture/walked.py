"""Walked: the rows of packets that are not plain, found one packet at a time."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import numpy as np

from easpcap.batch import Quote
from easpcap.capture.internet import Carried
from easpcap.capture.layers.cursor import Cursor
from easpcap.capture.layers.walk import walk
from easpcap.capture.packets import LEAST_TCP

if TYPE_CHECKING:
    from easpcap.capture.fragments import Fragments
    from easpcap.capture.layers.cursor import Segment
    from easpcap.capture.packets import Packets, Skipped

#: Wireshark counts a connection that an ICMP error quotes if the quote reaches to the window (RFC 9293 section 3.1).
LEAST_QUOTE: Final = 16
PORTS: Final = struct.Struct(">HH")

#: One row of Carried: packet, offsets of TCP, its captured end and its end on the wire, addresses.
_Row = tuple[int, int, int, int, int, int, int, int]


class Walked:
    """The rows found, and the connections quoted. Rows may point into ``buffer`` beyond the given one."""

    def __init__(self, buffer: bytearray, packets: Packets, first_frame: int, fragments: Fragments) -> None:
        self._given = buffer
        self._packets = packets
        self._first_frame = first_frame
        self._fragments = fragments
        self._rows: list[_Row] = []
        self._datagrams: list[bytes] = []
        self._datagrams_at = int((packets.at + packets.captured).max())
        self.quoted: list[Quote] = []

    def read(self, rows: list[int], skipped: Skipped) -> None:
        """Walk the packets ``rows``; those without TCP are counted in ``skipped``."""
        packets = self._packets
        view = memoryview(self._given)
        for row in rows:
            at, size = packets.at.item(row), packets.captured.item(row)
            wire = max(packets.original.item(row), size)
            cursor = Cursor(view[at : at + size], wire, packets.time_ns.item(row), self._fragments)
            segments, reason = walk(cursor, packets.link_type.item(row))
            reasons = [self._keep(row, at, segment) for segment in segments] or [reason]
            if "" not in reasons:
                skipped.count(reasons[0], cursor.packets)
        for reason, count in self._fragments.take_lost():
            skipped.count(reason, count)

    def _keep(self, row: int, at: int, segment: Segment) -> str:
        """Make a row of the segment; return why it is none, "" where it is."""
        if segment.quoted:
            self._quote(row, at, segment)
            return "ICMP error"
        if segment.end - segment.at < LEAST_TCP:
            return "malformed" if segment.wire_end <= segment.end else "truncated before TCP"
        if segment.datagram is not None:
            at = self._datagrams_at
            self._datagrams.append(segment.datagram)
            self._datagrams_at += len(segment.datagram)
        offsets = (at + segment.at, at + segment.end, at + segment.wire_end)
        self._rows.append((row, *offsets, *segment.source, *segment.target))
        return ""

    def _quote(self, row: int, at: int, segment: Segment) -> None:
        if segment.end - segment.at >= LEAST_QUOTE:
            data, start = (self._given, at) if segment.datagram is None else (segment.datagram, 0)
            sport, dport = PORTS.unpack_from(data, start + segment.at)
            frame, time_ns = row + self._first_frame, self._packets.time_ns.item(row)
            self.quoted.append(Quote(frame, time_ns, (*segment.source, sport), (*segment.target, dport)))

    @property
    def buffer(self) -> bytearray:
        """The given buffer, or a copy of it with the reassembled datagrams after its packets."""
        if not self._datagrams:
            return self._given
        packets_end = self._datagrams_at - sum(map(len, self._datagrams))
        return self._given[:packets_end] + b"".join(self._datagrams)

    def carried(self) -> Carried:
        """The rows, in file order."""
        offsets = np.array([row[:4] for row in self._rows], np.int64).reshape(-1, 4).T
        addresses = np.array([row[4:] for row in self._rows], np.uint64).reshape(-1, 4).T
        return Carried(*offsets, *addresses)
