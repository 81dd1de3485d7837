"""Ethernet and what may come between it and IP: tags, frames inside frames, LLC, PPPoE, MPLS."""

from __future__ import annotations

from typing import Final

from easpcap.capture.layers.cursor import (
    ETHERNET,
    ETHERTYPE,
    IP,
    LINK,
    LLC,
    LLC_SERVICE,
    MOST_LENGTH,
    NLPID,
    PPP,
    SNAP,
    Cursor,
    Next,
)
from easpcap.limits import MAX_HEADERS

#: Organizations whose SNAP protocol numbers are EtherTypes (RFC 1042; 802.1H tunnels).
ETHERTYPE_OUIS: Final = (b"\0\0\0", b"\0\0\xf8")
BRIDGED_OUI: Final = b"\0\x80\xc2"  # RFC 2427 and 2684
LLC_IP: Final = 0x06
LLC_SNAP: Final = 0xAA
SNAP_HEADER: Final = b"\xaa\xaa\x03"
ISL_TARGETS: Final = (b"\x01\0\x0c\0\0", b"\x0c\0\x0c\0\0")
NLPID_SNAP: Final = 0x80
HDLC_ADDRESSES: Final = (0x0F, 0x8F)
BRIDGED_ETHERNET: Final = 1
NSH_CONTENTS: Final[dict[int, Next]] = {1: IP, 2: IP, 3: ETHERNET, 4: (ETHERTYPE, 0x894F), 5: (ETHERTYPE, 0x8847)}
LAST_LABEL: Final = 0x100
#: EtherTypes by which a frame in a pseudowire is recognised: IPv4, ARP, VLAN tags, IPv6.
PSEUDOWIRE_TYPES: Final = (0x0800, 0x0806, 0x8100, 0x88A8, 0x86DD)

#: ARPHRD_ values of devices whose packets begin with a link layer header (linux/if_arp.h), and of one without IP.
COOKED_LINK_TYPES: Final = {801: 105, 802: 119, 803: 127, 824: 253}
COOKED_LLC: Final = 4


def ethernet(cursor: Cursor) -> Next:
    """Two addresses, then an EtherType or a length; Cisco ISL is known by its target, and comes before a frame."""
    number = cursor.u16(12)
    cursor.skip(14)
    if number <= MOST_LENGTH and cursor.take(-14, 5) in ISL_TARGETS and cursor.take(0, 3) == SNAP_HEADER:
        cursor.bound(number)
        cursor.skip(12)
        return ETHERNET
    return cursor.typed(number)


def llc(cursor: Cursor) -> Next:
    """IEEE 802.2; with SNAP (RFC 1042) an EtherType follows."""
    service = cursor.u8(0)
    if service == LLC_IP:
        cursor.skip(3)
        return IP
    if service != LLC_SNAP or cursor.u8(1) != LLC_SNAP:
        return LLC_SERVICE, service
    cursor.skip(3)
    return snap(cursor)


def snap(cursor: Cursor) -> Next:
    """An organization, and a protocol number of its own, which mostly is an EtherType."""
    organization, number = cursor.take(0, 3), cursor.u16(3)
    cursor.skip(5)
    if organization in ETHERTYPE_OUIS:
        return ETHERTYPE, number
    if organization == BRIDGED_OUI and number in (1, 7):
        return ETHERNET
    return SNAP, int.from_bytes(organization, "big") << 16 | number


def cisco_metadata(cursor: Cursor) -> Next:
    """The Cisco MetaData tag: version, length in words, options, EtherType."""
    size = 2 + 4 * cursor.u8(1)
    number = cursor.u16(size)
    cursor.skip(size + 2)
    return cursor.typed(number)


def trill(cursor: Cursor) -> Next:
    """RFC 6325 section 3.1: six bytes and options in words, then an Ethernet frame."""
    cursor.tunnel = "TRILL"
    cursor.skip(6 + 4 * (cursor.u16(0) >> 6 & 0x1F))
    return ETHERNET


def macsec(cursor: Cursor) -> Next:
    """IEEE 802.1AE: without encryption (the E bit) the EtherType and all after it are in the clear."""
    cursor.tunnel = "MACsec"
    control = cursor.u8(0)
    if control & 0x08:
        cursor.give_up("encrypted")
    size = 14 if control & 0x20 else 6
    number = cursor.u16(size)
    cursor.skip(size + 2)
    return cursor.typed(number)


