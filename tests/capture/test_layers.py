"""Headers between the link layer and TCP: where the segment ends, and how packets that cannot be read are named."""

from __future__ import annotations

import io
import struct
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easpcap.capture import open_capture
from easpcap.capture.layers import numbers, tables
from easpcap.capture.link import PLAIN
from tests.capture.rows import read
from tests.support.packets import IPV6_TYPE, RAW_IP, ethernet, ipv4, ipv6, pcap_bytes, tcp, tcp_packet

A4, B4, A6, B6 = "10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2"
SEGMENT = tcp(50000, 443, 1, 2, 24, b"hello")
V4, V6 = ipv4(A4, B4, SEGMENT), ipv6(A6, B6, SEGMENT)
#: A bare ACK whose IP length counts six bytes more than there are outside of padding.
LONG = ipv4(A4, B4, tcp(50000, 443, 1, 2, 16), total_length=46) + bytes(6)
IPIP, SIXIN4, GRE, ESP, UDP = 4, 41, 47, 50, 17
VLAN_AND_LENGTH = ((0x8100, 7),)
FCS = b"\x11\x22\x33\x44"


def outer(content: bytes, protocol: int, **fields: int) -> bytes:
    return ethernet(ipv4("192.0.2.1", "192.0.2.2", content, protocol=protocol, **fields), pad=False)


def udp(content: bytes, port: int, length: int | None = None) -> bytes:
    size = len(content) + 8 if length is None else length
    return outer(struct.pack(">HHHH", 40000, port, size, 0) + content, UDP)


def gre(content: bytes, ethertype: int = 0x0800, flags: int = 0, options: bytes = b"") -> bytes:
    return outer(struct.pack(">HH", flags, ethertype) + options + content, GRE)


def pppoe(content: bytes, length: int) -> bytes:
    return ethernet(struct.pack(">BBHHH", 0x11, 0, 1, length, 0x21) + content, 0x8864)


def vxlan(frame: bytes, flags: int = 8) -> bytes:
    return udp(struct.pack(">BxxxI", flags, 5 << 8) + frame, 4789)


