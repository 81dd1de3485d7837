"""pcapng: sections, interfaces and packet blocks of every kind become frames with exact times; key logs are kept."""

from __future__ import annotations

import struct

import pytest

from tests.capture.rows import read
from tests.support.packets import (
    COOKED_V1,
    RAW_IP,
    START_NS,
    ipv4,
    pcapng_block,
    pcapng_bytes,
    pcapng_interface,
    pcapng_option,
    pcapng_packet,
    pcapng_secrets,
    pcapng_section,
    tcp,
    tcp_packet,
)

HELLO = tcp_packet(payload=b"hello")


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_section_with_one_interface_gives_its_packets(order: str):
    capture, rows = read(pcapng_bytes([HELLO, tcp_packet(payload=b"world")], order=order))
    assert [(row.frame, row.time_ns, row.payload) for row in rows] == [
        (1, START_NS, b"hello"),
        (2, START_NS + 1_000_000, b"world"),
    ]
    assert (capture.format, capture.link_types, capture.truncated) == ("pcapng", ["Ethernet"], False)


def test_one_file_may_have_sections_of_both_byte_orders():
    data = b"".join(pcapng_bytes([(number, HELLO)], order="<>"[number % 2]) for number in range(7))
    capture, rows = read(data)
    assert [(row.frame, row.time_ns) for row in rows] == [(number + 1, number) for number in range(7)]
    assert capture.packets == 7


def test_every_section_numbers_its_interfaces_from_zero():
    raw = ipv4("10.0.0.9", "10.0.0.8", tcp(1, 2, 3, 4, 16, b"raw"))
    data = pcapng_bytes([HELLO]) + pcapng_section(">") + pcapng_interface(COOKED_V1, order=">")
    data += pcapng_interface(RAW_IP, order=">", resolution=3) + pcapng_packet(7, raw, order=">", interface=1)
    capture, rows = read(data)
    assert [(row.payload, row.time_ns) for row in rows] == [(b"hello", START_NS), (b"raw", 7_000_000)]
    assert capture.link_types == ["Ethernet", "Linux cooked v1", "Raw IP"]


@pytest.mark.parametrize("late", [0, 1, 0xFFFFFFFF])
def test_a_packet_of_an_undescribed_interface_is_counted(late: int):
    capture, rows = read(pcapng_section() + pcapng_packet(1, HELLO, interface=late) + pcapng_bytes([HELLO]))
    assert [row.frame for row in rows] == [2]
    assert capture.ignored == {"no known link type": 1}


@pytest.mark.parametrize(
    ("resolution", "ticks", "time"),
    [
        (None, 1_234_567, 1_234_567_000),
        (0, 3, 3_000_000_000),
        (3, 1, 1_000_000),
        (9, 2**62 + 1, 2**62 + 1),
        (12, 1_999, 1),
        (15, 10**18 + 999_999, 10**12),
        (40, 2**63, 0),
        (0x80 | 1, 3, 1_500_000_000),
        (0x80 | 30, (1 << 30) + 1, 1_000_000_000),
        (0x80 | 32, 0x4CE1B7A5_80000000, 0x4CE1B7A5 * 10**9 + 500_000_000),
        (0x80 | 63, 2**63 + 2**62, 1_500_000_000),
        (0xFF, 2**63, 0),
    ],
)
def test_times_are_exact_in_every_resolution(resolution: int | None, ticks: int, time: int):
    _, rows = read(pcapng_section() + pcapng_interface(resolution=resolution) + pcapng_packet(ticks, HELLO))
    assert [row.time_ns for row in rows] == [time]


def test_each_interface_uses_its_own_resolution():
    interfaces = pcapng_interface(resolution=6) + pcapng_interface(resolution=9) + pcapng_interface(resolution=0x8A)
    packets = b"".join(pcapng_packet(1024, HELLO, interface=number) for number in (2, 0, 1, 0))
    _, rows = read(pcapng_section() + interfaces + packets)
    assert [row.time_ns for row in rows] == [1_000_000_000, 1_024_000, 1024, 1_024_000]


@pytest.mark.parametrize("offset", [1_289_861_221, -5])
def test_the_offset_of_an_interface_is_added(offset: int):
    _, rows = read(pcapng_section() + pcapng_interface(offset=offset) + pcapng_packet(7 * 10**9, HELLO))
    assert rows[0].time_ns == (offset + 7) * 10**9


