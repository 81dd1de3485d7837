"""IEEE 802.11 data frames, and the headers that capture programs put before them."""

from __future__ import annotations

import struct
from typing import Final

from easpcap.capture.layers.cursor import LINK, LLC, Cursor, Next, Unread
from easpcap.limits import MAX_HEADERS, MAX_SUBFRAMES

DOT11: Final[Next] = (LINK, 105)

#: Bits of the two bytes of frame control.
KIND, DATA, WITHOUT_DATA, QOS = 0x0C, 0x08, 0x40, 0x80
BOTH_DS, MORE_FRAGMENTS, PROTECTED, ORDER = 0x03, 0x04, 0x40, 0x80
A_MSDU: Final = 0x80

#: Bits of radiotap: the first two of "present", and one of the flags field.
TSFT, FLAGS, PADDED = 0x01, 0x02, 0x20
#: In the last byte of each word of "present".
MORE_PRESENT: Final = 0x80
AVS_MAGIC: Final = 0x80211000


def dot11(cursor: Cursor, *, padded: bool = False) -> Next:
    """A data frame, if it is not encrypted. ``padded``: the header is filled up to a multiple of four bytes."""
    kind, flags = cursor.u8(0), cursor.u8(1)
    if kind & KIND != DATA or kind & WITHOUT_DATA:
        raise Unread("not IP")
    cursor.tunnel = "IEEE 802.11"
    if flags & PROTECTED:
        cursor.give_up("encrypted")
    if flags & MORE_FRAGMENTS or cursor.u8(22) & 0x0F:
        cursor.give_up("fragment")
    size = 24 + (6 if flags & BOTH_DS == BOTH_DS else 0)  # a fourth address between access points
    aggregated = False
    if kind & QOS:
        aggregated = bool(cursor.u8(size) & A_MSDU)
        size += 2 + (4 if flags & ORDER else 0)
    cursor.skip(size + 3 & ~3 if padded else size)
    return _subframes(cursor) if aggregated else LLC


def _subframes(cursor: Cursor) -> Next:
    """An A-MSDU (IEEE 802.11 section 9.3.2.2): subframes of two addresses, a length and LLC, at multiples of four."""
    start = cursor.at
    at = start
    contents: list[tuple[Cursor, Next]] = []
    while at + 14 < len(cursor.data) and len(contents) + len(cursor.branches) < MAX_SUBFRAMES:
        size = int.from_bytes(cursor.data[at + 12 : at + 14], "big")
        contents.append((cursor.branch(at + 14, size), LLC))
        at += 14 + size
        at += -(at - start) % 4
    cursor.branches += contents[1:]
    cursor.skip(14)
    cursor.bound(cursor.u16(-2))
    return LLC


def radiotap(cursor: Cursor) -> Next:
    """https://www.radiotap.org: a header with its length; its flags say whether the next one is padded."""
    size, present = struct.unpack_from("<HI", cursor.data, cursor.at + 2)
    at = 8
    while cursor.u8(at - 1) & MORE_PRESENT and at < 4 * MAX_HEADERS:
        at += 4
    padded = False
    if present & FLAGS:
        if present & TSFT:
            at = (at + 7 & ~7) + 8
        padded = bool(cursor.u8(at) & PADDED)
    cursor.skip(size)
    return dot11(cursor, padded=padded)


def prism(cursor: Cursor) -> Next:
    """A Prism header with its length in the byte order of the host, or an AVS header."""
    if cursor.u32(0) & 0xFFFFF000 == AVS_MAGIC:
        return avs(cursor)
    order = "<" if cursor.u8(0) else ">"
    cursor.skip(struct.unpack_from(order + "I", cursor.data, cursor.at + 4)[0])
    return DOT11


def avs(cursor: Cursor) -> Next:
    """An AVS header, which has its length after a magic number."""
    cursor.skip(cursor.u32(4))
    return DOT11
