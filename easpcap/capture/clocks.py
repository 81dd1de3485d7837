"""How far the clocks of two captures are apart, by the connections that both show.

Two facts bound the difference. An acknowledgement is sent after the data that it acknowledges: where each capture has
one direction of a connection, as the two outputs of a tap, this bounds the difference from both sides. And where both
captures have the same packets, one path takes as long as the other, more or less, in both directions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from easpcap.limits import COPY_APART_NS, MAX_CLOCK_FLOWS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from easpcap.capture.segments import Segments

#: A difference that is less may come from the capturing machine, and the reassembly bears it.
LEAST_OFFSET_NS: Final = 1_000_000
#: So many packets must prove a difference.
LEAST_PROOFS: Final = 3


class ClockBounds(NamedTuple):
    """The second clock is at least ``least`` and at most ``most`` ns ahead of the first; None where nothing says so."""

    least: int | None
    most: int | None

    @property
    def middle(self) -> int:
        """The best estimate."""
        known = [bound for bound in self if bound is not None]
        return sum(known) // len(known) if known else 0

    @property
    def is_sound(self) -> bool:
        """Whether the bounds contradict each other by no more than packets stored out of order explain."""
        if self.least is None or self.most is None:
            return True
        return self.least - self.most <= abs(self.middle) // 4


def clock_difference(first: Segments, second: Segments) -> ClockBounds | None:
    """How far the second clock is ahead of the first, where that is proven."""
    shared = np.intersect1d(first.flow, second.flow)
    return (_by_copies(first, second) or _by_acknowledgements(first, second, shared)) if len(shared) else None


def _by_copies(first: Segments, second: Segments) -> ClockBounds | None:
    """By the packets that both captures have once; None where too few say so or the difference is small."""
    ours, theirs = _once(first), _once(second)
    _, at_first, at_second = np.intersect1d(ours.alike, theirs.alike, assume_unique=True, return_indices=True)
    later = theirs.time_ns[at_second] - ours.time_ns[at_first]
    side = ours.side[at_first]
    if min(np.count_nonzero(side), np.count_nonzero(~side)) < LEAST_PROOFS:
        return None
    one, other = int(np.median(later[side])), int(np.median(later[~side]))
    if abs(one + other) // 2 <= COPY_APART_NS // 2:
        return None
    return ClockBounds(min(one, other), max(one, other))


def _once(segments: Segments) -> Segments:
    """The packets with data or SYN that a capture has only once."""
    marked = segments.where((segments.end != segments.seq) | segments.is_syn)
    _, place, count = np.unique(marked.alike, return_index=True, return_counts=True)
    return marked.where(place[count == 1])


def _by_acknowledgements(first: Segments, second: Segments, shared: NDArray[np.uint64]) -> ClockBounds | None:
    """By the connections of which each capture has one direction; None where no acknowledgement comes too early."""
    to_second: list[int] = []
    to_first: list[int] = []
    for flow in shared[:MAX_CLOCK_FLOWS]:
        ours, theirs = first.where(first.flow == flow), second.where(second.flow == flow)
        if {_only_side(ours), _only_side(theirs)} == {False, True} and not _reused(ours) and not _reused(theirs):
            to_second += _delays(ours, theirs)
            to_first += _delays(theirs, ours)
    too_early = sum(delay < -LEAST_OFFSET_NS for delay in (*to_second, *to_first))
    if too_early < LEAST_PROOFS:
        return None
    bounds = ClockBounds(-min(to_first) if to_first else None, min(to_second, default=None))
    return bounds if bounds.is_sound else None


def _only_side(segments: Segments) -> bool | None:
    """The end that sent all packets; None where both ends sent some."""
    sides = segments.side
    return None if sides.any() != sides.all() else bool(sides[0])


def _reused(segments: Segments) -> bool:
    """Whether the ports were used by two connections."""
    return len(np.unique(segments.seq[segments.is_syn])) > 1


def _delays(data: Segments, answers: Segments) -> list[int]:
    """How long after the data it acknowledges each acknowledgement came, by the times of both captures."""
    sent = data.where(data.end != data.seq)
    answers = answers.where(answers.has_ack)
    if not len(sent.seq) or not len(answers.seq):
        return []
    base = sent.end[0]
    ends, times = _first_times(_distance(sent.end, base), sent.time_ns)
    place = np.searchsorted(ends, _distance(answers.ack, base), side="right") - 1
    after = place >= 0
    delays: list[int] = (answers.time_ns[after] - times[place[after]]).tolist()
    return delays


def _first_times(ends: NDArray[np.int64], times: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The sorted ends, and when the last of all bytes before each was first sent."""
    order = np.lexsort((times, ends))
    ends, first = np.unique(ends[order], return_index=True)
    return ends, np.maximum.accumulate(times[order][first])


def _distance(numbers: NDArray[np.uint32], base: np.uint32) -> NDArray[np.int64]:
    """How far each sequence number is after ``base``, which may be negative."""
    return (numbers - base).astype(np.int32).astype(np.int64)
