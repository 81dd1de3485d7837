"""Packets and captures made by hand, byte by byte, so that a test says exactly what is on the wire.

    frame = tcp_packet("10.0.0.1", "10.0.0.2", 50000, 443, seq=1, ack=1, flags=ACK, payload=b"hello")
    capture = pcap_bytes([(1_000_000_000, frame)])

A packet is given to `pcap_bytes` and `pcapng_bytes` as bytes (times are then made up, one millisecond apart), as
(time_ns, bytes), or as (time_ns, bytes, length on the wire) where the snap length cut it.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10

ETHERNET, RAW_IP, NULL, LOOP, COOKED_V1, COOKED_V2 = 1, 101, 0, 108, 113, 276
IPV4_TYPE, IPV6_TYPE = 0x0800, 0x86DD
START_NS = 1_289_861_221_000_000_000  # 2010-11-15 22:47:01 UTC

Packet = bytes | tuple[int, bytes] | tuple[int, bytes, int]


def tcp(
    sport: int,
    dport: int,
    seq: int,
    ack: int,
    flags: int,
    payload: bytes = b"",
    *,
    window: int = 65535,
    options: bytes = b"",
) -> bytes:
    """A TCP segment; ``options`` must be a multiple of four bytes. The checksum is 0: nobody checks it."""
    size = (20 + len(options)) // 4
    numbers = (sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, size << 4, flags, window, 0, 0)
    return struct.pack(">HHIIBBHHH", *numbers) + options + payload


def ipv4(
    src: str,
    dst: str,
    payload: bytes,
    *,
    protocol: int = 6,
    options: bytes = b"",
    fragment: int = 0x4000,
    total_length: int | None = None,
) -> bytes:
    """An IPv4 packet; ``fragment`` is the flags and offset field, ``total_length`` overrides the true one."""
    words = (20 + len(options)) // 4
    size = words * 4 + len(payload) if total_length is None else total_length
    addresses = ipaddress.IPv4Address(src).packed + ipaddress.IPv4Address(dst).packed
    head = struct.pack(">BBHHHBBH", 0x40 | words, 0, size & 0xFFFF, 1, fragment, 64, protocol, 0)
    return head + addresses + options + payload


def ipv6(
    src: str, dst: str, payload: bytes, *, protocol: int = 6, extensions: bytes = b"", payload_length: int | None = None
) -> bytes:
    """An IPv6 packet; ``protocol`` is its next header: that of the first extension where there are any."""
    size = len(extensions) + len(payload) if payload_length is None else payload_length
    addresses = ipaddress.IPv6Address(src).packed + ipaddress.IPv6Address(dst).packed
    return struct.pack(">IHBB", 0x60000000, size & 0xFFFF, protocol, 64) + addresses + extensions + payload


def ethernet(
    payload: bytes, ethertype: int = IPV4_TYPE, *, vlans: Sequence[tuple[int, int]] = (), pad: bool = True
) -> bytes:
    """An Ethernet packet without its check sequence; ``vlans`` are (tag type, VLAN id), outermost first."""
    tags = b""
    for index, (_, vlan) in enumerate(vlans):
        inner = vlans[index + 1][0] if index + 1 < len(vlans) else ethertype
        tags += struct.pack(">HH", vlan, inner)
    outer = vlans[0][0] if vlans else ethertype
    packet = b"\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01" + struct.pack(">H", outer) + tags + payload
    return packet.ljust(60, b"\xee") if pad else packet


def tcp_packet(
    src: str = "10.0.0.1",
    dst: str = "10.0.0.2",
    sport: int = 50000,
    dport: int = 443,
    seq: int = 0,
    ack: int = 0,
    flags: int = ACK,
    payload: bytes = b"",
    *,
    window: int = 65535,
    options: bytes = b"",
    vlans: Sequence[tuple[int, int]] = (),
) -> bytes:
    """One TCP segment in IPv4 or IPv6 (by the form of ``src``) in Ethernet, padded to 60 bytes as real ones are."""
    segment = tcp(sport, dport, seq, ack, flags, payload, window=window, options=options)
    if ":" in src:
        return ethernet(ipv6(src, dst, segment), IPV6_TYPE, vlans=vlans)
    return ethernet(ipv4(src, dst, segment), vlans=vlans)


def timed(packets: Iterable[Packet]) -> list[tuple[int, bytes, int]]:
    """Every packet as (time_ns, bytes, length on the wire)."""
    rows = []
    for number, packet in enumerate(packets):
        parts = (START_NS + number * 1_000_000, packet) if isinstance(packet, bytes) else packet
        rows.append((parts[0], parts[1], parts[2] if len(parts) > 2 else len(parts[1])))
    return rows


def pcap_bytes(
    packets: Iterable[Packet],
    *,
    link_type: int = ETHERNET,
    order: str = "<",
    nanoseconds: bool = True,
    snap: int = 262144,
) -> bytes:
    """A pcap file; ``order`` is "<" or ">". With microseconds the rest of a time is cut off."""
    magic, unit = (0xA1B23C4D, 1) if nanoseconds else (0xA1B2C3D4, 1000)
    pieces = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap, link_type)]
    for time_ns, data, wire in timed(packets):
        seconds, rest = divmod(time_ns, 10**9)
        pieces.append(struct.pack(order + "IIII", seconds, rest // unit, len(data), wire) + data)
    return b"".join(pieces)


def pcapng_block(kind: int, body: bytes, order: str = "<") -> bytes:
    """One pcapng block, padded."""
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def pcapng_option(code: int, value: bytes, order: str = "<") -> bytes:
    """One pcapng option, padded."""
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def pcapng_section(order: str = "<") -> bytes:
    """A Section Header Block of unknown section length."""
    return pcapng_block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def pcapng_interface(
    link_type: int = ETHERNET, *, order: str = "<", resolution: int | None = 9, offset: int = 0, snap: int = 0
) -> bytes:
    """An Interface Description Block; ``resolution`` is the if_tsresol byte, None leaves it out (microseconds)."""
    options = b"" if resolution is None else pcapng_option(9, bytes([resolution]), order)
    if offset:
        options += pcapng_option(14, struct.pack(order + "q", offset), order)
    if options:
        options += pcapng_option(0, b"", order)
    return pcapng_block(1, struct.pack(order + "HHI", link_type, 0, snap) + options, order)


def pcapng_packet(ticks: int, data: bytes, wire: int | None = None, *, order: str = "<", interface: int = 0) -> bytes:
    """An Enhanced Packet Block; ``ticks`` are units of the interface's resolution."""
    size = len(data) if wire is None else wire
    body = struct.pack(order + "IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF, len(data), size) + data
    return pcapng_block(6, body, order)


def pcapng_secrets(lines: bytes, *, order: str = "<", kind: int = 0x544C534B) -> bytes:
    """A Decryption Secrets Block, by default with a TLS key log."""
    return pcapng_block(10, struct.pack(order + "II", kind, len(lines)) + lines, order)


def pcapng_bytes(
    packets: Iterable[Packet], *, link_type: int = ETHERNET, order: str = "<", secrets: bytes | None = None
) -> bytes:
    """A pcapng file of one section and one interface with nanoseconds; ``secrets`` is a key log before the packets."""
    pieces = [pcapng_section(order), pcapng_interface(link_type, order=order)]
    if secrets is not None:
        pieces.append(pcapng_secrets(secrets, order=order))
    pieces += [pcapng_packet(time_ns, data, wire, order=order) for time_ns, data, wire in timed(packets)]
    return b"".join(pieces)
