"""What is odd about captures as a set: clocks that differ, and packets that two capture points recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.capture import CaptureSet
    from easpcap.capture.captureset import Copies
    from easpcap.capture.member import Member

#: Fewer packets at two times may be retransmissions.
LEAST_COPIES: Final = 3
SECOND: Final = 10**9


def set_anomalies(captures: CaptureSet) -> Iterator[tuple[str, int, str]]:
    """(code, frame of the first packet of the capture that is spoken of, detail) of each."""
    for member, first_frame in captures.numbered:
        if member.clock_of is not None:
            yield "clock-offset", first_frame, _offset(member, member.clock_of)
        for copies in captures.copies:
            if copies.dropped is member and copies.count.apart >= LEAST_COPIES:
                yield "two-capture-points", first_frame, _two_points(copies)


def _offset(member: Member, other: Member) -> str:
    ahead = member.clock_offset - other.clock_offset
    direction, opposite = ("ahead of", "earlier") if ahead > 0 else ("behind", "later")
    apart = f"{abs(ahead) / SECOND:,.3f} s"
    return (
        f"the clock of {member.path} is {apart} {direction} that of {other.path}, by the packets of connections that "
        f"both show; times in {member.path} are given {apart} {opposite} than recorded"
    )


def _two_points(copies: Copies) -> str:
    delay = copies.count.delay_ns
    return (
        f"{copies.kept.path} and {copies.dropped.path} recorded the same packets at two capture points: "
        f"{copies.count.apart:,} packets are in both, in the second {abs(delay) / 10**6:,.3f} ms "
        f"{'later' if delay >= 0 else 'earlier'} on average; each is counted once"
    )
