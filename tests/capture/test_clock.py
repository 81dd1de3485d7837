"""Times that go back: the clock was set while capturing, or a machine with several queues stored packets unsorted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from easpcap import limits
from easpcap.capture.clock import STEP_NS, ClockStep, ClockWatch
from easpcap.capture.interleave import in_time_order
from tests.support.batches import Packet, batch

SECOND = 10**9


def watched(*pieces):
    watch = ClockWatch()
    for piece in pieces:
        watch.read(np.array(piece, np.int64))
    return watch


def test_a_clock_that_runs_forward_has_no_steps():
    watch = watched([5, 5, 6, 100 * SECOND])
    assert (watch.steps, watch.end) == ([], 100 * SECOND)


def test_a_clock_that_is_set_back_is_found_at_the_packet_after():
    watch = watched([3600 * SECOND, 3601 * SECOND, SECOND, 61 * SECOND])
    assert watch.steps == [ClockStep(3, 3600 * SECOND)]
    assert watch.end == 3661 * SECOND  # the last minute passed after the step


@pytest.mark.parametrize(("back", "steps"), [(STEP_NS, 0), (STEP_NS + 1, 1)])
def test_packets_stored_a_little_out_of_order_are_no_step(back, steps):
    watch = watched([10 * SECOND, 10 * SECOND - back, 10 * SECOND + 1])
    assert len(watch.steps) == steps


def test_without_packets_there_is_no_end():
    assert watched([]).end is None


def test_the_steps_that_are_kept_are_bounded():
    watch = watched([(number % 2) * 5 * SECOND for number in range(3 * limits.MAX_CLOCK_STEPS)])
    assert len(watch.steps) == limits.MAX_CLOCK_STEPS


@given(
    st.lists(st.integers(0, 20).map(lambda n: n * SECOND // 2), max_size=40), st.lists(st.integers(0, 9), max_size=9)
)
def test_where_batches_end_changes_nothing(times, sizes):
    pieces, at = [], 0
    for size in (*sizes, len(times)):
        pieces.append(times[at : at + size])
        at += size
    whole, cut = watched(times), watched(*pieces)
    assert (cut.steps, cut.end) == (whole.steps, whole.end)


@given(st.lists(st.integers(0, 20).map(lambda n: n * SECOND // 2), min_size=1, max_size=40))
def test_the_end_is_never_before_any_packet(times):
    assert watched(times).end >= max(times)


def rows(*times):
    return in_time_order(batch([Packet(time_ns=time_ns) for time_ns in times])).frame.tolist()


def test_rows_out_of_order_are_sorted_by_time():
    assert rows(1, 5, 3, 4, 9) == [1, 3, 4, 2, 5]


def test_rows_in_order_stay_as_they_are():
    assert rows(1, 1, 2, 2) == [1, 2, 3, 4]


def test_rows_after_a_step_of_the_clock_stay_after_it():
    hour = 3600 * SECOND
    assert rows(hour, hour + 5, hour + 3, 7, 6) == [1, 3, 2, 5, 4]
