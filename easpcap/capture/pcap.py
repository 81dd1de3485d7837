"""pcap files and their variants (https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcap/).

The variants are those that Wireshark reads (its wiretap/libpcap.c): AIX, the modified ones of 1999, Nokia's and Ixia's.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from easpcap.capture.records import RecordFormat, RecordLayout, RecordScanner
from easpcap.capture.resync import prove

if TYPE_CHECKING:
    from easpcap.capture.packets import Packets
    from easpcap.capture.window import Window

MICROSECONDS, NANOSECONDS = 1000, 1


class Magic(NamedTuple):
    """What the first four bytes say."""

    order: str  # struct's sign
    fraction_ns: int
    record_headers: tuple[int, ...]  # bytes of a record's header: the usual size, then those of variants
    file_header: int = 24


#: After a header of 24 or 28 bytes come interface, protocol and packet type (patches of 1999); Nokia adds four bytes.
_STANDARD, _MODIFIED, _USUAL = (16, 24, 20), (24, 28), (16,)
PCAP_MAGICS: Final = {
    b"\xd4\xc3\xb2\xa1": Magic("<", MICROSECONDS, _STANDARD),
    b"\xa1\xb2\xc3\xd4": Magic(">", MICROSECONDS, _STANDARD),
    b"\x4d\x3c\xb2\xa1": Magic("<", NANOSECONDS, _USUAL),
    b"\xa1\xb2\x3c\x4d": Magic(">", NANOSECONDS, _USUAL),
    b"\x34\xcd\xb2\xa1": Magic("<", MICROSECONDS, _MODIFIED),
    b"\xa1\xb2\xcd\x34": Magic(">", MICROSECONDS, _MODIFIED),
    b"\xab\x01\x00\x1c": Magic("<", MICROSECONDS, _USUAL, 28),  # Ixia, in software
    b"\x1c\x00\x01\xab": Magic(">", MICROSECONDS, _USUAL, 28),
    b"\xac\x01\x00\x1c": Magic("<", NANOSECONDS, _USUAL, 28),  # Ixia, in hardware
    b"\x1c\x00\x01\xac": Magic(">", NANOSECONDS, _USUAL, 28),
}
FILE_HEADER_BYTES: Final = 24
#: AIX writes version 2.2, nanoseconds, and interface types of RFC 1573; here with the link types of libpcap.
AIX_LINK_TYPES: Final = {6: 1, 9: 6, 15: 10, 24: 0}
#: Before version 2.3 the length on the wire came first; DG/UX still has it so.
SWAPPED_BEFORE: Final = (2, 3)
DG_UX_VERSION: Final = 543
FIELDS: Final = ("seconds", "fraction", "captured", "original")
SWAPPED_FIELDS: Final = ("seconds", "fraction", "original", "captured")
#: The largest minor version, time zone and accuracy of a header that is looked for inside a file.
LIKELY_MINOR, LIKELY_ZONE_S, LIKELY_ACCURACY = 4, 86_400, 9


class PcapScanner(RecordScanner):
    """Finds the packets of a pcap file, whose first bytes are ``header``."""

    def __init__(self, header: bytes) -> None:
        magic = PCAP_MAGICS[header[:4]]
        super().__init__(_record_format(header, magic), magic.file_header)
        self._variants = magic.record_headers[1:] if _version(header, magic.order) == (2, 4) else ()

    @classmethod
    def open(cls, head: bytes) -> PcapScanner | None:
        """A scanner for a file that begins with ``head``; None where the file is not pcap."""
        return cls(head) if head[:4] in PCAP_MAGICS and len(head) >= FILE_HEADER_BYTES else None

    @classmethod
    def open_inside(cls, head: bytes) -> PcapScanner | None:
        """A scanner for a capture that begins with ``head`` inside a file: the fields of the header must be likely."""
        if head[:4] not in PCAP_MAGICS or len(head) < FILE_HEADER_BYTES:
            return None
        major, minor, zone, accuracy = struct.unpack_from(PCAP_MAGICS[head[:4]].order + "HHiI", head, 4)
        likely = major == 2 and minor <= LIKELY_MINOR  # the only major version
        return cls(head) if likely and abs(zone) <= LIKELY_ZONE_S and accuracy <= LIKELY_ACCURACY else None

    def scan(self, window: Window) -> Packets:
        """The next whole packets; moves ``window.start`` past them."""
        if self._variants and window.end - window.start > self._skip:
            self._choose_variant(window, window.start + self._skip)
            if self._variants and not window.idle:
                return self.no_packets()
        return super().scan(window)

    def _choose_variant(self, window: Window, first: int) -> None:
        """Take the longer record headers of a variant where the records prove them, and not the usual ones."""
        at = np.array([first], np.int64)
        records = [self._record, *(self._record._replace(header_bytes=size, step=size) for size in self._variants)]
        for record in records:
            found = prove(RecordLayout(record), window, at)
            if not found.final:
                return
            if found.place is not None:
                self._set_record(record)
                break
        self._variants = ()


def _version(header: bytes, order: str) -> tuple[int, int]:
    major, minor = struct.unpack_from(order + "HH", header, 4)
    return major, minor


def _record_format(header: bytes, magic: Magic) -> RecordFormat:
    """The layout of the records after ``header``."""
    version = _version(header, magic.order)
    link_type = struct.unpack_from(magic.order + "I", header, 20)[0]
    size = magic.record_headers[0]
    if version == (2, 2) and magic.record_headers is _STANDARD and link_type in AIX_LINK_TYPES:
        return RecordFormat(magic.order, FIELDS, size, 8, size, NANOSECONDS, AIX_LINK_TYPES[link_type])
    swapped = version < SWAPPED_BEFORE or version[0] == DG_UX_VERSION
    fields, size_at = (SWAPPED_FIELDS, 12) if swapped else (FIELDS, 8)
    # The upper half of the field describes frame check sequences, which the IP length excludes anyway.
    return RecordFormat(magic.order, fields, size, size_at, size, magic.fraction_ns, link_type & 0xFFFF)
