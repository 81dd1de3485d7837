"""Merging: several captures joined in time order.

Captures are ordered by their first packets. Where one ends before the next begins, they are read one after the other.
Where they overlap (the two outputs of a tap, ring buffers copied twice, two capture points), their packets are merged
by time, a batch at a time, and packets that two of them contain are counted once. A capture is open only while its time
lasts.
"""

from __future__ import annotations

from collections import deque
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from easpcap.capture.capture import PEEK_BYTES
from easpcap.capture.clocks import clock_difference
from easpcap.capture.duplicates import Candidates, Deduplicator, payload_sums
from easpcap.capture.interleave import join, take
from easpcap.capture.order import correct_clocks, in_order
from easpcap.capture.segments import segments_of
from easpcap.capture.translations import Translations
from easpcap.limits import COPY_APART_NS, WINDOW_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from easpcap.batch import PacketBatch
    from easpcap.capture.capture import Capture
    from easpcap.capture.duplicates import CopyCount
    from easpcap.capture.member import Member
    from easpcap.capture.segments import Segments
    from easpcap.capture.translations import Translated

#: Where the frames of a capture cannot be numbered yet, because an earlier one is still being read, its number in the
#: set is in the bits above these.
FRAME_BITS: Final = 40
FRAME_MASK: Final = (1 << FRAME_BITS) - 1

#: A capture that begins this much before the end of another follows it: capturing machines store packets of several
#: queues a little out of order.
SLACK_NS: Final = 200_000


class TwoPoints(NamedTuple):
    """Two captures that recorded the same packets at different times."""

    first: Member
    second: Member
    common: CopyCount


