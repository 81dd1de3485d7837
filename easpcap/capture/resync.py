"""Finds the next records of a damaged capture. A record proves itself by the records that follow it.

Random bytes pass for one header about once in 10^10 places, for a chain of three never.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from easpcap.capture.window import Window

    Offsets = NDArray[np.int64]
    Verdicts = NDArray[np.int8]

#: What `Layout.judge` says of a place: no record; a plausible record; more bytes are needed to say. A record is PROVEN
#: by those that follow it.
NO, YES, UNKNOWN, PROVEN = 0, 1, 2, 3
#: Records that must follow one another; fewer are enough where the last one ends where the file ends.
CHAIN: Final = 3
#: Places that are judged at once: few at first, since the next record is often near.
FIRST_PLACES: Final = 4 * 2**10
MOST_PLACES: Final = 256 * 2**10


class Layout(Protocol):
    """What a record of a format looks like; ``least_at_end`` of them prove themselves where the last ends the file."""

    least_at_end: int

    def judge(self, buffer: bytearray, at: Offsets, end: int, before: Offsets | None) -> Verdicts:
        """NO, YES or UNKNOWN for every place; ``before`` are the records before them, None at the first ones."""

    def following(self, buffer: bytearray, at: Offsets) -> Offsets:
        """Where the records at ``at``, which are plausible, end."""


class Search(NamedTuple):
    """The result of a search: the first place of a proven record (None: none), and whether it is final.

    Where more bytes are needed, ``place`` is the first place that cannot be judged yet.
    """

    place: int | None
    final: bool


def search(layout: Layout, window: Window, start: int, stop: int) -> Search:
    """Look for the first record in ``start`` up to ``stop`` (offsets in the buffer) that proves itself."""
    first, size = start, FIRST_PLACES
    while first < stop:
        places = np.arange(first, min(first + size, stop), dtype=np.int64)
        found = prove(layout, window, places)
        if found.place is not None:
            return found
        first += size
        size = min(2 * size, MOST_PLACES)
    return Search(None, final=True)


def prove(layout: Layout, window: Window, places: Offsets) -> Search:
    """The first of ``places`` where a chain of plausible records begins."""
    buffer, end = window.buffer, window.end
    verdicts = layout.judge(buffer, places, end, None)
    kept = np.flatnonzero(verdicts != NO)
    candidates, verdicts = places[kept], verdicts[kept]
    at = candidates.copy()
    for records in range(1, CHAIN):
        going = np.flatnonzero(verdicts == YES)
        before = at[going]
        at[going] = layout.following(buffer, before)
        verdicts[going] = layout.judge(buffer, at[going], end, before)
        if window.ended and records >= layout.least_at_end:
            verdicts[going[at[going] == end]] = PROVEN
    if window.ended:
        verdicts[verdicts == UNKNOWN] = NO
    hits = np.flatnonzero(verdicts != NO)
    if not len(hits):
        return Search(None, final=True)
    return Search(int(candidates[hits[0]]), final=bool(verdicts[hits[0]] != UNKNOWN))
