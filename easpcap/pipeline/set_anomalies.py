"""What is odd about captures as a set: clocks that differ, and packets that two capture points recorded."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from easpcap.stream import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.capture import CaptureSet
    from easpcap.capture.member import Member
    from easpcap.capture.merging import TwoPoints
    from easpcap.capture.translations import Translated

#: Fewer packets at two times may be retransmissions.
LEAST_COPIES: Final = 3
MILLISECOND: Final = 10**6


def set_anomalies(captures: CaptureSet) -> Iterator[tuple[str, int, str]]:
    """(code, frame of the first packet of the capture that is spoken of, detail) of each."""
    clocks = Counter((member.clock_of, member.clock_offset) for member in captures.members)
    for member, _, first_frame in captures.numbered:
        alike = clocks.pop((member.clock_of, member.clock_offset), 0)
        if member.clock_of is not None and alike:
            yield "clock-offset", first_frame, _offset(member, member.clock_of, alike - 1)
        for points in captures.two_points:
            if points.second is member and points.common.packets >= LEAST_COPIES:
                yield "two-capture-points", first_frame, _two_points(points)

    for found in captures.translated:
        yield "translated-connection", found.second_frame, _translation(captures, found)


def clock_step_words(back_ns: int) -> str:
    """What it means that the times of a capture go back."""
    return (
        f"the times go back by {back_ns / NANOSECONDS:,.3f} s: the clock was set while capturing, or captures were "
        "joined; how long anything took across this frame is not known"
    )


def _translation(captures: CaptureSet, found: Translated) -> str:
    numbered = list(captures.numbered)
    (first, _, before), (second, _, before_second) = numbered[found.first_file], numbered[found.second_file]
    connections = f"{found.connections:,} connection{'s' if found.connections > 1 else ''}"
    return (
        f"{first.name} and {second.name} show {connections} under different addresses, as on both sides of an address "
        f"translation: frame {found.first_frame - before + 1} of the first and frame "
        f"{found.second_frame - before_second + 1} of the second are the same packet; each such connection is listed "
        "twice"
    )


def _offset(member: Member, other: Member, more: int) -> str:
    ahead = member.clock_offset - other.clock_offset
    direction, opposite = ("ahead of", "earlier") if ahead > 0 else ("behind", "later")
    apart = f"{abs(ahead) / NANOSECONDS:,.3f} s"
    return (
        f"the clock of {member.name} is {apart} {direction} that of {other.name}, by the packets of connections that "
        f"both show; times in {member.name} are given {apart} {opposite} than recorded"
        f"{f', and so are those in {more:,} more captures of the same clock' if more else ''}"
    )


def _two_points(points: TwoPoints) -> str:
    return (
        f"{points.first.name} and {points.second.name} recorded the same packets at two capture points: "
        f"{points.common.packets:,} packets are in both, on average {points.common.apart_ns / MILLISECOND:,.3f} ms "
        "apart; each is counted once"
    )
