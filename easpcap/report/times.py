"""Times and durations as text: RFC 3339 for machines, clock times for people. All times are UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from easpcap.stream import NANOSECONDS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_A_DAY = 86_400


@lru_cache(maxsize=4096)
def _second(seconds: int | str) -> str:
    """Whole seconds since 1970, a number or its digits, as ``2010-11-15T22:47:01``."""
    return (_EPOCH + timedelta(seconds=int(seconds))).strftime("%Y-%m-%dT%H:%M:%S")


def rfc3339(time_ns: int | None) -> str | None:
    """Nanoseconds since 1970 as ``2010-11-15T22:47:01.123456789Z`` (RFC 3339 section 5.6)."""
    if time_ns is None:
        return None
    if time_ns >= NANOSECONDS:  # the last nine digits are the decimals
        digits = str(time_ns)
        return f"{_second(digits[:-9])}.{digits[-9:]}Z"
    seconds, nanoseconds = divmod(time_ns, NANOSECONDS)
    return f"{_second(seconds)}.{nanoseconds:09d}Z"


def seconds_text(duration_ns: int) -> str:
    """A duration in seconds with nine decimals, exact: ``-0.000000001``."""
    digits = str(abs(duration_ns)).zfill(10)
    return f"{'-' if duration_ns < 0 else ''}{digits[:-9]}.{digits[-9:]}"


def date_and_clock(time_ns: int) -> str:
    """To the second, for people: ``2010-11-15 22:47:01``."""
    return _second(time_ns // NANOSECONDS).replace("T", " ")


def clock(time_ns: int, *, with_date: bool = False, exact: bool = True) -> str:
    """For tables: ``22:47:01.123``; optionally with the date, or without milliseconds."""
    seconds, nanoseconds = divmod(time_ns, NANOSECONDS)
    day, of_day = _second(seconds).split("T")
    text = f"{of_day}.{nanoseconds // 1_000_000:03d}" if exact else of_day
    return f"{day} {text}" if with_date else text


def same_day(first_ns: int, last_ns: int) -> bool:
    """Whether two times fall on one UTC day."""
    return first_ns // NANOSECONDS // _SECONDS_A_DAY == last_ns // NANOSECONDS // _SECONDS_A_DAY


def span(first_ns: int, last_ns: int, *, known_day: bool = False) -> str:
    """``2010-11-15 22:47:01 to 22:48:40 UTC``; without the first date if ``known_day``."""
    first, last = date_and_clock(first_ns), date_and_clock(last_ns)
    end = "" if first == last else f" to {last[11:] if same_day(first_ns, last_ns) else last}"
    return f"{first[11:] if known_day else first}{end} UTC"


def lasted(duration_ns: int) -> str:
    """A duration for people, to two or three digits: ``99 s``, ``2.1 s``, ``9 ms``, ``1 h 02 min``."""
    seconds = duration_ns / NANOSECONDS
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:  # only then do tenths matter
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 600 else took(duration_ns)  # ten minutes


def took(duration_ns: int) -> str:
    """A duration for people, to the millisecond below ten minutes: ``0.021 s``, ``1 h 02 min``."""
    if duration_ns < 0:  # the clock was set back in between
        return "?"
    seconds = duration_ns / NANOSECONDS
    if seconds < 600:  # ten minutes
        return f"{seconds:.3f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"  # an hour
