"""Damage inside a capture, and captures inside a file: what proves itself is read, what was skipped is said."""

from __future__ import annotations

import os
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easpcap.capture import open_capture
from tests.capture.rows import read, rows_of
from tests.support.captures import pcap_variant, snoop_bytes
from tests.support.packets import START_NS, pcap_bytes, pcapng_bytes, pcapng_section, tcp_packet

#: Payloads that look like anything but record headers.
PACKETS = [tcp_packet(seq=n, payload=bytes((n * 7 + k * 13) % 251 for k in range(40 + n))) for n in range(30)]
PCAP, PCAPNG = pcap_bytes(PACKETS), pcapng_bytes(PACKETS)
WINDOWS = pytest.mark.parametrize("window", [1, 100, 1000, 2**16])


def record(number: int) -> int:
    """Where the record of a packet begins in PCAP."""
    return len(pcap_bytes(PACKETS[:number]))


def changed(data: bytes, place: int, new: bytes) -> bytes:
    return data[:place] + new + data[place + len(new) :]


def lengths(captured: int, original: int) -> bytes:
    return struct.pack("<II", captured, original)


# ---------------------------------------------------------------------- lengths that lie


@WINDOWS
@pytest.mark.parametrize("captured", [0x44444444, 100_000, 2000, 0xFFFFFFFF])
@pytest.mark.parametrize("number", [0, 1, 14, 27])
def test_a_length_that_is_too_great_costs_nothing_where_the_length_on_the_wire_is_right(
    window: int, captured: int, number: int
):
    data = changed(PCAP, record(number) + 8, struct.pack("<I", captured))
    capture, rows = read(data, window_bytes=window)
    assert rows == read(PCAP)[1]
    detail = "the stored length of a packet is wrong; its length on the wire was used"
    assert capture.anomalies == [("capture-damaged", number + 1, detail)]
    assert (capture.damaged_places, capture.unread_bytes, capture.truncated) == (1, 0, False)


@WINDOWS
@pytest.mark.parametrize("both", [(2000, 2000), (0x44444444, 0x44444444), (100_000, 150_000)])
def test_a_record_whose_lengths_both_lie_is_skipped_and_the_next_ones_are_read(window: int, both: tuple[int, int]):
    size = record(15) - record(14)
    capture, rows = read(changed(PCAP, record(14) + 8, lengths(*both)), window_bytes=window)
    assert [row.seq for row in rows] == [n for n in range(30) if n != 14]
    assert [row.frame for row in rows] == list(range(1, 30))
    assert capture.anomalies == [("capture-damaged", 14, f"{size} bytes that are no packets were skipped")]
    assert (capture.damaged_places, capture.unread_bytes, capture.truncated) == (1, size, False)


@WINDOWS
def test_a_length_that_is_too_small_leaves_the_rest_of_its_packet_unread(window: int):
    packet = PACKETS[14]
    capture, rows = read(changed(PCAP, record(14) + 8, struct.pack("<I", len(packet) - 20)), window_bytes=window)
    assert [row.seq for row in rows] == list(range(30))
    assert rows[14].payload == PACKETS[14][54 : len(packet) - 20]
    assert capture.anomalies == [("capture-damaged", 15, "20 bytes that are no packets were skipped")]


@WINDOWS
def test_bytes_that_were_overwritten_are_skipped(window: int):
    rubbish = bytes((n * n) % 251 for n in range(record(17) - record(14)))
    capture, rows = read(changed(PCAP, record(14), rubbish), window_bytes=window)
    assert [row.seq for row in rows] == [n for n in range(30) if not 14 <= n < 17]
    assert (capture.damaged_places, capture.unread_bytes) == (1, len(rubbish))


@WINDOWS
def test_bytes_that_were_lost_cost_the_packets_they_belong_to(window: int):
    data = PCAP[: record(14) + 30] + PCAP[record(16) + 5 :]
    capture, rows = read(data, window_bytes=window)
    assert [row.seq for row in rows if row.seq != 14] == [n for n in range(30) if n not in (14, 15, 16)]
    assert capture.damaged_places == 1


@WINDOWS
def test_a_file_filled_up_with_zeros_is_not_a_thousand_packets(window: int):
    capture, rows = read(PCAP + bytes(16_000), window_bytes=window)
    assert (capture.packets, len(rows), capture.truncated) == (30, 30, True)
    assert capture.anomalies == [
        ("capture-damaged", 30, "the remaining 16000 bytes cannot be read".replace("16000", "16,000"))
    ]


