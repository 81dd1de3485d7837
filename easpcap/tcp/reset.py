"""Which RST counts: the rule of the receiver, and what happened afterwards (RFC 9293 section 3.10.7.4, RFC 5961).

A receiver obeys a RST with exactly the number that it expects next, answers one elsewhere in its window with a
challenge ACK, and drops all others. The capture does not show what the receiver expects, only what it has acknowledged
and what was sent to it. So a RST that may count is held until it is settled: nothing may follow it.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from easpcap.limits import MAX_PARKED_BYTES, MAX_PARKED_SEGMENTS

if TYPE_CHECKING:
    from easpcap.tcp.direction import Waiting
    from easpcap.tcp.segment import Segment

#: No window is known.
UNKNOWN: Final = -1


class Standing(Enum):
    """How the number of a RST stands to what its receiver expects."""

    EXACT = auto()  # it may be the next number
    INSIDE = auto()  # in the window, beyond all that was seen: either bytes are missing, or it does not count
    OUTSIDE = auto()  # it never counts


def standing(offset: int, acked: int, sent: int, limit: int) -> Standing:
    """The standing of a RST.

    Args:
        offset: that of the RST in its direction.
        acked: what the receiver has acknowledged.
        sent: the end of what was seen in the direction; a FIN counts as a byte.
        limit: the end of the receiver's window, or UNKNOWN.
    """
    if offset < acked:
        return Standing.OUTSIDE
    if offset <= max(sent, acked):
        return Standing.EXACT
    return Standing.OUTSIDE if limit != UNKNOWN and offset > limit else Standing.INSIDE


class PendingReset:
    """A RST that counts unless the connection goes on.

    ``at`` is the offset at which it ends its direction, ``peer_sent`` the end of what the other side had sent before
    it. ``told``: its fact was yielded. ``went_on``: its sender has sent something afterwards.
    """

    __slots__ = ("_parked_bytes", "at", "closed_by_before", "entry", "parked", "peer_sent", "sender", "told", "went_on")

    def __init__(self, sender: int, entry: Waiting, sent: int, peer_sent: int, closed_by: str) -> None:
        self.sender = sender
        self.entry = entry
        self.at = max(entry.offset, sent)
        self.peer_sent = peer_sent
        self.closed_by_before = closed_by
        self.told = False
        self.went_on = False
        self.parked: list[Segment] = []
        self._parked_bytes = 0

    @property
    def time_ns(self) -> int:
        """When it was sent."""
        return self.entry.time_ns

    @property
    def parked_bytes(self) -> int:
        """The bytes that its sender sent after it."""
        return self._parked_bytes

    def park(self, segment: Segment) -> None:
        """Keep a segment that its sender sent after it, in case that it did not count."""
        self._parked_bytes += segment.on_wire
        if len(self.parked) < MAX_PARKED_SEGMENTS and self._parked_bytes <= MAX_PARKED_BYTES:
            self.parked.append(segment._replace(payload=memoryview(bytes(segment.payload))))

    def is_refuted(self, direction: int, need: int, time_ns: int) -> bool:
        """Whether a later segment shows that the connection went on.

        Either side acknowledges (``need``, an offset of the other direction) what was sent after the RST. ``direction``
        and ``time_ns`` are those of the segment.
        """
        if time_ns <= self.time_ns:  # captured later, but sent before it
            return False
        return need > (self.peer_sent if direction == self.sender else self.at)
