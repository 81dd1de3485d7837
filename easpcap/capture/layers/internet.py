"""IP, its extension headers and fragments, and the packets that ICMP errors quote, one packet at a time."""

from __future__ import annotations

import struct
from typing import Final

from easpcap.capture.layers.cursor import IP_PROTOCOL, LINK, UDP_PORT, Cursor, Held, Next, Unread
from easpcap.capture.layers.numbers import ICMP_ERRORS, ICMPV6_ERRORS

#: ::ffff:0:0/96, IPv4-mapped addresses (RFC 4291 section 2.5.5.2)
MAPPED: Final = 0xFFFF_0000_0000
IPV4_HEADER: Final = struct.Struct(">BxHHHxBxxII")
IPV6_HEADER: Final = struct.Struct(">xxxxHBxQQQQ")
MORE_FRAGMENTS, OFFSET = 0x2000, 0x1FFF


def ip(cursor: Cursor) -> Next:
    """IPv4 or IPv6, by the first half byte."""
    version = cursor.u8(0) >> 4
    if version == 4:
        return ipv4(cursor)
    if version == 6:
        return ipv6(cursor)
    return cursor.give_up("malformed")


def ipv4(cursor: Cursor) -> Next:
    """RFC 791. Length 0: the network card fills it in (segmentation offload); the packet ends with what is around."""
    first, length, number, fragment, protocol, source, target = IPV4_HEADER.unpack_from(cursor.data, cursor.at)
    header = (first & 0x0F) * 4
    if header < IPV4_HEADER.size or 0 < length < header:
        cursor.give_up("malformed")
    if length:
        cursor.bound(length)
    cursor.skip(header)
    cursor.source, cursor.target = (0, source | MAPPED), (0, target | MAPPED)
    if fragment & (MORE_FRAGMENTS | OFFSET):
        key = (source, target, number, protocol)
        return _fragment(cursor, key, (fragment & OFFSET) * 8, bool(fragment & MORE_FRAGMENTS), protocol)
    return IP_PROTOCOL, protocol


def ipv6(cursor: Cursor) -> Next:
    """RFC 8200. Length 0: a jumbogram (RFC 2675), or segmentation offload as in IPv4."""
    length, following, *halves = IPV6_HEADER.unpack_from(cursor.data, cursor.at)
    cursor.skip(IPV6_HEADER.size)
    if length:
        cursor.bound(length)
    cursor.source, cursor.target = (halves[0], halves[1]), (halves[2], halves[3])
    return IP_PROTOCOL, following


def extension(cursor: Cursor) -> Next:
    """An IPv6 extension header: next header, length in units of eight bytes after the first (RFC 8200 section 4.2)."""
    following = cursor.u8(0)
    cursor.skip((cursor.u8(1) + 1) * 8)
    return IP_PROTOCOL, following


def authentication(cursor: Cursor) -> Next:
    """RFC 4302 section 2.2 counts in words; nothing is hidden."""
    following = cursor.u8(0)
    cursor.skip((cursor.u8(1) + 2) * 4)
    return IP_PROTOCOL, following


def fragment_header(cursor: Cursor) -> Next:
    """RFC 8200 section 4.5; a packet that is not divided may have one, too (RFC 6946)."""
    following, offset, number = struct.unpack_from(">BxHI", cursor.data, cursor.at)
    cursor.skip(8)
    if not offset & 0xFFF9:
        return IP_PROTOCOL, following
    key = (cursor.source, cursor.target, number, -1)
    return _fragment(cursor, key, offset & 0xFFF8, bool(offset & 1), following)


def _fragment(cursor: Cursor, key: tuple[object, ...], offset: int, more: bool, protocol: int) -> Next:
    """Hold a fragment, or go on with the datagram that it completes."""
    if cursor.quoted:
        if offset:
            cursor.give_up("IP fragment")
        return IP_PROTOCOL, protocol
    size = cursor.wire_end - cursor.at
    payload = bytes(cursor.data[cursor.at :])
    datagram = cursor.fragments.add(key, cursor.time_ns, offset, payload, size, protocol, cursor.packets, more=more)
    if datagram is None:
        raise Held
    cursor.datagram = datagram.payload
    cursor.data, cursor.wire_end, cursor.at = memoryview(datagram.payload), datagram.size, 0
    cursor.packets = datagram.packets
    return IP_PROTOCOL, datagram.protocol


def udp(cursor: Cursor) -> Next:
    """RFC 768: tunnels are recognised by the port that they are sent to. Length 0: a jumbogram (RFC 2675)."""
    port, length = cursor.u16(2), cursor.u16(4)
    if length:
        cursor.bound(length)
    cursor.skip(8)
    return UDP_PORT, port


def icmp(cursor: Cursor) -> Next:
    """An error quotes the packet that it is about."""
    return _quoted(cursor, ICMP_ERRORS)


def icmpv6(cursor: Cursor) -> Next:
    """An error quotes the packet that it is about."""
    return _quoted(cursor, ICMPV6_ERRORS)


def _quoted(cursor: Cursor, errors: tuple[int, ...]) -> Next:
    if cursor.quoted or cursor.u8(0) not in errors:
        raise Unread("not TCP")
    cursor.quoted = True
    cursor.skip(8)
    return LINK, 101
