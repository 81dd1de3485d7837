"""pcap: record headers in both byte orders and three dialects become frames with times."""

from __future__ import annotations

import os
import struct

import pytest

from easpcap.capture import open_capture
from tests.capture.rows import Row, read, rows_of
from tests.support.captures import pcap_variant
from tests.support.packets import ACK, PSH, START_NS, SYN, pcap_bytes, tcp_packet

HELLO = tcp_packet("10.0.0.1", "192.168.255.254", 50000, 443, 0xFFFFFFFF, 0x80000000, PSH | ACK, b"hello", window=4242)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [True, False])
def test_a_row_has_exactly_the_values_of_its_packet(order: str, nanoseconds: bool):
    time = START_NS + 123_456_000 + (789 if nanoseconds else 0)
    capture, rows = read(pcap_bytes([(time, HELLO)], order=order, nanoseconds=nanoseconds))
    wanted = Row(
        1, time, "10.0.0.1", "192.168.255.254", 50000, 443, 0xFFFFFFFF, 0x80000000, PSH | ACK, 4242, b"hello", 5
    )
    assert rows == [wanted]
    assert (capture.format, capture.link_types, capture.packets) == ("pcap", ["Ethernet"], 1)
    assert (capture.first_time, capture.last_time, capture.truncated) == (time, time, False)
    assert not capture.ignored
    assert not capture.anomalies


def test_frames_count_every_packet_and_start_at_the_given_number():
    arp = b"\xff" * 12 + b"\x08\x06" + bytes(46)
    capture, rows = read(pcap_bytes([arp, HELLO, arp, HELLO]), first_frame=101)
    assert [row.frame for row in rows] == [102, 104]
    assert capture.packets == 4
    assert capture.ignored == {"not IP": 2}


def test_first_and_last_time_are_the_extremes_whatever_the_order():
    capture, rows = read(pcap_bytes([(5, HELLO), (2, HELLO), (9, HELLO), (3, HELLO)]))
    assert (capture.first_time, capture.last_time) == (2, 9)
    assert [row.time_ns for row in rows] == [5, 2, 9, 3]


def test_a_packet_cut_by_the_snap_length_keeps_its_length_on_the_wire():
    packet = tcp_packet(payload=b"x" * 1000)
    _, rows = read(pcap_bytes([(1, packet[:154], len(packet))]))
    assert (rows[0].payload, rows[0].on_wire) == (b"x" * 100, 1000)


def test_a_packet_cut_in_its_tcp_options_yields_a_row_without_payload():
    packet = tcp_packet(payload=b"x" * 1000, options=bytes(12))
    capture, rows = read(pcap_bytes([(1, packet[:58], len(packet))]))
    assert (rows[0].payload, rows[0].on_wire) == (b"", 1000)
    assert not capture.ignored


def test_a_packet_cut_before_its_tcp_header_is_counted():
    packet = tcp_packet(flags=SYN)
    capture, rows = read(pcap_bytes([(1, packet[:size], 60) for size in (53, 34, 20, 14, 13, 0)]))
    assert not rows
    assert (capture.ignored, capture.packets) == ({"truncated before TCP": 6}, 6)


def test_the_modified_format_has_eight_more_bytes_per_header():
    record = struct.pack("<IIII", 1, 2, len(HELLO), len(HELLO)) + bytes(8) + HELLO
    capture, rows = read(struct.pack("<IHHiIII", 0xA1B2CD34, 2, 4, 0, 0, 65535, 1) + record * 2)
    assert [(row.time_ns, row.payload) for row in rows] == [(1_000_002_000, b"hello")] * 2
    assert capture.format == "pcap"


def test_check_sequence_bits_in_the_link_type_are_not_part_of_it():
    capture, rows = read(pcap_bytes([HELLO + b"\1\2\3\4"], link_type=0x14000001))
    assert capture.link_types == ["Ethernet"]
    assert rows[0].payload == b"hello"


def test_a_capture_without_packets_is_a_capture():
    capture, rows = read(pcap_bytes([]))
    assert not rows
    assert (capture.packets, capture.first_time, capture.last_time, capture.truncated) == (0, None, None, False)


def test_an_impossible_packet_length_with_nothing_after_it_ends_the_reading():
    data = pcap_bytes([HELLO, HELLO]) + struct.pack("<IIII", 1, 1, 0x7FFFFFFF, 60) + bytes(100)
    capture, rows = read(data)
    assert (len(rows), capture.packets, capture.truncated) == (2, 2, True)
    assert capture.anomalies == [("capture-damaged", 2, "the remaining 116 bytes cannot be read")]
    assert (capture.damaged_places, capture.unread_bytes) == (1, 116)
    assert capture.bytes_read == len(data)


