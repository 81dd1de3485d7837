"""Rare link layers whose headers vary from packet to packet: finds where IP begins, one packet at a time."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

IP_TYPES: Final = (0x0800, 0x86DD)
PPP_IP: Final = (0x0021, 0x0057)
#: 802.2 LLC and SNAP before an EtherType (RFC 1042).
SNAP: Final = b"\xaa\xaa\x03\x00\x00\x00"

NFLOG_PAYLOAD: Final = 9
NFLOG_VALUES: Final = 64


def ppp(packet: bytes) -> int | None:
    """PPP, with or without address and control (RFC 1662) and with a protocol number of one or two bytes (RFC 1661)."""
    at = 2 if packet.startswith(b"\xff\x03") else 0
    size = 1 if packet[at : at + 1] and packet[at] & 1 else 2
    return at + size if int.from_bytes(packet[at : at + size], "big") in PPP_IP else None


def wireless(packet: bytes) -> int | None:
    """IEEE 802.11 data frames that are not encrypted."""
    if len(packet) < 24:
        return None
    kind, flags = packet[0], packet[1]
    if kind & 0x0C != 0x08 or kind & 0x40 or flags & 0x40:  # not a data frame, without data, or encrypted
        return None
    at = 24 + (6 if flags & 0x03 == 0x03 else 0)  # a fourth address between access points
    if kind & 0x80:  # quality of service
        at += 2 + (4 if flags & 0x80 else 0)
    if packet[at : at + 6] != SNAP or int.from_bytes(packet[at + 6 : at + 8], "big") not in IP_TYPES:
        return None
    return at + 8


def radiotap(packet: bytes) -> int | None:
    """IEEE 802.11 after a radiotap header, which has a length field (radiotap.org)."""
    if len(packet) < 8:
        return None
    size = struct.unpack_from("<H", packet, 2)[0]
    at = wireless(packet[size:])
    return None if at is None else size + at


def nflog(packet: bytes) -> int | None:
    """Linux netfilter log: values with a length and a type in the byte order of the host, one of them the IP packet."""
    order = "<" if packet[4:8] and struct.unpack_from("<H", packet.ljust(8), 4)[0] < 0x100 else ">"
    at = 4
    for _ in range(NFLOG_VALUES):
        if at + 4 > len(packet):
            break
        size, kind = struct.unpack_from(order + "HH", packet, at)
        if kind & 0x7FFF == NFLOG_PAYLOAD:
            return at + 4
        at += max(4, size + 3 & ~3)
    return None


#: LINKTYPE_ value -> name, and a function that finds where IP begins in a packet (None: there is none)
ODD_LINK_LAYERS: Final[dict[int, tuple[str, Callable[[bytes], int | None]]]] = {
    9: ("PPP", ppp),
    105: ("IEEE 802.11", wireless),
    127: ("IEEE 802.11 radiotap", radiotap),
    239: ("NFLOG", nflog),
}
#: Bytes of a packet that are read; no header above is longer.
HEAD_BYTES: Final = 1024
