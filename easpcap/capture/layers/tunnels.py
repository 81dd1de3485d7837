"""Tunnels in IP and UDP: GRE with ERSPAN, VXLAN, GENEVE, and what only scapy reads."""

from __future__ import annotations

from typing import Final

from easpcap.capture.layers.cursor import ETHERNET, ETHERTYPE, IP, Cursor, Next, Unread

ERSPAN_I_II: Final = 0x88BE
CHECKSUM, ROUTING, KEY, SEQUENCE, PPTP_ACK, GRE_VERSION = 0x8000, 0x4000, 0x2000, 0x1000, 0x0080, 0x0007


def gre(cursor: Cursor) -> Next:
    """RFC 2784 and 2890; version 1 is that of PPTP (RFC 2637), whose key field begins with the length."""
    cursor.tunnel = "GRE"
    flags, number = cursor.u16(0), cursor.u16(2)
    if flags & ROUTING or flags & GRE_VERSION > 1:
        cursor.give_up("routing or unknown version")
    size = 4 + 4 * sum(bool(flags & bit) for bit in (CHECKSUM, KEY, SEQUENCE))
    if flags & GRE_VERSION:
        length = cursor.u16(4)
        cursor.skip(size + (4 if flags & PPTP_ACK else 0))
        cursor.bound(length)
    else:
        cursor.skip(size)
    if number == ERSPAN_I_II:
        return _erspan(cursor, has_header=bool(flags & SEQUENCE))
    return ETHERTYPE, number


def _erspan(cursor: Cursor, *, has_header: bool) -> Next:
    """ERSPAN type I has no header of its own, type II one of eight bytes (draft-foschiano-erspan section 4)."""
    cursor.tunnel = "ERSPAN"
    cursor.skip(8 if has_header else 0)
    return ETHERNET


def erspan3(cursor: Cursor) -> Next:
    """ERSPAN type III: twelve bytes, and eight more where the last bit says so; the frame type names what follows."""
    cursor.tunnel = "ERSPAN"
    last = cursor.u16(10)
    kind = last >> 10 & 0x1F
    cursor.skip(20 if last & 1 else 12)
    if kind == 0:
        return ETHERNET
    return IP if kind == 2 else cursor.give_up(f"frame type {kind}")


def wccp(cursor: Cursor) -> Next:
    """Cisco's web cache redirection: IP, or a redirect header of four bytes before it."""
    cursor.skip(0 if cursor.u8(0) >> 4 == 4 else 4)
    return IP


def vxlan(cursor: Cursor) -> Next:
    """RFC 7348 section 5: the I flag is set and the last byte is 0; else this is another use of the port."""
    if not cursor.u8(0) & 0x08 or cursor.u8(7):
        raise Unread("not TCP")
    cursor.tunnel = "VXLAN"
    cursor.skip(8)
    return ETHERNET


def geneve(cursor: Cursor) -> Next:
    """RFC 8926 section 3.4: version 0, the length of the options in words, and an EtherType."""
    first, number = cursor.u8(0), cursor.u16(2)
    if first >> 6 or cursor.u8(7):
        raise Unread("not TCP")
    cursor.tunnel = "GENEVE"
    cursor.skip(8 + (first & 0x3F) * 4)
    return ETHERTYPE, number


def lisp(cursor: Cursor) -> Next:
    """RFC 9300 section 5.1: eight bytes before IP; anything else is another use of the port."""
    if cursor.u8(8) >> 4 not in (4, 6):
        raise Unread("not TCP")
    cursor.tunnel = "LISP"
    cursor.skip(8)
    return IP


def encrypted(cursor: Cursor) -> Next:
    """ESP (RFC 4303)."""
    return cursor.give_up("ESP, encrypted")


def encrypted_in_udp(cursor: Cursor) -> Next:
    """ESP in UDP (RFC 3948 section 2); four zeros begin a message of the key exchange, which is not ESP."""
    if len(cursor.data) - cursor.at < 8 or not cursor.u32(0):
        raise Unread("not TCP")
    return encrypted(cursor)