def test_a_packet_greater_than_the_window_is_read_whole():
    packet = tcp_packet(payload=b"y" * 60_000)
    _, rows = read(pcap_bytes([HELLO, packet, HELLO]), window_bytes=1000)
    assert [len(row.payload) for row in rows] == [5, 60_000, 5]


def test_a_large_window_is_read_in_batches_without_losing_a_packet(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("easpcap.capture.records.BATCH_PACKETS", 100)
    packets = [tcp_packet(seq=number, payload=b"x" * 1400) for number in range(1000)]
    _, rows = read(pcap_bytes(packets), window_bytes=2**22)
    assert [row.seq for row in rows] == list(range(1000))


# ---------------------------------------------------------------------- variants of the format

VARIANT_PACKETS = [
    (START_NS + n * 1_000_000, tcp_packet(seq=n, payload=bytes([n]) * (n % 5)), 60 + n) for n in range(12)
]
VARIANTS = {
    "1999-04-17": pcap_variant(VARIANT_PACKETS, extra=bytes(8)),
    "1999-04-17, big-endian": pcap_variant(VARIANT_PACKETS, order=">", extra=bytes(8)),
    "1999-09-15": pcap_variant(VARIANT_PACKETS, magic=0xA1B2CD34, extra=bytes(12)),
    "1999-10-29": pcap_variant(VARIANT_PACKETS, magic=0xA1B2CD34, extra=bytes(8)),
    "Nokia": pcap_variant(VARIANT_PACKETS, extra=b"\1\2\3\4"),
    "AIX": pcap_variant(VARIANT_PACKETS, version=(2, 2), link_type=6, order=">", fraction_ns=1),
    "Ixia": pcap_variant(VARIANT_PACKETS, magic=0x1C0001AC, extra_header=bytes(4), fraction_ns=1),
    "Ixia, big-endian": pcap_variant(VARIANT_PACKETS, magic=0x1C0001AB, extra_header=bytes(4), order=">"),
    "before 2.3": pcap_variant(VARIANT_PACKETS, version=(2, 1), swapped=True),
    "DG/UX": pcap_variant(VARIANT_PACKETS, version=(543, 0), swapped=True, order=">"),
}
EVERY_VARIANT = pytest.mark.parametrize("data", VARIANTS.values(), ids=VARIANTS)


@EVERY_VARIANT
@pytest.mark.parametrize("window", [1, 40, 2**16])
def test_variants_give_the_same_rows(data: bytes, window: int):
    capture, rows = read(data, window_bytes=window)
    assert rows == read(pcap_bytes(VARIANT_PACKETS))[1]
    assert (capture.format, capture.link_types, capture.truncated) == ("pcap", ["Ethernet"], False)


@EVERY_VARIANT
def test_variants_that_are_cut_at_any_byte_give_whole_packets(data: bytes):
    whole = read(data)[1]
    for cut in range(180, len(data)):
        _, rows = read(data[:cut])
        assert rows == whole[: len(rows)]


@EVERY_VARIANT
def test_variants_are_read_from_a_pipe_that_grows(data: bytes):
    inlet, outlet = os.pipe()
    with os.fdopen(inlet, "rb", buffering=0) as file:
        os.write(outlet, data[:-100])
        batches = iter(open_capture(file))
        rows = rows_of(next(batches))
        assert len(rows) > 5
        os.write(outlet, data[-100:])
        os.close(outlet)
        rows += [row for batch in batches for row in rows_of(batch)]
    assert rows == read(data)[1]


@pytest.mark.parametrize(
    ("version", "link_type", "name"),
    [((2, 2), 6, "Ethernet"), ((2, 2), 9, "Token Ring"), ((2, 2), 24, "BSD loopback"), ((2, 4), 6, "Token Ring")],
)
def test_only_aix_numbers_link_types_as_interfaces(version: tuple[int, int], link_type: int, name: str):
    data = pcap_variant(VARIANT_PACKETS, version=version, link_type=link_type)
    assert read(data)[0].link_types == [name]


def test_one_packet_of_a_variant_is_not_enough_to_recognise_it():
    """The longer header must prove itself; else the usual one is taken."""
    capture, _ = read(pcap_variant(VARIANT_PACKETS[:1], extra=bytes(8)))
    assert capture.packets == 1