@WINDOWS
def test_damage_near_the_end_is_no_truncation(window: int):
    """The last lengths lead beyond the end of the file, where two records still follow."""
    capture, rows = read(changed(PCAP, record(27) + 8, lengths(5000, 5000)), window_bytes=window)
    assert [row.seq for row in rows] == [*range(27), 28, 29]
    assert [code for code, _, _ in capture.anomalies] == ["capture-damaged"]


def test_a_capture_cut_in_its_last_packet_is_truncated_and_not_damaged():
    for cut in range(record(29) + 1, len(PCAP)):
        capture, rows = read(PCAP[:cut])
        assert len(rows) == 29
        assert [code for code, _, _ in capture.anomalies] == ["capture-truncated"]
        assert (capture.truncated, capture.damaged_places, capture.unread_bytes) == (True, 0, 0)


@WINDOWS
def test_several_damaged_places_are_each_reported(window: int):
    data = PCAP
    for number in (5, 15, 25):
        data = changed(data, record(number) + 8, lengths(0x44444444, 0x44444444))
    capture, rows = read(data, window_bytes=window)
    assert [row.seq for row in rows] == [n for n in range(30) if n not in (5, 15, 25)]
    assert [frame for _, frame, _ in capture.anomalies] == [5, 14, 23]


def test_after_too_many_damaged_places_the_rest_is_left_unread(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("easpcap.capture.capture.MAX_DAMAGED_PLACES", 2)
    data = PCAP
    for number in (5, 15, 25):
        data = changed(data, record(number) + 8, lengths(0x44444444, 0x44444444))
    capture, rows = read(data)
    assert max(row.seq for row in rows) == 14
    assert capture.truncated
    assert "2 places are damaged" in capture.anomalies[-1][2]


# ---------------------------------------------------------------------- files that are only unusual


def test_a_program_that_writes_lengths_the_wrong_way_round_is_believed():
    packets = [(START_NS + n, PACKETS[n], 10) for n in range(30)]
    for window in (1, 2**16):
        capture, rows = read(pcap_bytes(packets), window_bytes=window)
        assert len(rows) == 30
        assert not capture.anomalies


def test_empty_packets_are_packets():
    packets = [PACKETS[0], (START_NS, b"", 60), (START_NS, b"", 0), PACKETS[3]]
    capture, rows = read(pcap_bytes(packets))
    assert ([row.frame for row in rows], capture.packets) == ([1, 4], 4)
    assert not capture.anomalies


def test_fractions_beyond_a_second_are_believed():
    data = PCAP
    for number in range(30):
        data = changed(data, record(number) + 4, struct.pack("<I", 2_000_000_000))
    capture, rows = read(data)
    assert len(rows) == 30
    assert not capture.anomalies


# ---------------------------------------------------------------------- captures inside a file

OTHERS = {
    "pcap": pcap_bytes(PACKETS[10:20]),
    "pcap, other byte order": pcap_bytes(PACKETS[10:20], order=">", nanoseconds=False),
    "pcap, raw": pcap_variant(PACKETS[10:20], link_type=1, order=">"),
    "pcapng": pcapng_bytes(PACKETS[10:20]),
    "pcapng, other byte order": pcapng_bytes(PACKETS[10:20], order=">"),
    "snoop": snoop_bytes(PACKETS[10:20]),
}
FIRSTS = {"pcap": pcap_bytes(PACKETS[:10]), "pcapng": pcapng_bytes(PACKETS[:10]), "snoop": snoop_bytes(PACKETS[:10])}
EVERY_PAIR = [pytest.param(f, s, id=f"{f} and {s}") for f in FIRSTS for s in OTHERS]


@pytest.mark.parametrize(("first", "second"), EVERY_PAIR)
@WINDOWS
def test_a_second_capture_is_read_where_it_begins(first: str, second: str, window: int):
    capture, rows = read(FIRSTS[first] + OTHERS[second], window_bytes=window)
    assert [(row.frame, row.seq) for row in rows] == [(n + 1, n) for n in range(20)]
    name = second.split(",", maxsplit=1)[0]
    wanted = [("capture-appended", 10, f"another capture ({name}) begins after this packet")]
    assert capture.anomalies == ([] if (first, name) == ("pcapng", "pcapng") else wanted)  # that is another section
    assert (capture.format, capture.truncated, capture.damaged_places) == (first, False, 0)


@pytest.mark.parametrize(("first", "second"), EVERY_PAIR)
@WINDOWS
def test_a_second_capture_is_read_although_the_first_one_is_cut(first: str, second: str, window: int):
    capture, rows = read(FIRSTS[first][:-30] + OTHERS[second], window_bytes=window)
    assert [row.seq for row in rows] == [n for n in range(20) if n != 9]
    assert capture.damaged_places == 1
    assert capture.unread_bytes > 0


def test_three_captures_with_their_own_link_types_and_secrets():
    raw = pcap_bytes([PACKETS[1][14:]], link_type=101)
    third = pcapng_bytes([PACKETS[2]], secrets=b"CLIENT_RANDOM 00 11\n")
    capture, rows = read(pcap_bytes(PACKETS[:1]) + raw + third)
    assert [row.seq for row in rows] == [0, 1, 2]
    assert capture.link_types == ["Ethernet", "Raw IP"]
    assert capture.secrets == [b"CLIENT_RANDOM 00 11\n"]


def test_a_second_capture_without_packets_is_named():
    capture, rows = read(pcap_bytes(PACKETS[:3]) + pcap_bytes([]))
    assert (len(rows), capture.packets, capture.truncated) == (3, 3, False)
    assert [code for code, _, _ in capture.anomalies] == ["capture-appended"]


def test_a_capture_that_is_the_body_of_a_packet_is_no_second_capture():
    inner = pcap_bytes(PACKETS[:8])
    packets = [*PACKETS[:5], tcp_packet(seq=5, payload=inner), *PACKETS[6:12]]
    capture, rows = read(pcap_bytes(packets))
    assert [row.seq for row in rows] == list(range(12))
    assert rows[5].payload == inner
    assert not capture.anomalies


def test_a_pipe_that_grows_is_read_beyond_damage_and_into_a_second_capture():
    damaged = changed(PCAP, record(14) + 8, lengths(0x44444444, 0x44444444))
    data = damaged + OTHERS["pcapng"]
    inlet, outlet = os.pipe()
    with os.fdopen(inlet, "rb", buffering=0) as file:
        os.write(outlet, data[: record(10)])
        batches = iter(open_capture(file))
        rows = rows_of(next(batches))
        os.write(outlet, data[record(10) :])
        os.close(outlet)
        rows += [row for batch in batches for row in rows_of(batch)]
    assert [row.seq for row in rows] == [*(n for n in range(30) if n != 14), *range(10, 20)]


# ---------------------------------------------------------------------- laws


@given(
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=12)), max_size=5),
    base=st.sampled_from([PCAP, PCAPNG, snoop_bytes(PACKETS), PCAP[:-30] + PCAPNG[:-30] + PCAP]),
    window=st.integers(1, 3000),
)
@settings(max_examples=150, deadline=None)
def test_damage_gives_the_same_rows_and_losses_whatever_the_window(changes, base: bytes, window: int):
    data = bytearray(base)
    for place, new in changes:
        at = 28 + int(place * (len(base) - 40))
        data[at : at + len(new)] = new
    results = []
    for size in (window, 2**16):
        capture, rows = read(bytes(data), window_bytes=size)
        assert len(rows) + sum(capture.ignored.values()) == capture.packets
        assert [row.frame for row in rows] == sorted({row.frame for row in rows})
        assert 0 <= capture.unread_bytes <= len(data)
        results.append((rows, capture.anomalies, capture.truncated, capture.unread_bytes, capture.link_types))
    assert results[0] == results[1]


@given(place=st.integers(24, len(PCAP) - 1), lost=st.integers(1, 300))
@settings(max_examples=100, deadline=None)
def test_a_hole_costs_only_the_packets_it_touches(place: int, lost: int):
    """Two packets before and after a hole that is cut out of a capture are the same as in the whole one."""
    end = min(place + lost, len(PCAP))
    before = [row for number, row in enumerate(read(PCAP)[1]) if record(number + 1) <= place]
    after = [row.seq for number, row in enumerate(read(PCAP)[1]) if record(number) >= end]
    _, rows = read(PCAP[:place] + PCAP[end:])
    assert rows[: len(before)] == before
    if len(after) > 2:
        assert [row.seq for row in rows][-len(after) :] == after


def test_a_section_with_a_damaged_header_does_not_hold_the_reader():
    data = pcapng_bytes(PACKETS[:3]) + pcapng_section()[:-4] + b"\0\0\0\1" + pcapng_bytes(PACKETS[3:6])
    capture, rows = read(data)
    assert [row.seq for row in rows] == [0, 1, 2, 3, 4, 5]
    assert capture.unread_bytes == 28
