"""Until when silence on a connection is known, where there are several captures."""

from __future__ import annotations

import pytest

from easpcap.diagnosis.analysis_index import AnalysisIndex
from easpcap.results import InputFile
from tests.diagnosis.builders import START, Story, analysis

SECOND = 1_000_000_000


def capture(name, begins, ends, first_frame, clock_offset=0):
    """A capture from and to these seconds, with 1,000 packets."""
    times = START + round(begins * SECOND) + clock_offset, START + round(ends * SECOND) + clock_offset
    return InputFile(name, "", "pcap", [], 1_000, *times, False, first_frame, clock_offset)


def end(*inputs, others=()):
    """Seconds until which the first connection is known to be silent; its last frame is in the first capture."""
    whole = analysis(Story(0).request(100).response(200), *others, inputs=list(inputs))
    return (AnalysisIndex(whole).capture_end(whole.connections[0]) - START) / SECOND


def test_one_capture_is_known_to_its_end():
    assert end(capture("a", 0, 100, 1)) == 100


@pytest.mark.parametrize("pause", [-0.0001, 0, 0.001, 59])
def test_captures_that_follow_each_other_are_one(pause):
    assert end(capture("a", 0, 100, 1), capture("b", 100 + pause, 200, 1_001)) == 200


def test_a_long_pause_ends_what_is_known():
    files = capture("a", 0, 100, 1), capture("b", 161, 200, 1_001), capture("c", 201, 300, 2_001)
    assert end(*files) == 100


def test_a_connection_that_goes_on_bridges_a_long_pause():
    other = Story(1).request(100)
    whole = analysis(
        Story(0).request(100).response(200), other, inputs=[capture("a", 0, 100, 1), capture("b", 300, 400, 1_001)]
    )
    bridge = whole.connections[1]
    bridge.last = bridge.last._replace(frame=1_500, time_ns=START + 350 * SECOND)
    assert AnalysisIndex(whole).capture_end(whole.connections[0]) == START + 400 * SECOND


def test_times_are_compared_by_one_clock():
    assert end(capture("a", 0, 100, 1), capture("b", 100, 200, 1_001, clock_offset=3_600 * SECOND)) == 200


def test_a_capture_beside_it_counts_only_with_connections_of_the_same_server():
    files = capture("a", 0, 100, 1), capture("b", 50, 500, 1_001)
    assert end(*files) == 100
    whole = analysis(Story(0).request(100).response(200), Story(1).request(100), inputs=list(files))
    beside = whole.connections[1]
    beside.last = beside.last._replace(frame=1_500)
    assert AnalysisIndex(whole).capture_end(whole.connections[0]) == START + 500 * SECOND
