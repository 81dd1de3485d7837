"""Link layers: captured packets -> where IP begins. Ethernet with VLAN tags and PPPoE, Linux cooked, raw, loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from easpcap.capture.odd import HEAD_BYTES, ODD_LINK_LAYERS
from easpcap.capture.packets import NO_PACKET, count_lost, gather

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from numpy.typing import NDArray

    from easpcap.capture.packets import Packets

IPV4, IPV6, PPPOE_SESSION = 0x0800, 0x86DD, 0x8864
#: 802.1Q, 802.1ad, and the number used before 802.1ad.
VLAN_TAGS: Final = (0x8100, 0x88A8, 0x9100)
#: Nested tags that are read; two are usual.
MOST_TAGS: Final = 4
#: PPP's numbers for the two IP versions (RFC 1661; IANA ppp-numbers).
PPP_IPV4, PPP_IPV6 = 0x0021, 0x0057

#: Distinct reasons under which ignored packets are counted.
MOST_REASONS: Final = 64

TWO_BYTES: Final = np.dtype(">u2")


class LinkLayer(NamedTuple):
    """One LINKTYPE_ value (https://www.tcpdump.org/linktypes.html)."""

    name: str
    header_bytes: int
    ethertype_at: int | None  # None: IP follows the header, and its first half byte is the version


RAW_IP: Final = LinkLayer("Raw IP", 0, None)
LINK_LAYERS: Final = {
    # The address family before a loopback packet is not read: its number and byte order differ between systems.
    0: LinkLayer("BSD loopback", 4, None),
    1: LinkLayer("Ethernet", 14, 12),
    12: RAW_IP,  # DLT_RAW of most systems and of OpenBSD, which some programs write into files
    14: RAW_IP,
    101: RAW_IP,
    104: LinkLayer("Cisco HDLC", 4, 2),
    108: LinkLayer("OpenBSD loopback", 4, None),
    113: LinkLayer("Linux cooked v1", 16, 14),
    228: LinkLayer("Raw IPv4", 0, None),
    229: LinkLayer("Raw IPv6", 0, None),
    276: LinkLayer("Linux cooked v2", 20, 0),
}
#: Names of some link types that are not decoded.
OTHER_NAMES: Final = {
    6: "Token Ring",
    10: "FDDI",
    51: "PPPoE",
    107: "Frame Relay",
    119: "IEEE 802.11 Prism",
    189: "USB",
    195: "IEEE 802.15.4",
    220: "USB",
    249: "USBPcap",
    252: "Wireshark upper PDU",
    253: "Netlink",
}


def link_type_name(link_type: int) -> str:
    """The display name of a link type."""
    if link_type in LINK_LAYERS:
        return LINK_LAYERS[link_type].name
    if link_type in ODD_LINK_LAYERS:
        return ODD_LINK_LAYERS[link_type][0]
    return OTHER_NAMES.get(link_type, f"link type {link_type}")


class Located(NamedTuple):
    """Packets that may contain IP. ``end`` and ``wire_end`` say where the packet ends."""

    row: NDArray[np.int64]  # index into Packets
    ip_at: NDArray[np.int64]
    end: NDArray[np.int64]  # of what was captured
    wire_end: NDArray[np.int64]  # of what was on the wire

    def where(self, chosen: NDArray[np.bool_]) -> Located:
        """The chosen rows."""
        return self if chosen.all() else Located(*(column[chosen] for column in self))


def locate_ip(buffer: bytearray, packets: Packets, ignored: Counter[str]) -> list[Located]:
    """Where IP begins, one group per link type; packets without IP are counted in ``ignored``."""
    everything = Located(
        np.arange(len(packets.at), dtype=np.int64),
        packets.at,
        packets.at + packets.captured,
        packets.at + np.maximum(packets.original, packets.captured),
    )
    groups = []
    for link_type, count in _counted(packets.link_type):
        if link_type in LINK_LAYERS:
            group = everything.where(packets.link_type == link_type)
            groups.append(_past_header(buffer, group, LINK_LAYERS[link_type], ignored))
        elif link_type in ODD_LINK_LAYERS:
            group = everything.where(packets.link_type == link_type)
            groups.append(_past_odd_header(buffer, group, ODD_LINK_LAYERS[link_type][1], ignored))
        else:
            ignored[_unsupported(link_type, ignored)] += count
    return groups


def _counted(link_types: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Each link type and how many packets have it; a capture rarely has more than one."""
    if not len(link_types):
        return []
    first = int(link_types[0])
    if (link_types == first).all():
        return [(first, len(link_types))]
    numbers, counts = np.unique(link_types, return_counts=True)
    return list(zip(numbers.tolist(), counts.tolist(), strict=True))


def _unsupported(link_type: int, ignored: Counter[str]) -> str:
    """The reason under which packets of an undecoded link type are counted; there are at most about MOST_REASONS."""
    if link_type < 0:
        return "no packet in the frame" if link_type == NO_PACKET else "no known link type"
    return f"unsupported link type {link_type}" if len(ignored) < MOST_REASONS else "unsupported link type"


def _past_header(buffer: bytearray, group: Located, link: LinkLayer, ignored: Counter[str]) -> Located:
    whole = group.ip_at + link.header_bytes <= group.end
    if count_lost(ignored, "malformed", whole):
        group = group.where(whole)
    ip_at = group.ip_at + link.header_bytes
    if link.ethertype_at is None:
        return group._replace(ip_at=ip_at)
    ethertype = gather(buffer, group.ip_at + link.ethertype_at, TWO_BYTES).astype(np.uint16)
    is_ip = (ethertype == IPV4) | (ethertype == IPV6)
    if not is_ip.all():
        is_ip = _past_tags(buffer, ip_at, group.end, ethertype)
    count_lost(ignored, "not IP", is_ip)
    return group._replace(ip_at=ip_at).where(is_ip)


def _past_odd_header(
    buffer: bytearray, group: Located, find: Callable[[bytes], int | None], ignored: Counter[str]
) -> Located:
    sizes = []
    for start, end in zip(group.ip_at.tolist(), group.end.tolist(), strict=True):
        size = find(bytes(buffer[start : min(end, start + HEAD_BYTES)]))
        sizes.append(-1 if size is None else size)
    header_bytes = np.array(sizes, dtype=np.int64)
    count_lost(ignored, "not IP", header_bytes >= 0)
    return group._replace(ip_at=group.ip_at + header_bytes).where(header_bytes >= 0)


def _past_tags(
    buffer: bytearray, ip_at: NDArray[np.int64], end: NDArray[np.int64], ethertype: NDArray[np.uint16]
) -> NDArray[np.bool_]:
    """Move ``ip_at`` past VLAN tags (four bytes: VLAN, next EtherType) and PPPoE; return True where IP follows."""
    for _ in range(MOST_TAGS):
        tagged = np.flatnonzero(np.isin(ethertype, VLAN_TAGS) & (ip_at + 4 <= end))
        if not len(tagged):
            break
        ethertype[tagged] = gather(buffer, ip_at[tagged] + 2, TWO_BYTES)
        ip_at[tagged] += 4
    is_ip: NDArray[np.bool_] = (ethertype == IPV4) | (ethertype == IPV6)
    session = np.flatnonzero((ethertype == PPPOE_SESSION) & (ip_at + 8 <= end))
    if len(session):  # RFC 2516 section 4: six bytes, then the PPP protocol number, one byte long if that is odd
        protocol = gather(buffer, ip_at[session] + 6, TWO_BYTES).astype(np.int64)
        short = (protocol & 0x0100) != 0
        protocol = np.where(short, protocol >> 8, protocol)
        ip_at[session] += np.where(short, 7, 8)
        is_ip[session] = (protocol == PPP_IPV4) | (protocol == PPP_IPV6)
    return is_ip
