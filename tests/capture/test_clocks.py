"""Clocks of two captures: what acknowledgements and copies prove about their difference, and what they do not."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easpcap.capture import CaptureSet, open_capture
from easpcap.capture.clocks import ClockBounds, clock_difference
from easpcap.capture.segments import segments_of
from tests.capture.rows import rows_of
from tests.support.packets import ACK, START_NS, SYN, pcap_bytes, tcp_packet

MS, SECOND = 1_000_000, 1_000_000_000
CLIENT, SERVER = ("10.0.0.1", "10.0.0.2", 50000, 443), ("10.0.0.2", "10.0.0.1", 443, 50000)


def talk(rounds=6, pause=5 * MS, seq=1000):
    """(time, sent by the client, packet) of a connection: each request is acknowledged 2 ms later, with an answer."""
    packets = [
        (0, True, tcp_packet(*CLIENT, seq=seq - 1, flags=SYN)),
        (2 * MS, False, tcp_packet(*SERVER, seq=7999, ack=seq, flags=SYN | ACK)),
    ]
    for number in range(rounds):
        at, ours, theirs = (number + 1) * pause, seq + 100 * number, 8000 + 50 * number
        packets.append((at, True, tcp_packet(*CLIENT, seq=ours, ack=theirs, payload=bytes(100))))
        packets.append((at + 2 * MS, False, tcp_packet(*SERVER, seq=theirs, ack=ours + 100, payload=bytes(50))))
    return [(START_NS + at, by_client, data) for at, by_client, data in packets]


def segments(packets, *, only=None, ahead=0):
    """The segments of a capture of both directions or only one, by a clock that is ahead."""
    chosen = [(at + ahead, data) for at, by_client, data in packets if only is None or by_client is only]
    (batch,) = open_capture(io.BytesIO(pcap_bytes(chosen)))
    return segments_of(batch)


def tap(ahead, packets=None):
    """The difference found between the two outputs of a tap, the second of which is ahead."""
    packets = talk() if packets is None else packets
    return clock_difference(segments(packets, only=True), segments(packets, only=False, ahead=ahead))


# ---------------------------------------------------------------------- the two outputs of a tap


@settings(deadline=None)
@given(st.integers(-3600 * SECOND, 3600 * SECOND).filter(lambda ahead: abs(ahead) > 5 * MS))
def test_acknowledgements_give_the_difference_within_a_round_trip(ahead):
    bounds = tap(ahead)
    assert bounds is not None
    assert bounds.least <= ahead <= bounds.most
    assert abs(bounds.middle - ahead) <= 5 * MS


@pytest.mark.parametrize("ahead", [0, MS, -MS, 2 * MS])
def test_what_a_round_trip_explains_is_no_difference(ahead):
    assert tap(ahead) is None


def test_one_early_acknowledgement_may_be_a_late_packet():
    packets = talk()
    at, by_client, data = packets[3]
    packets[3] = (at - 4 * MS, by_client, data)
    assert tap(0, packets) is None


def test_packets_stored_out_of_order_do_not_hide_a_large_difference():
    packets = talk()
    for number in (3, 5, 7):
        at, by_client, data = packets[number]
        packets[number] = (at - 4 * MS, by_client, data)
    assert abs(tap(2 * SECOND, packets).middle - 2 * SECOND) < 10 * MS


def test_bounds_that_contradict_each_other_prove_nothing():
    assert ClockBounds(5 * SECOND, 4 * SECOND).is_sound
    assert not ClockBounds(5 * SECOND, SECOND).is_sound
    assert ClockBounds(5 * SECOND, None).middle == 5 * SECOND


def test_files_of_one_ring_buffer_prove_nothing_even_if_data_is_sent_again_after_its_acknowledgement():
    packets = talk()
    again = [(at + 300 * MS, by_client, data) for at, by_client, data in packets[2:] if by_client]
    rest = [(at + 300 * MS, by_client, data) for at, by_client, data in talk(rounds=9)[14:]]
    assert clock_difference(segments(packets), segments(again + rest)) is None
    assert clock_difference(segments(packets), segments(again)) is None


def test_ports_that_are_used_again_prove_nothing():
    first, second = talk(), [(at + SECOND, c, data) for at, c, data in talk(seq=900_000)]
    assert clock_difference(segments(first + second, only=True), segments(first, only=False, ahead=SECOND)) is None


def test_other_connections_prove_nothing():
    elsewhere = [(START_NS + n, tcp_packet("10.9.9.9", seq=n * 10, payload=b"x" * 10)) for n in range(20)]
    (batch,) = open_capture(io.BytesIO(pcap_bytes(elsewhere)))
    assert clock_difference(segments(talk()), segments_of(batch)) is None


# ---------------------------------------------------------------------- two capture points


@settings(deadline=None)
@given(st.integers(-86_400 * SECOND, 86_400 * SECOND).filter(lambda ahead: abs(ahead) > 60 * MS))
def test_copies_in_both_directions_give_the_difference_whatever_the_path_takes(ahead):
    packets = talk(pause=50 * MS)
    far = [(at + (3 * MS if by_client else -3 * MS), by_client, data) for at, by_client, data in packets]
    bounds = clock_difference(segments(packets), segments(far, ahead=ahead))
    assert bounds is not None
    assert bounds.middle == ahead


def test_copies_of_one_direction_may_be_a_slow_path():
    assert clock_difference(segments(talk(), only=True), segments(talk(), only=True, ahead=SECOND)) is None


# ---------------------------------------------------------------------- the set


def write(folder: Path, name, packets, *, only=None, ahead=0):
    path = folder / name
    path.write_bytes(pcap_bytes([(at + ahead, data) for at, by_client, data in packets if only in (None, by_client)]))
    return str(path)


@pytest.mark.parametrize("ahead", [-3600 * SECOND, -40 * MS, 40 * MS, 2 * SECOND, 86_400 * SECOND])
def test_a_tap_with_two_clocks_is_merged_in_causal_order(tmp_path, ahead):
    whole, requests = talk(), write(tmp_path, "requests", talk(), only=True)
    answers = write(tmp_path, "answers", whole, only=False, ahead=ahead)
    captures = CaptureSet([answers, requests])
    rows = [row for batch in captures for row in rows_of(batch)]
    assert [row.sport for row in rows] == [50000, 443] * 7
    (late,) = [member for member in captures.members if member.clock_of is not None]
    assert abs(abs(late.clock_offset) - abs(ahead)) <= 3 * MS
    times = [row.time_ns for row in rows]
    assert times == sorted(times)


def test_the_clocks_of_later_captures_are_compared_with_the_first(tmp_path):
    whole = talk(rounds=12)
    requests = write(tmp_path, "requests", whole, only=True)
    answers = [write(tmp_path, f"answers{n}", whole[n * 13 : (n + 1) * 13], only=False, ahead=SECOND) for n in (0, 1)]
    captures = CaptureSet([requests, *answers])
    rows = [row for batch in captures for row in rows_of(batch)]
    assert [row.sport for row in rows] == [50000, 443] * 13
    offsets = {Path(member.path).name: member.clock_offset for member in captures.members}
    assert all(abs(offsets[f"answers{n}"] - SECOND - offsets["requests"]) < 5 * MS for n in (0, 1))
