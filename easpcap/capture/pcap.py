"""pcap files: record headers -> Packets (https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcap/)."""

from __future__ import annotations

import struct
from itertools import repeat
from typing import TYPE_CHECKING, Final

import numpy as np

from easpcap.capture.chains import follow_chains
from easpcap.capture.packets import BATCH_PACKETS, Packets, gather
from easpcap.limits import MAX_PACKET_BYTES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from easpcap.capture.window import Window

#: For each magic: the byte-order sign of struct, nanoseconds per unit of the fraction, bytes of a record header.
PCAP_MAGICS: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000, 16),
    b"\xa1\xb2\xc3\xd4": (">", 1000, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1, 16),
    b"\x34\xcd\xb2\xa1": ("<", 1000, 24),  # Kuznetzov's pcap: interface, protocol and packet type follow each header
    b"\xa1\xb2\xcd\x34": (">", 1000, 24),
}
FILE_HEADER_BYTES: Final = 24
SECOND: Final = 10**9


class PcapScanner:
    """Finds the packets of a pcap file, whose first bytes are ``header``."""

    def __init__(self, header: bytes) -> None:
        self._order, self._unit, self._header_bytes = PCAP_MAGICS[header[:4]]
        order = self._order
        # The upper half of the field describes frame check sequences, which the IP length excludes anyway.
        self._link_type = struct.unpack_from(order + "I", header, 20)[0] & 0xFFFF
        self._size = struct.Struct(order + "I")
        self._record = np.dtype([(name, order + "u4") for name in ("seconds", "fraction", "captured", "original")])
        self._header_seen = False
        self.link_types = [self._link_type]
        self.secrets: list[bytes] = []  # pcap cannot contain any
        self.damage = ""

    @classmethod
    def open(cls, head: bytes) -> PcapScanner | None:
        """A scanner for a file that begins with ``head``; None where the file is not pcap."""
        return cls(head) if head[:4] in PCAP_MAGICS and len(head) >= FILE_HEADER_BYTES else None

    def scan(self, window: Window) -> Packets:
        """The next whole packets; moves ``window.start`` past them."""
        if not self._header_seen and window.end >= FILE_HEADER_BYTES:
            self._header_seen = True
            window.start += FILE_HEADER_BYTES
        headers = self._offsets(window)
        record = gather(window.buffer, headers, self._record)
        times = record["seconds"].astype(np.int64) * SECOND + record["fraction"].astype(np.int64) * self._unit
        return Packets(
            at=headers + self._header_bytes,
            captured=record["captured"].astype(np.int64),
            original=record["original"].astype(np.int64),
            time_ns=times,
            link_type=np.broadcast_to(np.int64(self._link_type), headers.shape),
        )

    def _offsets(self, window: Window) -> NDArray[np.int64]:
        """The offsets of the record headers of whole packets."""
        if not self._header_seen:
            return np.empty(0, np.int64)
        chained, after = follow_chains(window.buffer, window.start, window.end, self._order, self._header_bytes)
        if len(chained) > BATCH_PACKETS:
            after = int(chained[BATCH_PACKETS])
            chained = chained[:BATCH_PACKETS]
        window.start = after
        return np.append(chained, np.array(self._one_by_one(window, BATCH_PACKETS - len(chained)), np.int64))

    def _one_by_one(self, window: Window, most: int) -> list[int]:
        """The offsets of at most ``most`` further headers, read one by one. Hot: reads only the packet sizes."""
        buffer, position, end = window.buffer, window.start, window.end
        header, last, unpack = self._header_bytes, window.end - self._header_bytes, self._size.unpack_from
        offsets: list[int] = []
        append = offsets.append
        for _ in repeat(None, most):
            if position > last:
                break
            after = position + header + unpack(buffer, position + 8)[0]
            if after > end:
                if after - position - header > MAX_PACKET_BYTES:
                    self.damage = f"a packet claims {after - position - header} bytes"
                break
            append(position)
            position = after
        window.start = position
        return offsets
