"""snoop files, as Solaris writes them (RFC 1761)."""

from __future__ import annotations

import struct
from typing import Final

from easpcap.capture.packets import UNKNOWN_LINK_TYPE
from easpcap.capture.records import RecordFormat, RecordScanner

SNOOP_MAGIC: Final = b"snoop\0\0\0"
FILE_HEADER_BYTES: Final = 16
VERSION: Final = 2
MICROSECONDS: Final = 1000
#: The data links (https://www.iana.org/assignments/snoop-datalink-types) with the link types of libpcap.
LINK_TYPES: Final = {0: 1, 2: 6, 4: 1, 8: 10, 26: 242}
FIELDS: Final = ("original", "captured", "size", "drops", "seconds", "fraction")


class SnoopScanner(RecordScanner):
    """Finds the packets of a snoop file, whose first bytes are ``header``."""

    def __init__(self, header: bytes) -> None:
        link_type = LINK_TYPES.get(struct.unpack_from(">I", header, 12)[0], UNKNOWN_LINK_TYPE)
        super().__init__(RecordFormat(">", FIELDS, 24, 8, 0, MICROSECONDS, link_type), FILE_HEADER_BYTES)

    @classmethod
    def open(cls, head: bytes) -> SnoopScanner | None:
        """A scanner for a file that begins with ``head``; None where the file is not snoop."""
        if not head.startswith(SNOOP_MAGIC) or len(head) < FILE_HEADER_BYTES:
            return None
        return cls(head) if struct.unpack_from(">I", head, 8)[0] == VERSION else None
