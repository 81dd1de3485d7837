"""Network Monitor captures, versions 1.x and 2.x, converted to pcapng as they are read.

A table says where each frame is: not always in order, and with holes between frames. Where the file is cut and its
table missing, the frames are read one after the other. Times before version 2.3 are the local time of the capturing
machine, without its zone; here they count as UTC, and `NetmonStream.local_time` says so.
"""

from __future__ import annotations

import io
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from easpcap.capture.packets import UNKNOWN_LINK_TYPE
from easpcap.capture.source import MAGIC_BYTES
from easpcap.errors import CaptureError
from easpcap.limits import MAX_LIKELY_PACKET_BYTES, MAX_NETMON_FRAMES, MAX_NETMON_PIPE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from easpcap.capture.source import Source, Stream

MAGICS: Final = {b"RTSS": 1, b"GMBU": 2}
#: The file header; Network Monitor 3 writes 72 bytes of it, other programs 128.
FILE_HEADER_BYTES: Final = 72
FIRST_FRAMES: Final = (128, 72)
#: Bytes before a frame, and after it by minor version of 2.x.
FRAME_HEADERS: Final = {1: struct.Struct("<IHH"), 2: struct.Struct("<QII")}
TRAILERS: Final = (0, 2, 6, 15)
NS_PER_MS: Final = 10**6
#: FILETIME counts 100 ns since 1601.
FILETIME_OF_1970: Final = 116_444_736_000_000_000
FILETIME_AT: Final = 6

#: Network types with the link types of pcap; 6 is 802.11 after a header of Network Monitor's.
LINK_TYPES: Final = {0: 1, 1: 1, 2: 6, 3: 10, 6: 105, 8: 101, 9: 101, 10: 101}
WIFI: Final = 6
PCAP_TYPES: Final = range(0xE000, 0xE080)
#: What Network Monitor and Wireshark do not number as frames: payload header, network information, DNS cache.
NO_FRAMES: Final = frozenset({0xFFFC, 0xFFFD, 0xFFFE})
#: Frames in which no packet is: an event, adapters, a filter.
NO_PACKETS: Final = frozenset({0xFFE0, 0xFFFB, 0xFFFF})

SECTION: Final = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
#: An interface with times in nanoseconds (if_tsresol 9).
INTERFACE: Final = struct.Struct("<IIHHIHHB3xII")
PACKET: Final = struct.Struct("<IIIIIII")
#: A custom block: a frame without a packet.
CUSTOM: Final = struct.pack("<IIII", 0xBAD, 16, 0, 16)
NO_INTERFACE: Final = 2**32 - 1
PIECE_BYTES: Final = 64 * 2**10


class Frame(NamedTuple):
    """One frame as stored."""

    network: int
    time_ns: int
    original: int
    data: bytes
    following: int  # where the next frame is, if there is no table


