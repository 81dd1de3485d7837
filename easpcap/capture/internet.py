"""IPv4 (RFC 791) and IPv6 (RFC 8200): located packets -> where TCP begins and ends, and its addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from easpcap.capture.packets import count_lost, gather

if TYPE_CHECKING:
    from collections import Counter

    from numpy.typing import NDArray

    from easpcap.capture.link import Located

TCP: Final = 6
HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION = 0, 43, 44, 51, 60
EXTENSIONS: Final = (HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION)
#: Extension headers read in one packet; RFC 8200 section 4.1 lists seven.
MOST_EXTENSIONS: Final = 8
#: Masks of the more-fragments flag and the fragment offset; both are 0 in a packet that is not a fragment.
IPV4_FRAGMENT: Final = 0x3FFF
IPV6_FRAGMENT: Final = 0xFFF9
#: ::ffff:0:0/96, IPv4-mapped addresses (RFC 4291 section 2.5.5.2)
MAPPED: Final = np.uint64(0xFFFF_0000_0000)

IPV4_HEADER: Final = np.dtype(
    [("version", "u1"), ("tos", "u1"), ("length", ">u2"), ("id", ">u2"), ("fragment", ">u2"),
     ("ttl", "u1"), ("protocol", "u1"), ("checksum", ">u2"), ("src", ">u4"), ("dst", ">u4")]
)  # fmt: skip
IPV6_HEADER: Final = np.dtype(
    [("version", ">u4"), ("length", ">u2"), ("next", "u1"), ("hops", "u1"),
     ("src_high", ">u8"), ("src_low", ">u8"), ("dst_high", ">u8"), ("dst_low", ">u8")]
)  # fmt: skip
EXTENSION: Final = np.dtype([("next", "u1"), ("length", "u1"), ("fragment", ">u2")])


class Carried(NamedTuple):
    """TCP inside IP, one row per packet."""

    row: NDArray[np.int64]  # index into Packets
    tcp_at: NDArray[np.int64]
    end: NDArray[np.int64]  # of what was captured
    wire_end: NDArray[np.int64]  # of the IP packet on the wire
    src_high: NDArray[np.uint64]
    src_low: NDArray[np.uint64]
    dst_high: NDArray[np.uint64]
    dst_low: NDArray[np.uint64]

    def where(self, chosen: NDArray[np.bool_]) -> Carried:
        """The chosen rows."""
        if chosen.all():
            return self
        return Carried(
            self.row[chosen],
            self.tcp_at[chosen],
            self.end[chosen],
            self.wire_end[chosen],
            self.src_high[chosen],
            self.src_low[chosen],
            self.dst_high[chosen],
            self.dst_low[chosen],
        )


def find_tcp(buffer: bytearray, packets: Located, ignored: Counter[str]) -> list[Carried]:
    """TCP in ``packets``, one group per IP version; all other packets are counted in ``ignored``."""
    version = np.frombuffer(buffer, np.uint8)[packets.ip_at] >> 4
    groups = []
    known = np.zeros(len(version), np.bool_)
    for number, header_bytes, read in ((4, IPV4_HEADER.itemsize, _ipv4), (6, IPV6_HEADER.itemsize, _ipv6)):
        chosen = (version == number) & (packets.ip_at + header_bytes <= packets.end)
        if chosen.any():
            known |= chosen
            groups.append(read(buffer, packets.where(chosen), ignored))
    count_lost(ignored, "malformed", known)
    return groups


def _ipv4(buffer: bytearray, packets: Located, ignored: Counter[str]) -> Carried:
    header = gather(buffer, packets.ip_at, IPV4_HEADER)
    header_bytes = (header["version"] & 0x0F).astype(np.int64) * 4
    length = header["length"].astype(np.int64)
    # Length 0: the sender's network card fills it in (TCP segmentation offload); the packet ends with the frame.
    wire_end = np.where(length == 0, packets.wire_end, packets.ip_at + length)
    reasons = (
        ("malformed", (header_bytes < IPV4_HEADER.itemsize) | (packets.ip_at + header_bytes > wire_end)),
        ("not TCP", header["protocol"] != TCP),
        ("IP fragment", (header["fragment"] & IPV4_FRAGMENT) != 0),
    )
    nothing = np.zeros(len(header), np.uint64)
    source, target = (header[name].astype(np.uint64) | MAPPED for name in ("src", "dst"))
    carried = Carried(
        packets.row, packets.ip_at + header_bytes, packets.end, wire_end, nothing, source, nothing, target
    )
    return carried.where(_unless(reasons, ignored))


def _ipv6(buffer: bytearray, packets: Located, ignored: Counter[str]) -> Carried:
    header = gather(buffer, packets.ip_at, IPV6_HEADER)
    tcp_at = packets.ip_at + IPV6_HEADER.itemsize
    length = header["length"].astype(np.int64)
    # Length 0: a jumbogram (RFC 2675), or segmentation offload as in IPv4.
    wire_end = np.where(length == 0, packets.wire_end, tcp_at + length)
    following = header["next"].copy()
    fragment = np.zeros(len(header), np.bool_)
    if (following != TCP).any():
        _past_extensions(buffer, tcp_at, following, fragment, packets.end)
    reasons = (("IP fragment", fragment), ("not TCP", following != TCP), ("malformed", tcp_at > wire_end))
    addresses = (header[name].astype(np.uint64) for name in ("src_high", "src_low", "dst_high", "dst_low"))
    return Carried(packets.row, tcp_at, packets.end, wire_end, *addresses).where(_unless(reasons, ignored))


def _past_extensions(
    buffer: bytearray,
    at: NDArray[np.int64],
    following: NDArray[np.uint8],
    fragment: NDArray[np.bool_],
    end: NDArray[np.int64],
) -> None:
    """Move ``at`` past extension headers; ``following`` becomes the next protocol, ``fragment`` marks IP fragments.

    A header that the snap length cut stays, so that its packet is counted as "not TCP".
    """
    for _ in range(MOST_EXTENSIONS):
        rows = np.flatnonzero(np.isin(following, EXTENSIONS) & ~fragment & (at + 8 <= end))
        if not len(rows):
            break
        header = gather(buffer, at[rows], EXTENSION)
        kind = following[rows]
        length = header["length"].astype(np.int64)
        # RFC 4302 section 2.2 counts the authentication header in words; the fragment header has no length.
        size = np.where(kind == AUTHENTICATION, (length + 2) * 4, (length + 1) * 8)
        size[kind == FRAGMENT] = 8
        fragment[rows] = (kind == FRAGMENT) & ((header["fragment"] & IPV6_FRAGMENT) != 0)
        following[rows] = header["next"]
        at[rows] += size


def _unless(reasons: tuple[tuple[str, NDArray[np.bool_]], ...], ignored: Counter[str]) -> NDArray[np.bool_]:
    """True for the rows that no reason rules out; each row is counted under its first reason."""
    kept = np.ones(len(reasons[0][1]), np.bool_)
    for reason, ruled_out in reasons:
        if count_lost(ignored, reason, ~(ruled_out & kept)):
            kept &= ~ruled_out
    return kept
