"""DirectionState: what one direction of a connection has delivered, and what waits in it."""

from __future__ import annotations

from bisect import bisect_left, insort
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from easpcap.limits import (
    GAP_PATIENCE_PACKETS,
    MAX_LOST_SPANS,
    MAX_OUT_OF_ORDER_BYTES,
    MAX_OUT_OF_ORDER_SEGMENTS,
    MAX_REMEMBERED_BYTES,
)
from easpcap.tcp.segment import UNKNOWN_SCALE
from easpcap.tcp.sequence import MASK

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterator

#: `DirectionState.reach` after the end: the other direction may acknowledge anything.
ENDED = 2**63


class Kind(IntEnum):
    """What a `Waiting` entry holds."""

    DATA = 0
    CUT = 1  # bytes that the snapshot length cut off
    FIN = 2


class Waiting(NamedTuple):
    """Part of a segment that waits for the bytes before it, or for the bytes that it acknowledges.

    It covers [offset, end) of its direction. It may be delivered when the other direction has reached the offset
    ``need``. ``order`` is the number of its packet in the connection.
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
    """One direction of a connection.

    ``base`` is the sequence number of offset 0, -1 while it is not known; offsets do not wrap. ``next`` is the offset
    of the next byte to deliver, ``fin`` that of the FIN. ``waiting`` is sorted, has no overlaps, and begins at ``next``
    or later. The peer acknowledged ``stale_ack`` GAP_PATIENCE_PACKETS ago: bytes missing before it will not arrive.
    ``ack_log`` holds later acknowledgements (packet, offset), ``lost`` the last gaps as (start, end).

    ``limit`` is the end of the receiver's window, -1 while none is known; ``scale`` is that of the windows which the
    sender of this direction offers to the other one. ``padding`` are zeros that may be padding of an empty segment.
    ``recent`` are the last bytes delivered, to compare a repeated segment with. ``ahead`` are segments beyond the
    receiver's window, with payload and flags: they count only if the receiver acknowledges them.
    """

    __slots__ = (
        "ack_log",
        "ahead",
        "base",
        "ended",
        "fin",
        "limit",
        "lost",
        "next",
        "padding",
        "recent",
        "scale",
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
        self.limit = -1
        self.ahead: list[tuple[Waiting, bytes, int]] = []
        self.scale = UNKNOWN_SCALE
        self.padding: Waiting | None = None
        self.recent = b""

    @property
    def sent(self) -> int:
        """The end of what the sender is known to have sent in the receiver's window; a FIN counts as a byte."""
        if self.waiting:
            return self.waiting[-1].end + (self.waiting[-1].kind is Kind.FIN)
        return self.next + (self.fin is not None and self.ended)

    @property
    def reach(self) -> int:
        """The highest offset that the other direction may acknowledge now."""
        return ENDED if self.ended else self.next

    @property
    def number(self) -> int:
        """The sequence number of the next byte."""
        return (self.base + self.next) & MASK

    @property
    def overfull(self) -> bool:
        """Whether more is waiting than the limits allow."""
        return self.waiting_bytes > MAX_OUT_OF_ORDER_BYTES or len(self.waiting) > MAX_OUT_OF_ORDER_SEGMENTS

    def uncovered(self, start: int, end: int) -> Iterator[tuple[int, int, Waiting | None]]:
        """Divide [start, end) by the waiting entries: (start, end, the entry that covers this part or None)."""
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
        """Add a waiting entry."""
        insort(self.waiting, entry)
        self.waiting_bytes += len(entry.data)

    def take(self) -> Waiting:
        """Remove the first waiting entry."""
        entry = self.waiting.pop(0)
        self.waiting_bytes -= len(entry.data)
        return entry

    def cut_after(self, end: int) -> int:
        """Remove what waits after ``end``; return the number of its bytes."""
        if not self.waiting or self.waiting[-1].end <= end:
            return 0
        dropped = sum(entry.end - max(entry.offset, end) for entry in self.waiting if entry.end > end)
        kept = [entry for entry in self.waiting if entry.offset < end]
        self.waiting = [
            entry._replace(end=end, data=entry.data[: end - entry.offset]) if entry.end > end else entry
            for entry in kept
        ]
        self.waiting_bytes = sum(len(entry.data) for entry in self.waiting)
        return dropped

    def drop_waiting(self) -> int:
        """Remove all waiting entries; return the number of their bytes."""
        size = self.waiting_bytes
        self.waiting.clear()
        self.waiting_bytes = 0
        return size

    def skip_to(self, end: int) -> int:
        """Declare the bytes up to ``end`` missing; return their number."""
        if self.lost is None:
            self.lost = []
        if self.lost and self.lost[-1][1] == self.next:
            self.lost[-1] = (self.lost[-1][0], end)
        else:
            self.lost.append((self.next, end))
            del self.lost[:-MAX_LOST_SPANS]
        length = end - self.next
        self.next = end
        self.recent = b""
        return length

    def is_outside(self, offset: int) -> bool:
        """Whether ``offset`` is beyond the receiver's window."""
        return 0 <= self.limit < offset

    def remember(self, data: bytes) -> None:
        """Keep the last bytes that were delivered."""
        size = len(data)
        self.recent = (
            data[-MAX_REMEMBERED_BYTES:]
            if size >= MAX_REMEMBERED_BYTES
            else (self.recent[size - MAX_REMEMBERED_BYTES :] + data)
        )

    def remembered(self, start: int, end: int) -> tuple[int, bytes]:
        """What is remembered of [start, end): its offset, and the bytes."""
        first = self.next - len(self.recent)
        start = max(start, first)
        return start, self.recent[start - first : max(end - first, 0)]

    def was_lost(self, start: int, end: int) -> bool:
        """Whether any byte of [start, end) was declared missing."""
        return self.lost is not None and any(first < end and start < stop for first, stop in self.lost)

    def age_acknowledgements(self, packets: int) -> None:
        """Update ``stale_ack`` at packet number ``packets`` of the connection."""
        log = self.ack_log
        while log and log[0][0] + GAP_PATIENCE_PACKETS <= packets:
            self.stale_ack = log.popleft()[1]

    def gap_end(self) -> int:
        """The end of the bytes after ``next`` that will no longer arrive; ``next`` where there are none."""
        if not self.waiting or self.waiting[0].offset == self.next:
            return self.next
        front = self.waiting[0].offset
        return front if self.overfull else max(self.next, min(self.stale_ack, front))
