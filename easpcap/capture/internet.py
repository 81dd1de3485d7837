"""TCP right after IPv4 (RFC 791) or IPv6 (RFC 8200): where it begins and ends, and its addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from easpcap.capture.layers.numbers import ICMP_ERRORS, ICMPV6_ERRORS, UDP_PORTS, WITHOUT_TCP
from easpcap.capture.packets import gather

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from easpcap.capture.link import Located
    from easpcap.capture.packets import Skipped

ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
#: Mask of the more-fragments flag and the fragment offset; both are 0 in a packet that is not a fragment.
IPV4_FRAGMENT: Final = 0x3FFF
WITHOUT_TCP_BY_NUMBER: Final = np.isin(np.arange(256), tuple(WITHOUT_TCP))
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
PORT: Final = np.dtype(">u2")
KIND: Final = np.dtype("u1")


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


def find_tcp(buffer: bytearray, packets: Located, skipped: Skipped) -> list[Carried]:
    """TCP right after IP in ``packets``, one group per IP version; ``skipped`` takes all others."""
    version = np.frombuffer(buffer, np.uint8)[packets.ip_at] >> 4
    groups = []
    known = np.zeros(len(version), np.bool_)
    for number, header_bytes, read in ((4, IPV4_HEADER.itemsize, _ipv4), (6, IPV6_HEADER.itemsize, _ipv6)):
        chosen = (version == number) & (packets.ip_at + header_bytes <= packets.end)
        if chosen.any():
            known |= chosen
            groups.append(read(buffer, packets.where(chosen), skipped))
    if not known.all():
        skipped.walk(packets.row[~known])
    return groups


def _ipv4(buffer: bytearray, packets: Located, skipped: Skipped) -> Carried:
    header = gather(buffer, packets.ip_at, IPV4_HEADER)
    header_bytes = (header["version"] & 0x0F).astype(np.int64) * 4
    length = header["length"].astype(np.int64)
    # Length 0: the sender's network card fills it in (TCP segmentation offload); the packet ends with the frame.
    wire_end = np.where(length == 0, packets.wire_end, np.minimum(packets.ip_at + length, packets.wire_end))
    protocol = header["protocol"]
    fragment = (header["fragment"] & IPV4_FRAGMENT) != 0
    sound = (header_bytes >= IPV4_HEADER.itemsize) & (packets.ip_at + header_bytes <= wire_end)
    plain = (protocol == TCP) & ~fragment & sound
    if not plain.all():
        _skip(buffer, packets.row, packets.ip_at + header_bytes, protocol, plain, fragment | ~sound, skipped)
    nothing = np.zeros(len(header), np.uint64)
    source, target = (header[name].astype(np.uint64) | MAPPED for name in ("src", "dst"))
    return Carried(
        packets.row, packets.ip_at + header_bytes, packets.end, wire_end, nothing, source, nothing, target
    ).where(plain)


def _ipv6(buffer: bytearray, packets: Located, skipped: Skipped) -> Carried:
    header = gather(buffer, packets.ip_at, IPV6_HEADER)
    tcp_at = packets.ip_at + IPV6_HEADER.itemsize
    length = header["length"].astype(np.int64)
    # Length 0: a jumbogram (RFC 2675), or segmentation offload as in IPv4.
    wire_end = np.where(length == 0, packets.wire_end, np.minimum(tcp_at + length, packets.wire_end))
    plain = header["next"] == TCP
    if not plain.all():
        _skip(buffer, packets.row, tcp_at, header["next"], plain, np.zeros(len(header), np.bool_), skipped)
    addresses = (header[name].astype(np.uint64) for name in ("src_high", "src_low", "dst_high", "dst_low"))
    return Carried(packets.row, tcp_at, packets.end, wire_end, *addresses).where(plain)


def _skip(
    buffer: bytearray,
    row: NDArray[np.int64],
    at: NDArray[np.int64],
    protocol: NDArray[np.uint8],
    plain: NDArray[np.bool_],
    odd: NDArray[np.bool_],
    skipped: Skipped,
) -> None:
    """Count the rows that are not ``plain`` and have no TCP inside; the rest may have, and are walked.

    ``at`` is where the content of IP begins. ``odd`` rows are fragments and those whose lengths contradict each other.
    """
    without_tcp = WITHOUT_TCP_BY_NUMBER[protocol]
    udp = np.flatnonzero((protocol == UDP) & ~odd)
    without_tcp[udp] = ~np.isin(gather(buffer, at[udp] + 2, PORT), UDP_PORTS)
    for number, errors in ((ICMP, ICMP_ERRORS), (ICMPV6, ICMPV6_ERRORS)):
        messages = np.flatnonzero(protocol == number)
        without_tcp[messages] = odd[messages] | ~np.isin(gather(buffer, at[messages], KIND), errors)
    without_tcp &= ~plain
    skipped.count("not TCP", int(np.count_nonzero(without_tcp)))
    skipped.walk(row[~(plain | without_tcp)])
