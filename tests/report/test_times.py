"""Times and durations, at the edges between their forms."""

from __future__ import annotations

import pytest

from easpcap.report.times import clock, lasted, took

MILLISECOND = 1_000_000
SECOND = 1_000 * MILLISECOND
MINUTE = 60 * SECOND


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (9 * MILLISECOND, "9 ms"),
        (2_100 * MILLISECOND, "2.1 s"),
        (9_900 * MILLISECOND, "9.9 s"),
        (10 * SECOND, "10 s"),
        (599 * SECOND, "599 s"),
        (10 * MINUTE, "10 min"),
    ],
)
def test_a_duration_has_tenths_below_ten_seconds_only(duration, text):
    assert lasted(duration) == text


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (599_999 * MILLISECOND, "599.999 s"),
        (10 * MINUTE + 40 * SECOND, "11 min"),
        (59 * MINUTE, "59 min"),
        (60 * MINUTE, "1 h 00 min"),
        (125 * MINUTE, "2 h 05 min"),
    ],
)
def test_minutes_are_rounded_and_sixty_of_them_are_an_hour(duration, text):
    assert took(duration) == text


def test_a_clock_time_has_milliseconds_unless_space_is_short():
    time = 1_289_861_221_123_456_789
    assert clock(time) == "22:47:01.123"
    assert clock(time, exact=False) == "22:47:01"
    assert clock(time, with_date=True) == "2010-11-15 22:47:01.123"
