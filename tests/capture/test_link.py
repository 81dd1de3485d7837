"""Link layers: wherever IP begins, the same segment comes out."""

from __future__ import annotations

import struct

import pytest

from easpcap.capture.layers.numbers import link_type_name
from tests.capture.rows import read
from tests.support.packets import (
    IPV6_TYPE,
    ethernet,
    ipv4,
    ipv6,
    pcap_bytes,
    pcapng_interface,
    pcapng_packet,
    pcapng_section,
    tcp,
    tcp_packet,
)

SEGMENT = tcp(50000, 443, 1, 2, 24, b"hello")
V4 = ipv4("10.0.0.1", "10.0.0.2", SEGMENT)
V6 = ipv6("2001:db8::1", "2001:db8::2", SEGMENT)
COOKED_V1_HEAD = struct.pack(">HHHQ", 0, 1, 6, 0x020000000001 << 16)
COOKED_V2_TAIL = struct.pack(">HIHBBQ", 0, 2, 1, 0, 6, 0)
SNAP = b"\xaa\xaa\x03\0\0\0"
RADIOTAP = struct.pack("<BBHI", 0, 0, 12, 0) + bytes(4)


def pppoe(content: bytes) -> bytes:
    return struct.pack(">BBHH", 0x11, 0, 1, len(content)) + content


PACKETS = {
    "ethernet": (1, ethernet(V4), ethernet(V6, IPV6_TYPE), "Ethernet"),
    "raw": (101, V4, V6, "Raw IP"),
    "raw 12": (12, V4, V6, "Raw IP"),
    "raw 14": (14, V4, V6, "Raw IP"),
    "raw v4": (228, V4, V4, "Raw IPv4"),
    "raw v6": (229, V6, V6, "Raw IPv6"),
    "null little": (0, b"\2\0\0\0" + V4, b"\x1e\0\0\0" + V6, "BSD loopback"),
    "null big": (0, b"\0\0\0\2" + V4, b"\0\0\0\x18" + V6, "BSD loopback"),
    "loop": (108, b"\0\0\0\2" + V4, b"\0\0\0\x18" + V6, "OpenBSD loopback"),
    "cooked v1": (113, COOKED_V1_HEAD + b"\x08\0" + V4, COOKED_V1_HEAD + b"\x86\xdd" + V6, "Linux cooked v1"),
    "cooked v2": (276, b"\x08\0" + COOKED_V2_TAIL + V4, b"\x86\xdd" + COOKED_V2_TAIL + V6, "Linux cooked v2"),
    "hdlc": (104, b"\x0f\0\x08\0" + V4, b"\x0f\0\x86\xdd" + V6, "Cisco HDLC"),
    "ppp": (9, b"\xff\x03\0\x21" + V4, b"\x57" + V6, "PPP"),
    "802.11": (105, b"\x08\1" + bytes(22) + SNAP + b"\x08\0" + V4,
               b"\x88\3" + bytes(30) + SNAP + b"\x86\xdd" + V6, "IEEE 802.11"),
    "radiotap": (127, RADIOTAP + b"\x08\1" + bytes(22) + SNAP + b"\x08\0" + V4,
                 RADIOTAP + b"\x88\1" + bytes(24) + SNAP + b"\x86\xdd" + V6, "IEEE 802.11 radiotap"),
    "mpls": (219, b"\0\1\x21\0" + V4, b"\0\1\x20\0\0\0\x21\0" + V6, "MPLS"),
    "atm": (100, SNAP + b"\x08\0" + V4, SNAP + b"\x86\xdd" + V6, "ATM (RFC 1483)"),
    "nflog": (239, b"\2\0\0\1\5\0\x0a\0a\0\0\0" + struct.pack("<HH", len(V4) + 4, 9) + V4,
              b"\2\0\0\1\0\5\0\x0aa\0\0\0" + struct.pack(">HH", len(V6) + 4, 9) + V6, "NFLOG"),
    "pppoe": (1, ethernet(pppoe(b"\0\x21" + V4), 0x8864), ethernet(pppoe(b"\0\x57" + V6), 0x8864), "Ethernet"),
    "pppoe short": (1, ethernet(pppoe(b"\x21" + V4), 0x8864), ethernet(pppoe(b"\x57" + V6), 0x8864), "Ethernet"),
}  # fmt: skip