class Merging:
    """Reads captures once, merged; the attributes are final when the iteration has ended."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = members  # in the order of their first packets
        self._open: list[Member] = []
        self._waiting = deque(members)
        self._deduplicator = Deduplicator()
        self._translations = Translations()
        self._passed: Candidates | None = None  # the last rows that were not compared
        self._ended: Capture | None = None  # the last one, while no other follows it
        self._packets_before = 0  # of the captures that were read to their end
        #: whether frames of batches and captures are not final: `final_frame` gives the final ones at the end
        self.overlap = False

    def __iter__(self) -> Iterator[PacketBatch]:
        while self._fill():
            batch = self._next()
            if batch is not None:
                yield batch
        if self._ended is not None:
            self._ended.finish()

    @property
    def two_points(self) -> list[TwoPoints]:
        """The captures that recorded the same packets at different times."""
        counts = sorted(self._deduplicator.two_points.items())
        return [TwoPoints(self.members[first], self.members[second], common) for (first, second), common in counts]

    @property
    def translated(self) -> list[Translated]:
        """The captures that show the same connections under different addresses; frames are final."""
        return [
            found._replace(
                first_frame=self.final_frame(found.first_frame), second_frame=self.final_frame(found.second_frame)
            )
            for found in self._translations.found
        ]

    def copies(self, member: Member) -> int:
        """How many packets of a capture were dropped because another one contains them."""
        return self._deduplicator.dropped[member.number]

    # ------------------------------------------------------------------ frames

    def final_frame(self, frame: int) -> int:
        """The number of a packet in the whole set, by the frame in its batch."""
        number = frame >> FRAME_BITS
        return self._first_frames[number - 1] + (frame & FRAME_MASK) if number else frame

    @cached_property
    def _first_frames(self) -> list[int]:
        return list(accumulate((member.packets for member in self.members), initial=1))

    def _first_frame(self, number: int) -> int:
        """The number of the first packet of the capture that is opened next."""
        self.overlap = self.overlap or bool(self._open)
        return (number + 1) << FRAME_BITS if self.overlap else self._packets_before + 1

    # ------------------------------------------------------------------ reading

    def _fill(self) -> bool:
        """Read on in all open captures, and open those whose time has come; return False at the end of the set."""
        while True:
            ended = [member for member in self._open if not member.load()]
            for member in ended:
                self._open.remove(member)
                self._end(member)
                self._packets_before += member.packets
            if self._waiting and self._has_come(self._waiting[0]):
                self._begin(len(self.members) - len(self._waiting), self._waiting.popleft())
            else:
                return bool(self._open)

    def _has_come(self, member: Member) -> bool:
        """Whether a capture begins before the end of what the open ones have read."""
        if not self._open:
            return True
        if member.first_time is None:
            return False
        until = self._until()
        begin = min(int(other.order[0]) for other in self._open)
        if member.first_time >= until - min(SLACK_NS, (until - begin) // 2):
            return member.first_time < until and any(member.begins_in(other) for other in self._open)
        return True

    def _begin(self, number: int, member: Member) -> None:
        if self._open and self._passed is not None:
            self._deduplicator.remember(self._passed)
        self._passed = None
        member.open(self._first_frame(number), max(PEEK_BYTES, WINDOW_BYTES // (1 + len(self._open))))
        if member.capture is not None:
            member.capture.is_followed = True
            if self._ended is not None:
                member.capture.follow(self._ended)
                self._ended = None
        if not member.load():
            self._end(member)
            self._packets_before += member.packets
            return
        self._compare_clock(member)
        self._open.append(member)

    def _end(self, member: Member) -> None:
        """A capture has ended; the next one that begins follows it."""
        if self._ended is not None:
            self._ended.finish()
        self._ended = member.capture

    def _compare_clock(self, member: Member) -> None:
        """Set the clock of a capture by the open ones, where its first packets did not."""
        for other in self._open:
            if member.clock_of is None and other.segments is not None and member.segments is not None:
                bounds = clock_difference(other.segments, member.segments)
                if bounds is not None:
                    member.set_clock(member.clock_offset + bounds.middle, other)

    def _until(self) -> int:
        """The time up to which every open capture has been read."""
        return min(int(member.order[-1]) for member in self._open)

    def _next(self) -> PacketBatch | None:
        """The next rows of all open captures."""
        if len(self._open) == 1 and self._deduplicator.is_past(int(self._open[0].order[0])):
            return self._pass(self._open[0])
        until = self._until()
        orders = [member.order[: np.searchsorted(member.order, until, side="right")] for member in self._open]
        taken = [(member.number, rows) for member in self._open if (rows := member.take(until)) is not None]
        files = np.repeat(np.array([number for number, _ in taken], np.int64), [len(rows) for _, rows in taken])
        batch = join([rows for _, rows in taken])
        segments = segments_of(batch)
        candidates = _candidates(batch, segments, files)
        kept = self._deduplicator.keep(candidates)
        if len(taken) > 1:
            self._translations.compare(batch, segments, candidates)
        order = np.argsort(np.concatenate(orders), kind="stable")
        return take(batch, order[kept[order]]) if kept.any() else None

    def _pass(self, member: Member) -> PacketBatch | None:
        """All rows of the only capture that is open. The last ones may have copies in the capture that begins next."""
        batch = member.take(int(member.order[-1]))
        begins = self._waiting[0].first_time if self._waiting else None
        if batch is not None and begins is not None:
            late = np.flatnonzero(batch.time_ns >= begins - COPY_APART_NS)
            self._passed = _copy_of(take(batch, late), member.number) if len(late) else None
        return batch


def sorted_members(members: list[Member]) -> list[Member]:
    """The captures in order, after a look at the first packets of each."""
    for member in members:
        member.look()
    members = in_order(members)
    correct_clocks(members)
    return in_order(members)


def _copy_of(rows: PacketBatch, number: int) -> Candidates:
    """What later packets are compared with; nothing points into the buffer of the rows."""
    rows = join([rows])
    return _candidates(rows, segments_of(rows), np.full(len(rows), number, np.int64))


def _candidates(batch: PacketBatch, segments: Segments, files: NDArray[np.int64]) -> Candidates:
    whole = batch.captured == batch.on_wire
    return Candidates(
        alike=segments.alike,
        time_ns=batch.time_ns,
        file=files,
        content=np.where(whole, payload_sums(batch.buffer, batch.payload_at, batch.captured), -1),
        captured=batch.captured,
        done=np.zeros(len(batch), np.bool_),
    )