@pytest.mark.parametrize("order", ["<", ">"])
def test_simple_packet_blocks_take_the_time_of_the_packet_before(order: str):
    simple = pcapng_block(3, struct.pack(order + "I", len(HELLO)) + HELLO, order)
    data = pcapng_section(order) + pcapng_interface(order=order, snap=58) + simple
    capture, rows = read(data + pcapng_packet(77, HELLO, order=order) + simple)
    assert [(row.frame, row.time_ns, row.payload) for row in rows] == [
        (1, 0, b"hell"),
        (2, 77, b"hello"),
        (3, 77, b"hell"),
    ]
    assert rows[0].on_wire == 5
    assert (capture.first_time, capture.last_time) == (77, 77)


def test_a_simple_packet_block_at_the_start_of_a_window_takes_the_time_of_the_packet_before():
    simple = pcapng_block(3, struct.pack("<I", len(HELLO)) + HELLO)
    data = pcapng_section() + pcapng_interface() + pcapng_packet(77, HELLO) + simple * 3
    for window in (1, 100, 200):
        _, rows = read(data, window_bytes=window)
        assert [(row.frame, row.time_ns) for row in rows] == [(1, 77), (2, 77), (3, 77), (4, 77)]


@pytest.mark.parametrize("order", ["<", ">"])
def test_old_packet_blocks_are_packets(order: str):
    old = struct.pack(order + "HHIIII", 1, 9, 1, 5, len(HELLO), len(HELLO)) + HELLO
    data = pcapng_section(order) + pcapng_interface(COOKED_V1, order=order) + pcapng_interface(order=order)
    _, rows = read(data + pcapng_block(2, old, order))
    assert [(row.time_ns, row.payload) for row in rows] == [((1 << 32) + 5, b"hello")]


def test_custom_and_journal_blocks_are_frames_as_in_wireshark():
    others = [pcapng_block(kind, b"\1\0\0\0text") for kind in (0xBAD, 0x40000BAD, 9, 4, 5, 0x7777)]
    capture, rows = read(pcapng_section() + pcapng_interface() + b"".join(others) + pcapng_packet(1, HELLO))
    assert [row.frame for row in rows] == [4]
    assert capture.packets == 4


def test_key_logs_are_available_as_soon_as_their_block_was_read():
    data = pcapng_bytes([HELLO], secrets=b"CLIENT_RANDOM 00 11\n") + pcapng_secrets(b"not a TLS one", kind=1)
    capture, rows = read(data + pcapng_bytes([HELLO], secrets=b"second", order=">"))
    assert capture.secrets == [b"CLIENT_RANDOM 00 11\n", b"second"]
    assert len(rows) == 2


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("window", [1, 1000, 2**16, 2**22])
def test_a_long_key_log_is_read_piece_by_piece(monkeypatch: pytest.MonkeyPatch, order: str, window: int):
    monkeypatch.setattr("easpcap.capture.pcapng.LONG_SECRETS", 5000)
    secrets = b"".join(b"CLIENT_RANDOM %064x %096x\n" % (number, number) for number in range(300)) + b"#"
    capture, rows = read(pcapng_bytes([HELLO, HELLO], secrets=secrets, order=order), window_bytes=window)
    assert capture.secrets == [secrets]
    assert len(rows) == 2
    assert not capture.anomalies


def test_a_key_log_may_be_as_long_as_a_key_log_file():
    secrets = b"#" * (70 * 2**20) + b"\n"
    capture, rows = read(pcapng_bytes([HELLO], secrets=secrets))
    assert [len(lines) for lines in capture.secrets] == [len(secrets)]
    assert len(rows) == 1