@pytest.mark.parametrize("name", PACKETS)
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_segment_is_found_after_every_link_layer_header(name: str, order: str):
    link_type, first, second, display = PACKETS[name]
    capture, rows = read(pcap_bytes([first, second, first, first], link_type=link_type, order=order))
    assert [(row.frame, row.payload, row.on_wire, row.seq) for row in rows] == [
        (n, b"hello", 5, 1) for n in (1, 2, 3, 4)
    ]
    assert [row.src for row in rows[:2]] == [
        "2001:db8::1" if b"\x20\x01\x0d\xb8" in packet else "10.0.0.1" for packet in (first, second)
    ]
    assert capture.link_types == [display]
    assert not capture.ignored


@pytest.mark.parametrize(
    "vlans",
    [((0x8100, 7),), ((0x88A8, 7), (0x8100, 8)), ((0x9100, 1), (0x8100, 2), (0x8100, 3)), ((0x8100, 1),) * 4],
)
@pytest.mark.parametrize("addresses", [("10.0.0.1", "10.0.0.2"), ("2001:db8::1", "2001:db8::2")])
def test_vlan_tags_are_passed(vlans: tuple[tuple[int, int], ...], addresses: tuple[str, str]):
    plain, tagged = (tcp_packet(*addresses, payload=b"hello", vlans=tags) for tags in ((), vlans))
    _, rows = read(pcap_bytes([tagged, plain, tagged]))
    assert [(row.frame, row.src, row.payload) for row in rows] == [(n, addresses[0], b"hello") for n in (1, 2, 3)]


def test_only_a_bounded_number_of_vlan_tags_is_followed():
    capture, rows = read(pcap_bytes([tcp_packet(vlans=((0x8100, 1),) * tags) for tags in (25, 100)]))
    assert [row.frame for row in rows] == [1]
    assert capture.ignored == {"too many headers": 1}


def test_pppoe_in_a_vlan_is_passed():
    packet = ethernet(pppoe(b"\0\x21" + V4), 0x8864, vlans=((0x8100, 7),))
    assert [row.payload for row in read(pcap_bytes([packet]))[1]] == [b"hello"]


@pytest.mark.parametrize("link_type", [9, 105, 127, 239])
def test_packets_without_ip_on_a_rare_link_layer_are_counted(link_type: int):
    capture, rows = read(pcap_bytes([b"", b"\0", bytes(100), b"\xff" * 100], link_type=link_type))
    assert not rows
    assert sum(capture.ignored.values()) == 4


@pytest.mark.parametrize("link_type", [0, 108])
def test_a_loopback_packet_of_another_protocol_is_not_ip(link_type: int):
    for family in (b"\7\0\0\0", b"\0\0\0\7"):
        capture, _ = read(pcap_bytes([family + bytes(40)], link_type=link_type))
        assert capture.ignored == {"not IP": 1}


def test_an_encrypted_wireless_packet_is_named():
    packet = b"\x08\x41" + bytes(22) + SNAP + b"\x08\0" + V4
    assert read(pcap_bytes([packet], link_type=105))[0].ignored == {"IEEE 802.11, encrypted": 1}


def test_very_many_unknown_link_types_are_counted_under_a_bounded_number_of_reasons():
    interfaces = b"".join(pcapng_interface(1000 + number) for number in range(500))
    packets = b"".join(pcapng_packet(1, V4, interface=number) for number in range(500))
    capture, _ = read(pcapng_section() + interfaces + packets)
    assert sum(capture.ignored.values()) == capture.packets == 500
    assert len(capture.ignored) < 100
    assert len(capture.link_types) < 100


def test_a_link_type_that_is_not_decoded_is_named_and_counted():
    capture, rows = read(pcap_bytes([V4, V4], link_type=189))
    assert not rows
    assert capture.ignored == {"unsupported link type 189": 2}
    assert capture.link_types == ["USB"]
    assert link_type_name(9999) == "link type 9999"
