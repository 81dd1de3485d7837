"""The order of the captures of a set, and the differences of their clocks, by their first packets."""

from __future__ import annotations

import re
from itertools import combinations
from typing import TYPE_CHECKING, Final

import numpy as np

from easpcap.capture.clocks import clock_difference
from easpcap.limits import MAX_CLOCK_PAIRS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from easpcap.capture.clocks import ClockBounds
    from easpcap.capture.member import Member
    from easpcap.capture.segments import Segments

#: Captures compared with each other because of one packet or one connection.
_MOST_ALIKE: Final = 8


def in_order(members: Sequence[Member]) -> list[Member]:
    """The captures by their first packets; those without times last.

    Where first packets have the same time, captures in which the time moves on come later; between the others sequence
    numbers decide, and then names, in which numbers count as such.
    """
    given = sorted(members, key=lambda member: (*_time(member), _words(member.path)))
    ordered: list[Member] = []
    for member in given:
        place = len(ordered)
        while place and _time(ordered[place - 1]) == _time(member) and _is_before(member.head, ordered[place - 1].head):
            place -= 1
        ordered.insert(place, member)
    return ordered


def _time(member: Member) -> tuple[bool, int, bool]:
    return member.first_time is None, member.first_time or 0, member.has_later


def _words(path: str) -> list[tuple[int, str]]:
    """A name cut into numbers and other text: trace9 comes before trace10."""
    return [(int(word), "") if word.isdecimal() else (-1, word) for word in re.split(r"([0-9]{1,18})", path)]


def _is_before(one: Segments | None, other: Segments | None) -> bool:
    """Whether the sequence numbers of a connection that both show prove that the first capture comes before."""
    if one is None or other is None:
        return False
    for flow in np.intersect1d(one.flow, other.flow)[:1]:
        ours, theirs = one.where(one.flow == flow), other.where(other.flow == flow)
        for side in (False, True):
            ahead = _ahead(_sent(theirs, side=side), _sent(ours, side=side))
            if ahead:
                return ahead > 0
        return any(
            _ahead(_acknowledged(theirs, side=side), _sent(ours, side=side)) >= 0
            for side in (False, True)
            if _sent(ours, side=side).size and _acknowledged(theirs, side=side).size
        )
    return False


def _sent(segments: Segments, *, side: bool) -> NDArray[np.uint32]:
    """The sequence numbers after the packets of one end."""
    ends: NDArray[np.uint32] = segments.end[segments.side == side]
    return ends


def _acknowledged(segments: Segments, *, side: bool) -> NDArray[np.uint32]:
    """What the other end acknowledged of one end."""
    acks: NDArray[np.uint32] = segments.ack[(segments.side != side) & segments.has_ack]
    return acks


def _ahead(numbers: NDArray[np.uint32], others: NDArray[np.uint32]) -> int:
    """How far the highest of some sequence numbers is after the highest of others; 0 where either has none."""
    if not len(numbers) or not len(others):
        return 0
    return int((numbers - numbers[0]).astype(np.int32).max()) - int((others - numbers[0]).astype(np.int32).max())


def correct_clocks(members: Sequence[Member]) -> None:
    """Set the clock offset of each capture whose clock is proven to differ from that of an earlier one.

    Captures that show the same direction of a connection, and only that, come from one source: a ring buffer of one
    output of a tap. They have one clock, even where only one of them proves that it differs.
    """
    sources = _sources(members)
    known = {sources[0]} if members else set()
    for one, other, bounds in _differences(members):
        first, second = sources[one], sources[other]
        if second not in known:
            reference, changed, ahead = members[one], second, bounds.middle
        elif first not in known:
            reference, changed, ahead = members[other], first, -bounds.middle
        else:
            continue
        known.add(changed)
        for member, source in zip(members, sources, strict=True):
            if source == changed:
                member.set_clock(reference.clock_offset + ahead, reference)


def _differences(members: Sequence[Member]) -> Iterator[tuple[int, int, ClockBounds]]:
    """The numbers of each two captures whose clocks are proven to differ, and by how much the second is ahead."""
    for one, other in _pairs(members):
        first, second = members[one].head, members[other].head
        bounds = clock_difference(first, second) if first is not None and second is not None else None
        if bounds is not None:
            yield one, other, bounds


def _sources(members: Sequence[Member]) -> list[int]:
    """For each capture, the number of the first one of its source."""
    sources = list(range(len(members)))
    seen: dict[tuple[int, int], int] = {}
    for number, member in enumerate(members):
        halves = _halves(member.head) if member.head is not None else ()
        same = {sources[seen[half]] for half in halves if half in seen}
        if same:
            sources = [min(same) if source in same or source == number else source for source in sources]
        seen |= dict.fromkeys(halves, number)
    return sources


def _halves(head: Segments) -> list[tuple[int, int]]:
    """The connections of which only one direction is there, and which."""
    lower, higher = np.unique(head.flow[~head.side]), np.unique(head.flow[head.side])
    only = np.setdiff1d(lower, higher, assume_unique=True), np.setdiff1d(higher, lower, assume_unique=True)
    return [(flow, side) for side in (0, 1) for flow in only[side].tolist()]


def _pairs(members: Sequence[Member]) -> list[tuple[int, int]]:
    """The numbers of each two captures that may have seen the same connections at the same time."""
    heads = [(number, member.head) for number, member in enumerate(members) if member.head is not None]
    return sorted({*_with_copies(heads), *_with_one_direction_each(heads)})[:MAX_CLOCK_PAIRS]


def _with_copies(heads: Sequence[tuple[int, Segments]]) -> Iterator[tuple[int, int]]:
    """The captures that have equal packets."""
    holders: dict[int, list[int]] = {}
    seen = [np.unique(head.alike) for _, head in heads]
    packets, count = np.unique(np.concatenate(seen or [np.empty(0, np.uint64)]), return_counts=True)
    shared = packets[count > 1]
    for (number, _), own in zip(heads, seen, strict=True):
        for packet in np.intersect1d(own, shared, assume_unique=True).tolist():
            holders.setdefault(packet, []).append(number)
    for numbers in holders.values():
        yield from combinations(numbers[:_MOST_ALIKE], 2)


def _with_one_direction_each(heads: Sequence[tuple[int, Segments]]) -> Iterator[tuple[int, int]]:
    """The captures of which one has only one direction of a connection, and the other only the other one."""
    halves: dict[int, tuple[list[int], list[int]]] = {}
    for number, head in heads:
        for flow, side in _halves(head):
            halves.setdefault(flow, ([], []))[side].append(number)
    for one_side, other_side in halves.values():
        for one in one_side[:_MOST_ALIKE]:
            yield from ((min(one, other), max(one, other)) for other in other_side[:_MOST_ALIKE])