def geneve(content: bytes, ethertype: int, options: bytes = b"") -> bytes:
    return udp(struct.pack(">BBHI", len(options) // 4, 0, ethertype, 5 << 8) + options + content, 6081)


def mpls(content: bytes, labels: int = 2) -> bytes:
    stack = [16 + number << 12 | (number == labels - 1) << 8 | 64 for number in range(labels)]
    return ethernet(struct.pack(f">{labels}I", *stack) + content, 0x8847)


def snap(content: bytes, organization: bytes = b"\0\0\0", number: int = 0x0800) -> bytes:
    return b"\xaa\xaa\x03" + organization + struct.pack(">H", number) + content


def in_802_3(content: bytes, **fields) -> bytes:
    return ethernet(content, len(content), **fields)


CARRIERS = {
    "gre": gre(V4),
    "gre with checksum, key and sequence number": gre(V4, flags=0xB000, options=bytes(12)),
    "gre with wccp": gre(bytes(4) + V4, 0x883E),
    "ip in ip": outer(V4, IPIP),
    "6in4": outer(V6, SIXIN4),
    "vxlan": vxlan(ethernet(V4)),
    "vxlan in vlan with a vlan inside": vxlan(tcp_packet(A4, B4, 50000, 443, 1, 2, 24, b"hello", vlans=((0x8100, 9),))),
    "geneve": geneve(ethernet(V6, IPV6_TYPE), 0x6558, bytes(8)),
    "mpls": mpls(V4),
    "mpls with a frame": mpls(bytes(4) + ethernet(V4), 1),
    "snap": in_802_3(snap(V4)),
    "snap after vlan": in_802_3(snap(V4), vlans=VLAN_AND_LENGTH),
    "snap of ipv6 after two vlans": in_802_3(snap(V6, number=0x86DD), vlans=((0x88A8, 1), (0x8100, 7))),
    "cisco metadata after vlan": ethernet(b"\1\1\0\1\0\5\x08\0" + V4, 0x8909, vlans=VLAN_AND_LENGTH),
    "vn-tag and vlan": ethernet(b"\0\1\0\2\x81\0\0\7\x08\0" + V4, 0x8926),
    "fabric path with check sequence": ethernet(b"\0\x41" + ethernet(V4) + FCS, 0x8903),
    "802.1ah": ethernet(bytes(4) + ethernet(V4), 0x88E7),
    "802.1ah in 802.1ad": ethernet(bytes(4) + ethernet(V4), 0x88E7, vlans=((0x88A8, 3),)),
    "macsec without encryption": ethernet(b"\0\0\0\0\0\1\x08\0" + V4 + bytes(16), 0x88E5),
    "cisco isl": b"\1\0\x0c\0\0\0"
    + bytes(6)
    + struct.pack(">H", 72 + 4)
    + b"\xaa\xaa\3"
    + bytes(9)
    + ethernet(V4)
    + FCS,
    "lisp": udp(b"\xc0" + bytes(7) + V4, 4341),
    "trill": ethernet(bytes(6) + ethernet(V4), 0x22F3),
    "hsr": ethernet(b"\0\x40\0\1\x08\0" + V4, 0x892F),
    "erspan 1": gre(ethernet(V4), 0x88BE),
    "erspan 2": gre(bytes(8) + ethernet(V4), 0x88BE, 0x1000, bytes(4)),
    "erspan 3": gre(bytes(12) + ethernet(V4), 0x22EB, 0x1000, bytes(4)),
    "erspan 3 with subheader": gre(b"\x20" + bytes(10) + b"\1" + bytes(8) + ethernet(V4), 0x22EB, 0x1000, bytes(4)),
    "erspan 3 with ip": gre(bytes(10) + struct.pack(">H", 2 << 10) + V4, 0x22EB, 0x1000, bytes(4)),
    "authentication header": ethernet(ipv4(A4, B4, b"\6\4" + bytes(22) + SEGMENT, protocol=51)),
    "length zero": ethernet(ipv4(A4, B4, SEGMENT, total_length=0), pad=False),
    "gre in gre in gre": gre(gre(gre(V4)[14:])[14:]),
}


@pytest.mark.parametrize("name", CARRIERS)
def test_the_segment_is_found_and_stands_in_file_order_among_plain_ones(name: str):
    plain = tcp_packet(A4, B4, payload=b"plain")
    capture, rows = read(pcap_bytes([plain, CARRIERS[name], plain, CARRIERS[name]]))
    assert [(row.frame, row.payload, row.on_wire) for row in rows] == [
        (1, b"plain", 5),
        (2, b"hello", 5),
        (3, b"plain", 5),
        (4, b"hello", 5),
    ]
    assert not capture.ignored


@pytest.mark.parametrize("name", CARRIERS)
def test_a_packet_cut_anywhere_gives_what_is_there_or_a_reason(name: str):
    whole = CARRIERS[name]
    cuts = [(number, whole[:number], len(whole)) for number in range(len(whole))]
    capture, rows = read(pcap_bytes(cuts))
    assert len(rows) + sum(capture.ignored.values()) == len(cuts)
    assert set(capture.ignored) <= {"truncated before TCP", "not TCP", "not IP"}
    assert [row.payload for row in rows] == [b"hello"[: len(row.payload)] for row in rows]
    assert [row.payload for row in rows] == sorted((row.payload for row in rows), key=len)
    if name != "macsec without encryption":
        assert {row.on_wire for row in rows} == {5}


@pytest.mark.parametrize(
    "packet",
    [
        pppoe(LONG, 42),
        in_802_3(snap(LONG))[:12] + struct.pack(">H", 48) + snap(LONG),
        outer(LONG, IPIP, total_length=60),
        gre(LONG)[:16] + struct.pack(">H", 64) + gre(LONG)[18:],
        udp(struct.pack(">BxxxI", 8, 0) + ethernet(LONG, pad=False), 4789, 8 + 8 + 14 + 40),
    ],
    ids=["pppoe", "802.3", "ip", "gre", "udp"],
)
def test_the_outer_length_bounds_the_segment(packet: bytes):
    _, rows = read(pcap_bytes([packet]))
    assert [(row.payload, row.on_wire) for row in rows] == [(b"", 0)]


def test_bytes_after_the_outer_length_are_a_trailer():
    _, rows = read(pcap_bytes([pppoe(V4, len(V4) + 2) + b"trailer", in_802_3(snap(V4)) + b"trailer"]))
    assert [(row.payload, row.on_wire) for row in rows] == [(b"hello", 5)] * 2


def test_the_frame_bounds_a_segment_whose_ip_length_is_greater():
    _, rows = read(pcap_bytes([ipv4(A4, B4, SEGMENT, total_length=100), V6[:5] + b"\x70" + V6[6:]], link_type=RAW_IP))
    assert [(row.payload, row.on_wire) for row in rows] == [(b"hello", 5)] * 2


UNREAD = {
    "GRE, EtherType 0x1234": gre(V4, 0x1234),
    "GRE, routing or unknown version": gre(V4, flags=0x4000),
    "GRE, malformed": gre(b"\x99" * 40),
    "MPLS, unknown content": mpls(b"\x99" * 60),
    "VXLAN, EtherType 0x1234": vxlan(ethernet(V4, 0x1234)),
    "ERSPAN, frame type 9": gre(bytes(10) + struct.pack(">H", 9 << 10) + V4, 0x22EB),
    "MACsec, encrypted": ethernet(b"\x0c" + bytes(60), 0x88E5),
    "ESP, encrypted": outer(bytes(40), ESP),
    "GRE, ESP, encrypted": gre(ipv4(A4, B4, bytes(40), protocol=ESP)),
    "EtherType 0x1234": ethernet(V4, 0x1234),
    "IP protocol 253": outer(V4, 253),
    "IPComp": outer(V4, 108),
    "L2TP": outer(V4, 115),
    "SNAP protocol 0x121234": in_802_3(snap(V4, b"\0\0\x12", 0x1234)),
    "LLC service 0x12": in_802_3(b"\x12\x12\x03" + V4),
    "PPP protocol 0x49": ethernet(struct.pack(">BBHHH", 0x11, 0, 1, 40, 0x49) + bytes(38), 0x8864),
    "PPP, compressed or encrypted": ethernet(struct.pack(">BBHHB", 0x11, 0, 1, 40, 0xFD) + bytes(39), 0x8864),
    "too many headers": ethernet(b"\0\1\x81\0" * 100, 0x8100),
    "NSH, protocol 9": ethernet(b"\0\2\1\x09" + bytes(60), 0x894F),
}


@pytest.mark.parametrize("reason", UNREAD)
def test_what_is_not_read_is_named(reason: str):
    capture, rows = read(pcap_bytes([UNREAD[reason], CARRIERS["gre"], UNREAD[reason]]))
    assert [row.frame for row in rows] == [2]
    assert capture.ignored == {reason: 2}


@pytest.mark.parametrize(
    ("reason", "packet"),
    [
        ("not IP", ethernet(bytes(28), 0x0806)),
        ("not IP", vxlan(ethernet(bytes(28), 0x0806))),
        ("not IP", in_802_3(b"\x42\x42\x03" + bytes(36))),  # spanning tree
        ("not IP", in_802_3(snap(bytes(40), b"\0\0\x0c", 0x2000))),  # CDP
        ("not IP", in_802_3(b"\xfe\xfe\x03" + bytes(36), vlans=VLAN_AND_LENGTH)),  # IS-IS
        ("not IP", ethernet(struct.pack(">BBHHH", 0x11, 0, 1, 10, 0xC021) + bytes(8), 0x8864)),  # LCP
        ("not TCP", outer(bytes(20), UDP)),
        ("not TCP", gre(ipv4(A4, B4, bytes(20), protocol=UDP))),
        ("not TCP", outer(bytes(20), 89)),
        ("not TCP", outer(b"\x08" + bytes(20), 1)),  # echo
        ("not TCP", ethernet(ipv6(A6, B6, b"\x87" + bytes(30), protocol=58), IPV6_TYPE)),  # neighbour solicitation
        ("not TCP", ethernet(ipv6(A6, B6, b"", protocol=59), IPV6_TYPE)),
        ("not TCP", udp(b"\x12\x34\x81\x80\0\1\0\1" + bytes(20), 4789)),  # DNS to a client at this port
        ("not TCP", udp(bytes(4) + bytes(40), 4500)),  # key exchange
        ("not TCP", udp(b"\xff", 4500)),  # keepalive
        ("ESP, encrypted", udp(b"\1\2\3\4" + bytes(40), 4500)),
        ("not TCP", udp(b"\x30\1" + bytes(40), 2152)),  # echo of GTP
        ("not TCP", udp(b"\xc8\2" + bytes(40), 1701)),  # control of L2TP
    ],
)
def test_packets_without_tcp_are_counted_as_such(reason: str, packet: bytes):
    assert read(pcap_bytes([packet]))[0].ignored == {reason: 1}


def test_reasons_are_bounded():
    packets = [ethernet(V4, 0xA000 + number) for number in range(500)]
    ignored = read(pcap_bytes(packets))[0].ignored
    assert sum(ignored.values()) == 500
    assert len(ignored) < 100
    assert ignored["other reasons"] > 400


# ------------------------------------------------------------------ ICMP errors


def icmp_error(quoted: bytes, kind: int = 3) -> bytes:
    return outer(struct.pack(">BBHI", kind, 1, 0, 0) + quoted, 1)


def icmpv6_error(quoted: bytes) -> bytes:
    return ethernet(ipv6(B6, A6, struct.pack(">BBHI", 1, 1, 0, 0) + quoted, protocol=58), IPV6_TYPE)


def quotes_of(*packets: bytes):
    """(frame, source port, target port) of every quoted connection, and what was ignored."""
    capture = open_capture(io.BytesIO(pcap_bytes(packets)))
    found = [(quote.frame, quote.source[2], quote.target[2]) for batch in capture for quote in batch.quoted]
    return found, capture.ignored


@pytest.mark.parametrize(
    "error", [icmp_error(V4), icmp_error(V4[:36]), icmp_error(V4, 11), icmpv6_error(V6), gre(icmp_error(V4)[14:])]
)
def test_an_icmp_error_quotes_a_connection_and_carries_none(error: bytes):
    quotes, ignored = quotes_of(error, tcp_packet())
    assert quotes == [(1, 50000, 443)]
    assert ignored == {"ICMP error": 1}


def test_an_icmp_error_that_came_in_fragments_quotes_a_connection():
    error = struct.pack(">BBHI", 1, 1, 0, 0) + V6
    parts = [(0, error[:32], 1), (32, error[32:], 0)]
    packets = [
        ethernet(ipv6(B6, A6, part, protocol=44, extensions=struct.pack(">BBHI", 58, 0, at | more, 1)), IPV6_TYPE)
        for at, part, more in parts
    ]
    quotes, ignored = quotes_of(*packets, tcp_packet())
    assert quotes == [(2, 50000, 443)]
    assert ignored == {"ICMP error": 2}


@pytest.mark.parametrize(
    "quoted", [V4[:35], V4[:28], ipv4(A4, B4, SEGMENT, protocol=UDP), ipv4(A4, B4, SEGMENT, fragment=5), b""]
)
def test_a_quote_too_short_for_wireshark_does_not_count(quoted: bytes):
    quotes, ignored = quotes_of(icmp_error(quoted), tcp_packet())
    assert not quotes
    assert ignored == {"ICMP error": 1}


def test_quotes_wait_for_the_next_segment():
    between = [ethernet(bytes(28), 0x0806)] * 50
    capture = open_capture(io.BytesIO(pcap_bytes([icmp_error(V4), *between, tcp_packet()])), window_bytes=512)
    assert [quote.frame for batch in capture for quote in batch.quoted] == [1]


# ------------------------------------------------------------------ aggregates


def subframe(packet: bytes) -> bytes:
    content = snap(packet)
    return b"\2" * 12 + struct.pack(">H", len(content)) + content


def aggregate(*packets: bytes) -> bytes:
    padded = [subframe(packet) + bytes(-len(subframe(packet)) % 4) for packet in packets]
    return b"\x88\1" + bytes(22) + b"\x80\0" + b"".join(padded)


def test_every_segment_of_an_aggregated_wireless_frame_is_a_row():
    other = ipv4(A4, B4, tcp(50000, 443, 6, 2, 24, b" world"))
    capture, rows = read(pcap_bytes([aggregate(V4, other), aggregate(V6)], link_type=105))
    assert [(row.frame, row.payload) for row in rows] == [(1, b"hello"), (1, b" world"), (2, b"hello")]
    assert not capture.ignored


def test_an_aggregate_is_counted_only_if_none_of_its_frames_is_read():
    without = ipv4(A4, B4, bytes(20), protocol=UDP)
    capture, rows = read(pcap_bytes([aggregate(without, V4), aggregate(without, without)], link_type=105))
    assert [row.frame for row in rows] == [1]
    assert capture.ignored == {"not TCP": 1}


# ------------------------------------------------------------------ what is loaded

PLAIN_CAPTURE = [tcp_packet(payload=b"x"), ethernet(bytes(28), 0x0806), outer(bytes(20), UDP), outer(bytes(20), 1)]
ODD_CAPTURE = [*CARRIERS.values(), *UNREAD.values(), icmp_error(V4), in_802_3(b"\x42\x42\x03" + bytes(36))]
GTP = udp(struct.pack(">BBHI", 0x30, 0xFF, len(V4), 1) + V4, 2152)


@pytest.mark.parametrize(
    ("packets", "loaded"),
    [
        (PLAIN_CAPTURE, []),
        (ODD_CAPTURE, ["easpcap.capture.layers.walk"]),
        ([GTP], ["scapy", "easpcap.capture.layers.walk"]),
    ],
    ids=["plain", "odd", "rare"],
)
def test_only_rare_tunnels_load_scapy_and_plain_captures_load_nothing(packets: list[bytes], loaded: list[str]):
    script = (
        "import io, sys; from easpcap.capture import open_capture; "
        "n = sum(len(b) for b in open_capture(io.BytesIO(sys.stdin.buffer.read()))); "
        "print(n > 0, *[m for m in ('scapy', 'easpcap.capture.layers.walk') if m in sys.modules])"
    )
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, input=pcap_bytes(packets), capture_output=True, check=True)
    assert result.stdout.decode().split() == ["True", *loaded]
    assert result.stderr == b""


# ------------------------------------------------------------------ the tables, and hostile bytes


def test_the_tables_agree_with_the_numbers_that_load_first():
    assert set(tables.LINK_TYPES) == set(numbers.DECODED)
    assert set(tables.UDP_TUNNELS) == set(numbers.UDP_PORTS)
    assert set(PLAIN) <= set(numbers.DECODED)
    assert not set(tables.ETHERTYPES) & set(numbers.WITHOUT_IP)
    assert not set(tables.IP_PROTOCOLS) & numbers.WITHOUT_TCP


BEGINNINGS = [packet[:size] for packet in CARRIERS.values() for size in (14, 24, 38, 50)]


@given(
    st.sampled_from(sorted(numbers.DECODED)),
    st.lists(st.tuples(st.sampled_from([b"", V4, *BEGINNINGS]), st.binary(max_size=80)), max_size=6),
)
@settings(max_examples=400, deadline=None)
def test_every_packet_is_a_row_or_counted_whatever_its_bytes(link_type: int, pieces: list[tuple[bytes, bytes]]):
    packets = [start + rest for start, rest in pieces]
    capture, rows = read(pcap_bytes(packets, link_type=link_type))
    held = {row.frame for row in rows}
    assert len(held) + sum(capture.ignored.values()) == len(packets)


@pytest.mark.parametrize(
    "packet", [mpls(b"", 1)[:14] + bytes(4_000_000), b"\x88\1" + bytes(22) + b"\x80\0" + bytes(4_000_000)]
)
@pytest.mark.parametrize("link_type", [1, 105, 127])
def test_a_huge_packet_of_zeros_takes_no_longer_than_another(packet: bytes, link_type: int):
    capture, _ = read(pcap_bytes([packet] * 20, link_type=link_type, snap=2**24))
    assert capture.packets == 20
