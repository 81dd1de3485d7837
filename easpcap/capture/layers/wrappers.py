"""Headers of systems and capture programs, which say in their own way which link layer or packet follows."""

from __future__ import annotations

import struct
from typing import Final

from easpcap.capture.layers.cursor import ETHERNET, IP, LINK, Cursor, Next, Unread

PKTAP_PACKET: Final = 1
#: The shortest PKTAP header; later versions are longer, and all begin with their length.
LEAST_PKTAP: Final = 12
#: AF_INET of all systems, and AF_INET6 of Linux, NetBSD, FreeBSD and macOS.
IP_FAMILIES: Final = {2, 10, 24, 28, 30}
JUNIPER_MAGIC: Final = b"MGC"
JUNIPER_WITHOUT_FRAME, JUNIPER_EXTENSIONS = 0x02, 0x80
NFLOG_PAYLOAD: Final = 9
NFLOG_VALUES: Final = 64
NFLOG_FAMILIES: Final = {2, 10}  # AF_INET and AF_INET6 of Linux


def pktap(cursor: Cursor) -> Next:
    """Apple's header, in the byte order of the host: length, record type, link type of what follows."""
    order = "<" if struct.unpack_from("<I", cursor.data, cursor.at)[0] < 2**16 else ">"
    size, kind, link_type = struct.unpack_from(order + "III", cursor.data, cursor.at)
    if kind != PKTAP_PACKET or size < LEAST_PKTAP:
        raise Unread("not IP")
    cursor.skip(size)
    return LINK, link_type


def juniper(cursor: Cursor) -> Next:
    """Juniper Ethernet: magic number, flags, extensions with their length; then a frame, or a number and IP."""
    flags, size = cursor.u8(3), 4
    if cursor.take(0, 3) != JUNIPER_MAGIC:
        raise Unread("malformed")
    if flags & JUNIPER_EXTENSIONS:
        size += 2 + cursor.u16(4)
    cursor.skip(size)
    if flags & JUNIPER_WITHOUT_FRAME:
        cursor.skip(4)
        return IP
    return ETHERNET


def loopback(cursor: Cursor) -> Next:
    """Four bytes with the address family; its number and byte order differ between systems, so IP decides by itself."""
    family = min(cursor.u32(0), int.from_bytes(cursor.take(0, 4), "little"))
    cursor.skip(4)
    if family not in IP_FAMILIES and cursor.u8(0) >> 4 not in (4, 6):
        raise Unread("not IP")
    return IP


def ppi(cursor: Cursor) -> Next:
    """Per-Packet Information: length and link type, little endian."""
    size, link_type = struct.unpack_from("<HI", cursor.data, cursor.at + 2)
    cursor.skip(size)
    return LINK, link_type


def pflog(cursor: Cursor) -> Next:
    """OpenBSD's packet filter log: the first byte is the length, and IP follows at a multiple of four."""
    cursor.skip(cursor.u8(0) + 3 & ~3)
    return IP


def nflog(cursor: Cursor) -> Next:
    """Linux netfilter log: values with a length and a type in the byte order of the host, one of them the IP packet."""
    if cursor.u8(0) not in NFLOG_FAMILIES:
        raise Unread("not IP")
    first = struct.unpack_from("<H", cursor.data, cursor.at + 4)[0]
    order = "<" if first < 0x100 else ">"
    cursor.skip(4)
    for _ in range(NFLOG_VALUES):
        size, kind = struct.unpack_from(order + "HH", cursor.data, cursor.at)
        if kind & 0x7FFF == NFLOG_PAYLOAD:
            cursor.bound(size)
            cursor.skip(4)
            return IP
        cursor.skip(max(4, size + 3 & ~3))
    raise Unread("not IP")