def pppoe(cursor: Cursor) -> Next:
    """RFC 2516 section 4: the length bounds what follows; bytes after it are padding of Ethernet."""
    size = cursor.u16(4)
    cursor.skip(6)
    cursor.bound(size)
    return ppp_protocol(cursor)


def ppp(cursor: Cursor) -> Next:
    """PPP, with or without address and control (RFC 1662)."""
    if cursor.take(0, 2) == b"\xff\x03":
        cursor.skip(2)
    return ppp_protocol(cursor)


def ppp_protocol(cursor: Cursor) -> Next:
    """The protocol number, which is one byte long if that is odd (RFC 1661 section 2)."""
    number = cursor.u8(0)
    if number & 1:
        cursor.skip(1)
        return PPP, number
    number = cursor.u16(0)
    cursor.skip(2)
    return PPP, number


def ppp_or_hdlc(cursor: Cursor) -> Next:
    """A serial line: Cisco HDLC where the address is that of HDLC, else PPP."""
    if cursor.u8(0) in HDLC_ADDRESSES:
        return hdlc(cursor)
    return ppp(cursor)


def hdlc(cursor: Cursor) -> Next:
    """Cisco HDLC: address, control, EtherType. There are no lengths in it."""
    number = cursor.u16(2)
    cursor.skip(4)
    return ETHERTYPE, number


def ppp_bridged(cursor: Cursor) -> Next:
    """RFC 3518 section 4.2: flags with the number of pad bytes at the end, MAC type, then a frame."""
    kind = cursor.u8(1)
    cursor.tunnel = "PPP bridging"
    if kind != BRIDGED_ETHERNET:
        cursor.give_up(f"MAC type {kind}")
    cursor.skip(2)
    return ETHERNET


def frame_relay(cursor: Cursor) -> Next:
    """A two-byte address, then control and NLPID (RFC 2427), or an EtherType as Cisco has it."""
    if cursor.u8(2) != 0x03:
        return hdlc(cursor)
    cursor.skip(3 if cursor.u8(3) else 4)  # a pad byte
    number = cursor.u8(0)
    cursor.skip(1)
    return snap(cursor) if number == NLPID_SNAP else (NLPID, number)


def mpls(cursor: Cursor) -> Next:
    """RFC 3032: a stack of labels; what follows the last is not named, and must be guessed (RFC 4928 section 3).

    4 and 6 begin IP; a frame is recognised by its EtherType, with or without the control word of a pseudowire.
    """
    cursor.tunnel = "MPLS"
    for _ in range(MAX_HEADERS):
        label = cursor.u32(0)
        cursor.skip(4)
        if label & LAST_LABEL:
            break
    version = cursor.u8(0) >> 4
    if version in (4, 6):
        return IP
    for control_word in (0,) if version else (4, 0):
        if cursor.u16(control_word + 12) in PSEUDOWIRE_TYPES:
            cursor.skip(control_word)
            return ETHERNET
    return cursor.give_up("unknown content")


def service_function(cursor: Cursor) -> Next:
    """The network service header (RFC 8300 section 2): length in words, and what follows."""
    cursor.tunnel = "NSH"
    size, number = (cursor.u8(1) & 0x3F) * 4, cursor.u8(3)
    cursor.skip(max(size, 4))
    return NSH_CONTENTS.get(number) or cursor.give_up(f"protocol {number}")


def cooked(cursor: Cursor) -> Next:
    """Linux cooked v1: the device's type decides what its protocol field means."""
    return _cooked(cursor, cursor.u16(2), cursor.u16(14), 16)


def cooked2(cursor: Cursor) -> Next:
    """Linux cooked v2."""
    return _cooked(cursor, cursor.u16(8), cursor.u16(0), 20)


def _cooked(cursor: Cursor, device: int, number: int, size: int) -> Next:
    cursor.skip(size)
    if device in COOKED_LINK_TYPES:
        return LINK, COOKED_LINK_TYPES[device]
    return LLC if number == COOKED_LLC else (ETHERTYPE, number)
