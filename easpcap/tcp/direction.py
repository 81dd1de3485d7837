"""Half: what one direction of a connection has delivered, and what waits in it."""

from __future__ import annotations

from bisect import bisect_left, insort
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from easpcap.limits import GAP_PATIENCE_PACKETS, MAX_LOST_SPANS, MAX_OUT_OF_ORDER_BYTES, MAX_OUT_OF_ORDER_SEGMENTS
from easpcap.tcp.sequence import MASK

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterator

#: No acknowledgement waits for a direction that has ended.
ENDED = 2**63


class Kind(IntEnum):
    """What waits at a place in the stream."""

    DATA = 0
    CUT = 1  # bytes that a snapshot length kept out of the capture
    FIN = 2
    RST = 3


class Waiting(NamedTuple):
    """Part of a segment that waits for the bytes before it, or for those that it acknowledges.

    It covers [offset, end) and may be delivered when the other direction has reached ``need``. ``order`` counts the
    packets of the connection.
    """

    offset: int
    end: int
    order: int
    kind: Kind
    data: bytes
    need: int
    acked: int | None
    frame: int
    time_ns: int


class DirectionState:
    """One direction. Offsets are 64-bit; ``base`` is the sequence number of offset 0, -1 while it is not known.

    ``waiting`` is sorted and without overlap, and begins at ``next`` or later. ``stale_ack`` is the offset that the
    peer had acknowledged some packets ago: what is still missing before it will not come. ``fin`` is the offset
    of the FIN.
    """

    __slots__ = (
        "ack_log",
        "base",
        "ended",
        "fin",
        "lost",
        "next",
        "stale_ack",
        "waiting",
        "waiting_bytes",
        "zero_window",
    )

    def __init__(self) -> None:
        self.base = -1
        self.next = 0
        self.fin: int | None = None
        self.ended = False
        self.zero_window = False
        self.waiting: list[Waiting] = []
        self.waiting_bytes = 0
        self.stale_ack = 0
        self.ack_log: deque[tuple[int, int]] | None = None
        self.lost: list[tuple[int, int]] | None = None

    @property
    def reach(self) -> int:
        """The acknowledgement that the delivered bytes justify."""
        return ENDED if self.ended else self.next

    @property
    def number(self) -> int:
        """The sequence number of the next byte."""
        return (self.base + self.next) & MASK

    @property
    def overfull(self) -> bool:
        """More waits than may wait."""
        return self.waiting_bytes > MAX_OUT_OF_ORDER_BYTES or len(self.waiting) > MAX_OUT_OF_ORDER_SEGMENTS

    def uncovered(self, start: int, end: int) -> Iterator[tuple[int, int, Waiting | None]]:
        """Cut [start, end) at what waits already: stretches (start, end, what covers them)."""
        number = bisect_left(self.waiting, (start,))  # a shorter tuple sorts before its longer ones
        if number and self.waiting[number - 1].end > start:
            number -= 1
        for other in self.waiting[number : bisect_left(self.waiting, (end,))]:
            if start >= end:
                break
            if other.offset > start:
                yield start, other.offset, None
                start = other.offset
            stop = min(end, other.end)
            if stop > start:
                yield start, stop, other
                start = stop
        if start < end:
            yield start, end, None

    def put(self, entry: Waiting) -> None:
        """Let ``entry`` wait in its place."""
        insort(self.waiting, entry)
        self.waiting_bytes += len(entry.data)

    def take(self) -> Waiting:
        """The first that waits."""
        entry = self.waiting.pop(0)
        self.waiting_bytes -= len(entry.data)
        return entry

    def drop_waiting(self) -> int:
        """Forget all that waits; how many bytes that were."""
        size = self.waiting_bytes
        self.waiting.clear()
        self.waiting_bytes = 0
        return size

    def lose(self, end: int) -> int:
        """Give up the bytes up to ``end``; how many there are."""
        if self.lost is None:
            self.lost = []
        if self.lost and self.lost[-1][1] == self.next:
            self.lost[-1] = (self.lost[-1][0], end)
        else:
            self.lost.append((self.next, end))
            del self.lost[:-MAX_LOST_SPANS]
        length = end - self.next
        self.next = end
        return length

    def was_lost(self, start: int, end: int) -> bool:
        """Whether any byte of [start, end) was given up before."""
        return self.lost is not None and any(first < end and start < stop for first, stop in self.lost)

    def ripen(self, packets: int) -> None:
        """``packets`` have passed: acknowledgements that are old enough count against what is still missing."""
        log = self.ack_log
        while log and log[0][0] + GAP_PATIENCE_PACKETS <= packets:
            self.stale_ack = log.popleft()[1]

    def gap_end(self) -> int:
        """Up to where the bytes in front are known to be missing for good; ``next`` where they are not."""
        if not self.waiting or self.waiting[0].offset == self.next:
            return self.next
        front = self.waiting[0].offset
        return front if self.overfull else max(self.next, min(self.stale_ack, front))
