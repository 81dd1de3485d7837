"""Finds packets that several captures contain, so that each is counted once.

Captures overlap where a ring buffer was copied twice, where a file is given twice, or where two capture points recorded
the same connection. Copies are alike in addresses, TCP header and payload, and close in time. A packet that one capture
contains twice is a retransmission: as many are kept as the capture with the most of them contains.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from easpcap.limits import COPY_APART_NS, MAX_RECENT_PACKETS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Flags = NDArray[np.bool_]

#: Copies of one file differ by less than this, where one of them has only microseconds.
SAME_TIME_NS = 1_000


class Candidates(NamedTuple):
    """Packets to compare, one row each.

    ``alike`` as in `Segments`; ``content`` is a sum of the payload, -1 where the packet is cut; ``captured`` its bytes
    in the capture number ``file``. ``done`` is True for packets of an earlier call.
    """

    alike: NDArray[np.uint64]
    time_ns: Integers
    file: Integers
    content: Integers
    captured: Integers
    done: Flags

    def where(self, chosen: NDArray[Any]) -> Candidates:
        """The rows chosen by a mask or by their numbers."""
        return Candidates(*(column[chosen] for column in self))

    def before(self, others: Candidates) -> Candidates:
        """These rows and then others."""
        joined: list[Any] = [np.concatenate(columns) for columns in zip(self, others, strict=True)]
        return Candidates(*joined)


class CopyCount:
    """How many packets two captures have in common at different times, and how far these times are apart."""

    def __init__(self) -> None:
        self.packets = 0
        self._apart_ns = 0

    @property
    def apart_ns(self) -> int:
        """The average."""
        return self._apart_ns // self.packets if self.packets else 0

    def add(self, apart_ns: Integers) -> None:
        """Count the packets that are so far apart."""
        self.packets += len(apart_ns)
        self._apart_ns += int(apart_ns.sum())


class Deduplicator:
    """Reads packets in the order of their times, and says which of them another capture has already shown."""

    def __init__(self) -> None:
        #: packets dropped, by the number of the capture
        self.dropped: Counter[int] = Counter()
        #: by the numbers of two captures, the lower one first
        self.two_points: dict[tuple[int, int], CopyCount] = {}
        self._recent: Candidates | None = None

    def keep(self, packets: Candidates) -> Flags:
        """Which of the packets to keep. Those of the next call are later, except for some milliseconds."""
        rows = self._after_recent(packets)
        kept = ~self._copies(rows)[len(rows.done) - len(packets.done) :]
        self._recent = _recent(rows)
        return kept

    def remember(self, packets: Candidates) -> None:
        """These packets were kept; later ones may be copies of them."""
        self._recent = _recent(self._after_recent(packets))

    def _after_recent(self, packets: Candidates) -> Candidates:
        return packets if self._recent is None else self._recent.before(packets)

    def is_past(self, time_ns: int) -> bool:
        """Whether no packet from this time on can be a copy of an earlier one."""
        return self._recent is None or time_ns > int(self._recent.time_ns.max()) + COPY_APART_NS

    def _copies(self, rows: Candidates) -> Flags:
        """Which rows are copies of others."""
        copies = np.zeros(len(rows.done), np.bool_)
        chosen, group = alike_in_several_files(rows)
        if len(chosen):
            chosen, keeper = _keepers(rows, chosen, group)
            same = _may_be_equal(rows.content[chosen], rows.content[keeper]) & (chosen != keeper) & ~rows.done[chosen]
            copies[chosen[same]] = True
            self._count(rows, chosen[same], keeper[same])
        return copies

    def _count(self, rows: Candidates, copies: Integers, keepers: Integers) -> None:
        files, others = rows.file[copies], rows.file[keepers]
        self.dropped.update(files.tolist())
        apart = np.abs(rows.time_ns[copies] - rows.time_ns[keepers])
        pairs = np.where(apart < SAME_TIME_NS, -1, np.minimum(files, others) << 32 | np.maximum(files, others))
        for pair in np.unique(pairs[pairs >= 0]).tolist():
            self.two_points.setdefault((pair >> 32, pair & 0xFFFF_FFFF), CopyCount()).add(apart[pairs == pair])


def _recent(rows: Candidates) -> Candidates:
    """The rows of which later ones may be copies."""
    late = np.flatnonzero(rows.time_ns >= int(rows.time_ns.max()) - COPY_APART_NS)[-MAX_RECENT_PACKETS:]
    return rows.where(late)._replace(done=np.ones(len(late), np.bool_))


def alike_in_several_files(rows: Candidates) -> tuple[Integers, Integers]:
    """The rows that have one like them close in time in another file, and the number of the group of each."""
    order = np.lexsort((rows.time_ns, rows.alike))
    alike, times, files = rows.alike[order], rows.time_ns[order], rows.file[order]
    begins = np.ones(len(order), np.bool_)
    begins[1:] = (alike[1:] != alike[:-1]) | (times[1:] - times[:-1] > COPY_APART_NS)
    group = np.cumsum(begins) - 1
    several = np.zeros(len(order), np.bool_)
    several[group[1:][~begins[1:] & (files[1:] != files[:-1])]] = True
    chosen = several[group]
    return order[chosen], group[chosen]


def _keepers(rows: Candidates, chosen: Integers, group: Integers) -> tuple[Integers, Integers]:
    """The chosen rows, and for each the row that is kept: the n-th of a group in one file is the n-th in the others."""
    files = rows.file[chosen]
    order = np.lexsort((rows.time_ns[chosen], files, group))
    chosen, group, files = chosen[order], group[order], files[order]
    number = _place_in_run(group, files)
    order = np.lexsort((files, -rows.captured[chosen], ~rows.done[chosen], number, group))
    chosen = chosen[order]
    place = _place_in_run(group[order], number[order])
    return chosen, chosen[np.arange(len(chosen)) - place]


def _place_in_run(first: Integers, second: Integers) -> Integers:
    """For sorted pairs, how many equal ones are before each."""
    begins = np.ones(len(first), np.bool_)
    begins[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    rows = np.arange(len(first))
    return rows - np.maximum.accumulate(np.where(begins, rows, 0))


def _may_be_equal(one: Integers, other: Integers) -> Flags:
    equal: Flags = (one == other) | (one < 0) | (other < 0)
    return equal


def payload_sums(buffer: bytes | bytearray | memoryview, begin: Integers, size: Integers) -> Integers:
    """The sum of the bytes of each payload; ``buffer`` has at least one byte after the last one."""
    bounds = np.empty(2 * len(begin), np.int64)
    bounds[::2], bounds[1::2] = begin, begin + size
    sums = np.add.reduceat(np.frombuffer(buffer, np.uint8), bounds, dtype=np.int64)[::2]
    return np.where(size > 0, sums, 0)
