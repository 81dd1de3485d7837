"""snoop (RFC 1761): records with their own length, padded, big-endian."""

from __future__ import annotations

import os

import pytest

from easpcap.capture import open_capture
from tests.capture.rows import read, rows_of
from tests.support.captures import snoop_bytes
from tests.support.packets import START_NS, tcp_packet

PACKETS = [tcp_packet(seq=number, payload=b"x" * (number % 7)) for number in range(40)]
SNOOP = snoop_bytes(PACKETS)


@pytest.mark.parametrize("padding", [1, 4, 8])
@pytest.mark.parametrize("window", [1, 100, 2**16])
def test_its_packets_are_rows_however_the_records_are_padded(padding: int, window: int):
    capture, rows = read(snoop_bytes(PACKETS, padding=padding), window_bytes=window)
    assert [(row.frame, row.seq, row.payload) for row in rows] == [(n + 1, n, b"x" * (n % 7)) for n in range(40)]
    assert [row.time_ns for row in rows] == [START_NS + n * 1_000_000 for n in range(40)]
    assert (capture.format, capture.link_types, capture.truncated) == ("snoop", ["Ethernet"], False)
    assert not capture.anomalies


def test_a_packet_that_was_cut_keeps_its_length_on_the_wire():
    packet = tcp_packet(payload=b"x" * 1000)
    _, rows = read(snoop_bytes([(START_NS, packet[:154], len(packet))]))
    assert (rows[0].payload, rows[0].on_wire) == (b"x" * 100, 1000)


@pytest.mark.parametrize(("link_type", "name"), [(0, "Ethernet"), (2, "Token Ring"), (8, "FDDI")])
def test_its_link_types_are_its_own(link_type: int, name: str):
    assert read(snoop_bytes(PACKETS, link_type=link_type))[0].link_types == [name]


def test_a_link_type_without_a_number_in_pcap_is_counted():
    capture, rows = read(snoop_bytes(PACKETS, link_type=3))
    assert not rows
    assert sum(capture.ignored.values()) == 40


def test_cut_at_any_byte_it_gives_the_whole_packets_before():
    whole = read(SNOOP)[1]
    ends = [len(snoop_bytes(PACKETS[:count])) for count in range(41)]
    for cut in range(16, len(SNOOP)):
        capture, rows = read(SNOOP[:cut])
        assert rows == whole[: sum(end <= cut for end in ends) - 1]
        assert capture.truncated == (cut not in ends)


def test_a_record_with_a_wrong_length_costs_only_itself():
    place = len(snoop_bytes(PACKETS[:20]))
    damaged = SNOOP[:place] + b"\0\0\1\0" * 3 + SNOOP[place + 12 :]
    for window in (1, 100, 2**16):
        capture, rows = read(damaged, window_bytes=window)
        assert [row.seq for row in rows] == [*range(20), *range(21, 40)]
        size = len(snoop_bytes(PACKETS[20:21])) - 16
        assert capture.anomalies == [("capture-damaged", 20, f"{size} bytes that are no packets were skipped")]


def test_a_record_is_whole_where_its_packet_ends_at_the_next_one():
    place = len(snoop_bytes(PACKETS[:20]))
    capture, rows = read(SNOOP[: place + 8] + b"\0\0\1\0" + SNOOP[place + 12 :])
    assert rows == read(SNOOP)[1]
    assert [code for code, _, _ in capture.anomalies] == ["capture-damaged"]


def test_a_pipe_that_grows_yields_its_packets_as_they_come():
    inlet, outlet = os.pipe()
    cut = len(snoop_bytes(PACKETS[:3])) + 10
    with os.fdopen(inlet, "rb", buffering=0) as file:
        os.write(outlet, SNOOP[:cut])
        batches = iter(open_capture(file))
        rows = rows_of(next(batches))
        assert [row.seq for row in rows] == [0, 1, 2]
        os.write(outlet, SNOOP[cut:])
        os.close(outlet)
        rows += [row for batch in batches for row in rows_of(batch)]
    assert rows == read(SNOOP)[1]