class NetmonStream:
    """A Network Monitor capture as pcapng. Raises CaptureError where a pipe brings more than can be held."""

    def __init__(self, inner: Stream, source: Source) -> None:
        self._inner = inner
        self._file = _random_access(inner, source)
        header = self._file.read(FILE_HEADER_BYTES)
        self._damage = "the file ends inside its header" if len(header) < FILE_HEADER_BYTES else ""
        header = header.ljust(FILE_HEADER_BYTES, b"\0")
        self._major = MAGICS[header[:4]]
        minor = header[4] if self._major > 1 else 0
        self._trailer = TRAILERS[min(minor, len(TRAILERS) - 1)]
        self._network = struct.unpack_from("<H", header, 6)[0]
        self._start_ns = _system_time(header)
        self._table, self._table_bytes = struct.unpack_from("<II", header, 24)
        self.local_time = self._trailer < TRAILERS[-1]
        self._interfaces: dict[int, int] = {}
        self._pieces = self._convert()
        self._front = b""

    @property
    def damage(self) -> str:
        """What is wrong with the file; empty where nothing is."""
        return self._damage or self._inner.damage

    def peek(self) -> bytes:
        """The first bytes; they can still be read."""
        self._fill(MAGIC_BYTES)
        return self._front

    def read_into(self, view: memoryview) -> int:
        """Fill ``view``; return the bytes read: 0 only at the end."""
        self._fill(len(view))
        size = min(len(self._front), len(view))
        view[:size] = self._front[:size]
        self._front = self._front[size:]
        return size

    def begin_window(self) -> None:
        """See `Stream`."""
        self._inner.begin_window()

    def more_comes(self) -> bool:
        """See `Stream`."""
        return True

    def close(self) -> None:
        """See `Stream`."""
        self._file.close()
        self._inner.close()

    def _fill(self, size: int) -> None:
        pieces = [self._front]
        have = len(self._front)
        while have < size and (piece := next(self._pieces, b"")):
            pieces.append(piece)
            have += len(piece)
        self._front = b"".join(pieces)

    def _convert(self) -> Iterator[bytes]:
        """Pcapng blocks."""
        yield SECTION
        unreadable = 0
        for place in self._places():
            frame = self._frame(place)
            if frame is None:
                unreadable += 1
            elif frame.network in NO_PACKETS:
                yield CUSTOM
            elif frame.network not in NO_FRAMES:
                yield self._block(frame)
        if unreadable:
            self._damage = f"{unreadable:,} frames of the frame table are outside the file or impossible"

    def _places(self) -> Iterator[int]:
        """Where the frames are."""
        table = b""
        if self._table >= FILE_HEADER_BYTES and 0 < self._table_bytes <= 4 * MAX_NETMON_FRAMES:
            self._file.seek(self._table)
            table = self._file.read(self._table_bytes)
        if self._table_bytes and len(table) == self._table_bytes:
            yield from np.frombuffer(table[: len(table) // 4 * 4], "<u4").tolist()
        else:
            yield from self._places_without_table()

    def _places_without_table(self) -> Iterator[int]:
        """Frame after frame, as long as whole ones follow each other."""
        place = first = self._first_place()
        while (frame := self._frame(place)) is not None:
            yield place
            place = frame.following
        if self._table_bytes or place > first:
            self._damage = "the table of the frames is missing or cut; whole frames were read one after the other"

    def _first_place(self) -> int:
        """Where the frames begin in a file without a table: where one is followed by another."""
        for place in FIRST_FRAMES:
            frame = self._frame(place)
            if frame is not None and frame.original and self._frame(frame.following) is not None:
                return place
        return FIRST_FRAMES[0]

    def _frame(self, place: int) -> Frame | None:
        """The frame at ``place``; None where it is not whole."""
        head = FRAME_HEADERS[self._major]
        self._file.seek(place)
        fields = self._file.read(head.size)
        if place < FILE_HEADER_BYTES or len(fields) < head.size:
            return None
        delta, original, captured = head.unpack(fields)
        if captured > MAX_LIKELY_PACKET_BYTES:
            return None
        stored = self._file.read(captured + self._trailer)
        if len(stored) < captured + self._trailer:
            return None
        following = place + head.size + len(stored)
        return self._dated(stored[:captured], stored[captured:], delta, original, following)

    def _dated(self, data: bytes, trailer: bytes, delta: int, original: int, following: int) -> Frame:
        network = struct.unpack_from("<H", trailer)[0] if trailer else self._network
        if len(trailer) == TRAILERS[-1]:
            time_ns = (struct.unpack_from("<Q", trailer, FILETIME_AT)[0] - FILETIME_OF_1970) * 100
        elif self._major == 1:
            time_ns = self._start_ns + delta * NS_PER_MS
        else:  # microseconds, times ten in 64 bits, and then signed: frames may be older than the capture
            tenths = delta * 10 & 2**64 - 1
            time_ns = self._start_ns + (tenths - 2**64 if tenths >> 63 else tenths) * 100
        return Frame(network, time_ns, original, data, following)

    def _block(self, frame: Frame) -> bytes:
        """An enhanced packet block, after an interface block where the link type is new."""
        link_type, data, original = _link(frame)
        before = b""
        if link_type == UNKNOWN_LINK_TYPE:
            interface, ticks = NO_INTERFACE, frame.time_ns // 1000  # of an unknown interface: microseconds
        else:
            if link_type not in self._interfaces:
                self._interfaces[link_type] = len(self._interfaces)
                before = INTERFACE.pack(1, 32, link_type, 0, 0, 9, 1, 9, 0, 32)
            interface, ticks = self._interfaces[link_type], frame.time_ns
        ticks &= 2**64 - 1
        padding = bytes(-len(data) % 4)
        size = PACKET.size + len(data) + len(padding) + 4
        head = PACKET.pack(6, size, interface, ticks >> 32, ticks & 2**32 - 1, len(data), original)
        return before + head + data + padding + struct.pack("<I", size)


def _link(frame: Frame) -> tuple[int, bytes, int]:
    """The link type of pcap, the packet, and its length on the wire."""
    if frame.network in PCAP_TYPES:
        return frame.network - PCAP_TYPES.start, frame.data, frame.original
    link_type = LINK_TYPES.get(frame.network, UNKNOWN_LINK_TYPE)
    if frame.network == WIFI and len(frame.data) >= 3:
        header = struct.unpack_from("<H", frame.data, 1)[0]
        return link_type, frame.data[header:], max(frame.original - header, 0)
    return link_type, frame.data, frame.original


def _system_time(header: bytes) -> int:
    """Nanoseconds since 1970 of the SYSTEMTIME in the file header; 0 where it is no date."""
    year, month, _, day, hour, minute, second, milliseconds = struct.unpack_from("<8H", header, 8)
    try:
        start = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return 0
    return int(start.timestamp()) * 10**9 + int(milliseconds) * NS_PER_MS


def _random_access(inner: Stream, source: Source) -> BinaryIO:
    """A file to read at any place: the stored one where it is a plain file, else its bytes in memory."""
    if inner is source and source.reopenable:
        return Path(source.path).open("rb")
    data = bytearray()
    view = memoryview(bytearray(PIECE_BYTES))
    while size := inner.read_into(view):
        data += view[:size]
        inner.begin_window()
        if len(data) > MAX_NETMON_PIPE_BYTES:
            most = MAX_NETMON_PIPE_BYTES >> 20
            msg = f"{source.path}: a Network Monitor capture of more than {most} MiB cannot be read from a pipe or "
            msg += "compressed; store it uncompressed in a file and give that"
            raise CaptureError(msg)
    return io.BytesIO(bytes(data))
