"""How far the clocks of two captures are apart, by the connections that both show.

Two facts bound the difference. An acknowledgement is sent after the data that it acknowledges: where each capture has
one direction of a connection, as the two outputs of a tap, this bounds the difference from both sides. And where both
captures have the same packets, one path takes as long as the other, more or less, in both directions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from easpcap.capture.segments import Segments
from easpcap.limits import COPY_APART_NS, MAX_CLOCK_FLOWS

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: A difference that is less may come from the capturing machine, and the reassembly bears it.
LEAST_OFFSET_NS: Final = 1_000_000
#: So many packets must prove a difference.
LEAST_PROOFS: Final = 3


class ClockBounds(NamedTuple):
    """The second clock is at least ``least`` and at most ``most`` ns ahead of the first; None where nothing says so."""

    least: int | None
    most: int | None

    @property
    def proves_difference(self) -> bool:
        """Whether the clocks cannot be equal."""
        if self.least is not None and self.most is not None and self.least > self.most:
            return False  # contradictory: the packets are not what they seem
        ahead = self.least is not None and self.least > LEAST_OFFSET_NS
        return ahead or (self.most is not None and self.most < -LEAST_OFFSET_NS)

    @property
    def middle(self) -> int:
        """The best estimate."""
        known = [bound for bound in self if bound is not None]
        return sum(known) // len(known) if known else 0


def clock_difference(first: Segments, second: Segments) -> ClockBounds | None:
    """How far the second clock is ahead of the first, where that is proven."""
    copies = _by_copies(first, second)
    if copies is not None:
        return copies
    bounds = _by_acknowledgements(first, second)
    return bounds if bounds is not None and bounds.proves_difference else None


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


def _by_acknowledgements(first: Segments, second: Segments) -> ClockBounds | None:
    """By the connections of which each capture has one direction."""
    least: list[int] = []
    most: list[int] = []
    shared = np.intersect1d(first.flow, second.flow)
    for flow in shared[:MAX_CLOCK_FLOWS]:
        ours, theirs = first.where(first.flow == flow), second.where(second.flow == flow)
        if {_only_side(ours), _only_side(theirs)} != {False, True} or _reused(ours) or _reused(theirs):
            continue
        most += _delays(ours, theirs)
        least += [-delay for delay in _delays(theirs, ours)]
    if len(least) + len(most) < LEAST_PROOFS:
        return None
    return ClockBounds(max(least, default=None), min(most, default=None))


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