def test_key_logs_beyond_the_limit_are_skipped(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("easpcap.capture.pcapng.LONG_SECRETS", 5000)
    monkeypatch.setattr("easpcap.capture.pcapng.MAX_CAPTURE_SECRETS_BYTES", 10_000)
    data = b"".join(pcapng_bytes([HELLO], secrets=bytes([n]) * 6000) for n in (65, 66))
    capture, rows = read(data)
    assert capture.secrets == [b"A" * 6000]
    assert len(rows) == 2


def test_a_secrets_block_whose_lengths_contradict_each_other_is_damage(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("easpcap.capture.pcapng.LONG_SECRETS", 5000)
    block = bytearray(pcapng_secrets(b"short"))
    block[4:8] = struct.pack("<I", 200_000)
    capture, rows = read(pcapng_bytes([HELLO]) + bytes(block) + pcapng_packet(1, HELLO))
    assert len(rows) == 2
    assert (capture.secrets, capture.unread_bytes) == ([], len(block))


def test_options_after_the_packet_and_unknown_interface_options_are_ignored():
    body = struct.pack("<IIIII", 0, 0, 5, len(HELLO), len(HELLO)) + HELLO + pcapng_option(1, b"a comment")
    names = pcapng_option(2, b"eth0") + pcapng_option(9, b"\x09") + pcapng_option(9, b"bad") + b"\1"
    interface = pcapng_block(1, struct.pack("<HHI", 1, 0, 0) + names)
    _, rows = read(pcapng_section() + interface + pcapng_block(6, body))
    assert [(row.time_ns, row.payload) for row in rows] == [(5, b"hello")]


def test_a_captured_length_beyond_its_block_is_limited_to_the_block():
    body = struct.pack("<IIIII", 0, 0, 5, 5000, 5000) + HELLO
    _, rows = read(pcapng_section() + pcapng_interface() + pcapng_block(6, body) * 2)
    assert [row.payload for row in rows] == [b"hello"] * 2


@pytest.mark.parametrize(
    "damaged",
    [
        pcapng_packet(1, HELLO)[:-4] + b"\0\0\0\1",
        pcapng_block(1, bytes(8))[:-4] + b"\0\0\0\1",
        struct.pack("<II", 6, 0xFFFFFFFF) + bytes(40),
        struct.pack("<II", 6, 8) + bytes(40),
        struct.pack("<II", 0x0A0D0D0A, 28) + bytes(40),
    ],
)
def test_a_damaged_block_is_skipped_and_reported(damaged: bytes):
    for window in (1, 64, 2**16):
        data = pcapng_bytes([HELLO, HELLO]) + damaged + pcapng_packet(1, HELLO)
        capture, rows = read(data, window_bytes=window)
        assert [(row.frame, row.payload) for row in rows] == [(1, b"hello"), (2, b"hello"), (3, b"hello")]
        detail = f"{len(damaged)} bytes that are no packets were skipped"
        assert capture.anomalies == [("capture-damaged", 2, detail)]
        assert (capture.damaged_places, capture.unread_bytes, capture.truncated) == (1, len(damaged), False)


def test_a_damaged_block_with_nothing_after_it_ends_the_reading():
    capture, rows = read(pcapng_bytes([HELLO, HELLO]) + pcapng_packet(1, HELLO)[:-4] + b"\0\0\0\1")
    assert [row.frame for row in rows] == [1, 2]
    assert (capture.truncated, capture.unread_bytes) == (True, len(pcapng_packet(1, HELLO)))


def test_a_section_after_a_damaged_block_is_read_once():
    damaged = pcapng_packet(1, HELLO)[:-4] + b"\0\0\0\1"
    later = pcapng_bytes([HELLO], order=">", secrets=b"second")
    capture, rows = read(pcapng_bytes([HELLO], secrets=b"first") + damaged + later)
    assert [row.frame for row in rows] == [1, 2]
    assert capture.secrets == [b"first", b"second"]
    assert capture.link_types == ["Ethernet"]


def statistics(interface=0, *options, order="<"):
    """An Interface Statistics Block."""
    body = struct.pack(order + "III", interface, 0, 0)
    return pcapng_block(5, body + b"".join(pcapng_option(code, value, order) for code, value in options), order)


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_last_statistics_of_each_interface_say_what_was_dropped(order):
    def dropped(count):
        return struct.pack(order + "Q", count)

    blocks = [
        statistics(0, (5, dropped(3)), order=order),
        statistics(1, (5, dropped(20)), (7, dropped(1)), order=order),
    ]
    last = statistics(0, (4, dropped(9)), (5, dropped(4)), order=order)
    capture, rows = read(pcapng_bytes([HELLO], order=order) + b"".join(blocks) + last)
    assert (capture.dropped, len(rows)) == (4 + 21, 1)


@pytest.mark.parametrize("block", [b"", statistics(), statistics(0, (4, bytes(8))), statistics(0, (5, b"short"))])
def test_without_a_count_nothing_is_said_of_dropped_packets(block):
    capture, _ = read(pcapng_bytes([HELLO]) + block)
    assert capture.dropped is None
    assert not capture.anomalies
