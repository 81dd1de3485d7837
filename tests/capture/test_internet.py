"""IPv4 and IPv6: options, extension headers, fragments, and where the packet ends."""

from __future__ import annotations

import struct

import pytest

from tests.capture.rows import read
from tests.support.packets import IPV6_TYPE, RAW_IP, ethernet, ipv4, ipv6, pcap_bytes, tcp

SEGMENT = tcp(50000, 443, 1, 2, 24, b"hello")
A4, B4, A6, B6 = "10.0.0.1", "10.0.0.2", "2001:db8::1", "fe80::2"
HOP, ROUTING, FRAGMENT, AH, DESTINATION, TCP, UDP = 0, 43, 44, 51, 60, 6, 17


def raw(*packets: bytes):
    return read(pcap_bytes(packets, link_type=RAW_IP))


def extension(following: int, size: int) -> bytes:
    return struct.pack("BB", following, size // 8 - 1) + bytes(size - 2)


@pytest.mark.parametrize("size", [0, 4, 20, 40])
def test_ipv4_options_are_skipped(size: int):
    _, rows = raw(ipv4(A4, B4, SEGMENT), ipv4(A4, B4, SEGMENT, options=b"\1" * size))
    assert [(row.src, row.dst, row.payload) for row in rows] == [(A4, B4, b"hello")] * 2


def test_padding_after_the_ip_packet_is_not_payload():
    short = tcp(1, 2, 3, 4, 16)
    frames = ethernet(ipv4(A4, B4, short)), ethernet(ipv6(A6, B6, b""), IPV6_TYPE), ethernet(ipv4(A4, B4, SEGMENT))
    _, rows = read(pcap_bytes(frames))
    assert [(row.payload, row.on_wire) for row in rows] == [(b"", 0), (b"hello", 5)]


def test_length_zero_means_that_ip_ends_with_the_packet():
    segment = tcp(1, 2, 3, 4, 16, b"z" * 3000)
    packets = [ipv4(A4, B4, segment, total_length=0), ipv6(A6, B6, segment, payload_length=0)]
    _, rows = raw(*packets)
    assert [(len(row.payload), row.on_wire) for row in rows] == [(3000, 3000)] * 2
    cut = [(1, packet[:-1000], len(packet)) for packet in packets]
    _, rows = read(pcap_bytes(cut, link_type=RAW_IP))
    assert [(len(row.payload), row.on_wire) for row in rows] == [(2000, 3000)] * 2


@pytest.mark.parametrize(
    ("kinds", "extensions"),
    [
        ([HOP], extension(TCP, 8)),
        ([ROUTING], extension(TCP, 24)),
        ([DESTINATION], extension(TCP, 2048)),
        ([AH], struct.pack("BB", TCP, 4) + bytes(22)),
        ([FRAGMENT], struct.pack(">BBHI", TCP, 255, 0, 99)),
        ([HOP, DESTINATION], extension(DESTINATION, 8) + extension(TCP, 16)),
        (
            [HOP, DESTINATION, ROUTING, FRAGMENT, AH, DESTINATION],
            extension(DESTINATION, 16)
            + extension(ROUTING, 8)
            + extension(FRAGMENT, 24)
            + struct.pack(">BBHI", AH, 0, 6, 1)  # the reserved bits of the offset field say nothing
            + struct.pack("BB", DESTINATION, 5)
            + bytes(26)
            + extension(TCP, 8),
        ),
    ],
)
def test_ipv6_extension_headers_are_passed(kinds: list[int], extensions: bytes):
    packet = ipv6(A6, B6, SEGMENT, protocol=kinds[0], extensions=extensions)
    capture, rows = raw(ipv6(A6, B6, SEGMENT), packet, ipv4(A4, B4, SEGMENT), packet)
    assert [(row.src, row.dst, row.payload) for row in rows] == [
        (A6, B6, b"hello"),
        (A6, B6, b"hello"),
        (A4, B4, b"hello"),
        (A6, B6, b"hello"),
    ]
    assert not capture.ignored


def test_only_a_bounded_number_of_extension_headers_is_followed():
    capture, rows = raw(ipv6(A6, B6, SEGMENT, protocol=HOP, extensions=extension(HOP, 8) * 200))
    assert not rows
    assert capture.ignored == {"too many headers": 1}


def test_other_protocols_are_counted():
    capture, rows = raw(ipv4(A4, B4, bytes(20), protocol=UDP), ipv6(A6, B6, bytes(20), protocol=UDP), b"\x99" * 40)
    assert not rows
    assert capture.ignored == {"not TCP": 2, "malformed": 1}


@pytest.mark.parametrize(
    "packet",
    [
        b"\x44" + ipv4(A4, B4, SEGMENT)[1:],  # header of 16 bytes
        ipv4(A4, B4, SEGMENT, total_length=19),
        ipv4(A4, B4, SEGMENT, total_length=39),  # ends in the TCP header
        ipv4(A4, B4, SEGMENT[:12] + b"\x40" + SEGMENT[13:]),  # TCP header of 16 bytes
        ipv4(A4, B4, SEGMENT[:12] + b"\xf0" + SEGMENT[13:]),  # and of 60
        ipv6(A6, B6, SEGMENT, payload_length=19),
        ipv6(A6, B6, SEGMENT, protocol=HOP, extensions=extension(TCP, 8), payload_length=7),
    ],
)
def test_lengths_that_contradict_each_other_are_malformed(packet: bytes):
    capture, rows = raw(packet, ipv4(A4, B4, SEGMENT))
    assert [row.frame for row in rows] == [2]
    assert capture.ignored == {"malformed": 1}


def test_rows_of_both_ip_versions_are_in_file_order():
    packets = [ipv6(A6, B6, SEGMENT) if number % 3 else ipv4(A4, B4, SEGMENT) for number in range(50)]
    _, rows = raw(*packets)
    assert [row.frame for row in rows] == list(range(1, 51))
    assert [row.src for row in rows] == [A6 if number % 3 else A4 for number in range(50)]
