"""Captures that were damaged, shuffled or made up: nothing raises, every output is written, both paths agree."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from easpcap import report
from easpcap.report.text.layout import Layout
from tests.pipeline.captures import CAPTURES, PACKET_HEADER, as_json, packets_of, read

TAKEN_APART = {path.stem: packets_of(path) for path in CAPTURES}


def flip(dice, packets):
    """Change a byte of a packet, its pcap header left alone."""
    place = dice.randrange(len(packets))
    packet = bytearray(packets[place])
    packet[dice.randrange(PACKET_HEADER, len(packet))] ^= 1 << dice.randrange(8)
    packets[place] = bytes(packet)


def drop(dice, packets):
    del packets[dice.randrange(len(packets))]


def repeat(dice, packets):
    packets.insert(dice.randrange(len(packets)), dice.choice(packets))


def swap(dice, packets):
    place = dice.randrange(len(packets) - 1)
    packets[place], packets[place + 1] = packets[place + 1], packets[place]


def damaged(name, seed, times):
    """A fixture after some accidents."""
    header, packets = TAKEN_APART[name]
    packets, dice = list(packets), random.Random(seed)
    for _ in range(times):
        if len(packets) > 2:
            dice.choice((flip, flip, drop, repeat, swap))(dice, packets)
    return header + b"".join(packets)


#: Where a session is resumed on another connection, an accident can bring the two out of order, and each path reads
#: connections in an order of its own.
ALONE = sorted(name for name in TAKEN_APART if not name.startswith("resumption"))

accidents = given(name=st.sampled_from(sorted(TAKEN_APART)), seed=st.integers(0, 2**32), times=st.integers(1, 40))


@accidents
@settings(max_examples=60, deadline=None)
def test_a_damaged_capture_is_read_and_rendered_in_every_format(name, seed, times):
    analysis = read(damaged(name, seed, times))
    assert "".join(report.render_text(analysis, Layout(100), arguments="trace.pcap"))
    assert "".join(report.render_json(analysis))
    assert "".join(report.render_jsonl(analysis))
    for section in ("connections", "exchanges", "findings", "timeline"):
        assert "".join(report.render_csv(analysis, section))


# Here the record that failed was followed, in the same piece of one path, by the first record that was decrypted.
@given(name=st.sampled_from(ALONE), seed=st.integers(0, 2**32), times=st.integers(1, 40))
@example(name="ping-abandoned", seed=2091551722, times=1)
@example(name="renegotiation-deadlock", seed=3, times=9)
@example(name="renegotiation-deadlock", seed=1748, times=14)
@example(name="renegotiation-mid-body-ok", seed=47317, times=3)
@settings(max_examples=60, deadline=None)
def test_both_paths_agree_on_a_damaged_capture(name, seed, times):
    capture = damaged(name, seed, times)
    assert as_json(read(capture)) == as_json(read(capture, columnar=False))


#: Captures in which the incident did not happen, as far as it can be seen.
WITHOUT_INCIDENT = [name for name in sorted(TAKEN_APART) if "deadlock" not in name and "opaque" not in name]


@pytest.mark.parametrize("name", WITHOUT_INCIDENT)
def test_the_outcome_of_a_lost_packet_is_never_called_a_deadlock_elsewhere(name):
    """A packet missing from the capture must not invent the incident where it did not happen."""
    header, packets = TAKEN_APART[name]
    for place in range(0, len(packets), max(1, len(packets) // 25)):
        analysis = read(header + b"".join(packets[:place] + packets[place + 1 :]))
        assert "renegotiation-deadlock" not in {finding.rule for finding in analysis.findings}
