"""Link layers: captured packets -> where IP begins in plain Ethernet (also with VLAN tags), Linux cooked, raw IP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from easpcap.capture.layers.numbers import DECODED, WITHOUT_IP, unsupported
from easpcap.capture.packets import gather

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from easpcap.capture.packets import Packets, Skipped

IPV4, IPV6 = 0x0800, 0x86DD
#: 802.1Q, 802.1ad, and the number used before 802.1ad.
VLAN_TAGS: Final = (0x8100, 0x88A8, 0x9100)
#: Nested tags that are read here; two are usual.
MOST_TAGS: Final = 4

TWO_BYTES: Final = np.dtype(">u2")


class LinkLayer(NamedTuple):
    """A link layer whose header has the same length in every packet."""

    header_bytes: int
    ethertype_at: int | None  # None: IP follows the header, and its first half byte is the version


#: LINKTYPE_ values of the usual link layers; `layers` reads the others.
PLAIN: Final = {
    0: LinkLayer(4, None),
    1: LinkLayer(14, 12),
    12: LinkLayer(0, None),
    14: LinkLayer(0, None),
    101: LinkLayer(0, None),
    104: LinkLayer(4, 2),
    108: LinkLayer(4, None),
    113: LinkLayer(16, 14),
    228: LinkLayer(0, None),
    229: LinkLayer(0, None),
    276: LinkLayer(20, 0),
}


class Located(NamedTuple):
    """Packets that may contain IP. ``end`` and ``wire_end`` say where the packet ends."""

    row: NDArray[np.int64]  # index into Packets
    ip_at: NDArray[np.int64]
    end: NDArray[np.int64]  # of what was captured
    wire_end: NDArray[np.int64]  # of what was on the wire

    def where(self, chosen: NDArray[np.bool_]) -> Located:
        """The chosen rows."""
        return self if chosen.all() else Located(*(column[chosen] for column in self))


def locate_ip(buffer: bytearray, packets: Packets, skipped: Skipped) -> list[Located]:
    """Where IP begins in plain packets, one group per link type; ``skipped`` takes all others."""
    everything = Located(
        np.arange(len(packets.at), dtype=np.int64),
        packets.at,
        packets.at + packets.captured,
        packets.at + np.maximum(packets.original, packets.captured),
    )
    groups = []
    for link_type in _distinct(packets.link_type):
        group = everything.where(packets.link_type == link_type)
        if link_type in PLAIN:
            groups.append(_past_header(buffer, group, PLAIN[link_type], skipped))
        elif link_type in DECODED:
            skipped.walk(group.row)
        else:
            skipped.count(unsupported(link_type), len(group.row))
    return groups


def _distinct(link_types: NDArray[np.int64]) -> list[int]:
    """The link types; a capture rarely has more than one."""
    if not len(link_types):
        return []
    first = int(link_types[0])
    if (link_types == first).all():
        return [first]
    numbers: list[int] = np.unique(link_types).tolist()
    return numbers


def _past_header(buffer: bytearray, group: Located, link: LinkLayer, skipped: Skipped) -> Located:
    whole = group.ip_at + link.header_bytes <= group.end
    if not whole.all():
        skipped.walk(group.row[~whole])
        group = group.where(whole)
    ip_at = group.ip_at + link.header_bytes
    if link.ethertype_at is None:
        return group._replace(ip_at=ip_at)
    ethertype = gather(buffer, group.ip_at + link.ethertype_at, TWO_BYTES).astype(np.uint16)
    is_ip = (ethertype == IPV4) | (ethertype == IPV6)
    if not is_ip.all():
        _past_tags(buffer, ip_at, group.end, ethertype)
        is_ip = (ethertype == IPV4) | (ethertype == IPV6)
        without_ip = np.isin(ethertype, WITHOUT_IP)
        skipped.count("not IP", int(np.count_nonzero(without_ip)))
        skipped.walk(group.row[~(is_ip | without_ip)])
    return group._replace(ip_at=ip_at).where(is_ip)


def _past_tags(
    buffer: bytearray, ip_at: NDArray[np.int64], end: NDArray[np.int64], ethertype: NDArray[np.uint16]
) -> None:
    """Move ``ip_at`` past VLAN tags (four bytes: VLAN, next EtherType)."""
    for _ in range(MOST_TAGS):
        tagged = np.flatnonzero(np.isin(ethertype, VLAN_TAGS) & (ip_at + 4 <= end))
        if not len(tagged):
            break
        ethertype[tagged] = gather(buffer, ip_at[tagged] + 2, TWO_BYTES)
        ip_at[tagged] += 4
