"""Closings: how a connection ends by FIN, by RST, or with the capture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.batch import FIN, RST
from easpcap.limits import RESET_LINGER_NS
from easpcap.stream import TO_CLIENT, TO_SERVER
from easpcap.tcp.direction import Kind
from easpcap.tcp.order import SENDERS, Event, StreamOrder
from easpcap.tcp.reset import UNKNOWN, PendingReset, Standing, standing

if TYPE_CHECKING:
    from easpcap.tcp.connection import TcpConnection
    from easpcap.tcp.direction import Waiting
    from easpcap.tcp.segment import Segment


class Closings(StreamOrder):
    """Takes FIN and RST, and ends what is left when no more packets come."""

    __slots__ = ("_reset", "is_closing")

    def __init__(self, connection: TcpConnection) -> None:
        super().__init__(connection)
        self.is_closing = False  # a FIN or RST was seen
        self._reset: PendingReset | None = None

    @property
    def was_reset(self) -> bool:
        """Whether there was a RST that counts, or may count."""
        return self._reset is not None

    def read(self, segment: Segment) -> list[Event]:
        """Read the next packet of the connection; return the events that are now due."""
        raise NotImplementedError

    def _take_events(self, direction: int) -> list[Event]:
        """The events since the last call; ``direction`` is that of the packet which was read last."""
        raise NotImplementedError

    # ------------------------------------------------------------------ the end

    def _close(self, direction: int, entry: Waiting) -> None:
        """Take a FIN, which ends its direction once the bytes before it are delivered."""
        own = self.directions[direction]
        if own.fin is not None or own.ended or entry.end < own.next:
            return
        fin = entry._replace(offset=entry.end, end=entry.end, kind=Kind.FIN)
        if self.connection.acked[direction] > fin.offset + 1:
            return  # the receiver has taken bytes beyond it
        dropped = own.cut_after(fin.offset)
        if dropped:
            self.connection.note("tcp-data-after-close", direction, fin.offset, f"{dropped:,} bytes after the end")
        self.is_closing = True
        own.fin = fin.offset
        if fin.offset == own.next and not own.waiting and fin.need <= self.directions[1 - direction].reach:
            self._close_direction(direction, fin)
        else:
            own.put(fin)

    def _take_reset(self, direction: int, entry: Waiting) -> None:
        """Hold a RST if it may count."""
        own, peer, connection = self.directions[direction], self.directions[1 - direction], self.connection
        if self._reset is not None:
            return
        sent = own.sent
        limit = own.limit if all(connection.seen) else UNKNOWN
        found = standing(entry.offset, connection.acked[direction], sent, limit)
        if found is Standing.OUTSIDE:
            text = f"a RST in frame {entry.frame} is not in the receiver's window: not counted"
            connection.note("tcp-reset-ignored", direction, own.next, text)
            return
        self.is_closing = True
        seen = sent if found is Standing.EXACT else entry.offset
        self._reset = PendingReset(direction, entry, seen, peer.sent, connection.closed_by)

    def _judge_reset(self, direction: int, need: int, end: int, flags: int, time_ns: int) -> None:
        """See whether a segment shows that the RST before it did not count."""
        reset = self._reset
        if reset is None or flags & RST:
            return
        if reset.is_refuted(direction, need, time_ns) or (
            direction == reset.sender and flags & FIN and not reset.told and end < reset.at
        ):
            self._withdraw_reset()
        elif direction == reset.sender and time_ns > reset.time_ns and end > self.connection.acked[direction]:
            reset.went_on = True

    def _withdraw_reset(self) -> None:
        """The connection went on after a RST, which therefore did not count."""
        reset, self._reset = self._reset, None
        if reset is None:
            return
        connection = self.connection
        text = f"both sides go on after a RST in frame {reset.entry.frame}: not counted"
        connection.note("tcp-reset-ignored", reset.sender, reset.entry.offset, text)
        if reset.told:
            self._add_fact("rst-ignored", reset.sender, reset.entry.offset, reset.entry)
            connection.closed_by = reset.closed_by_before
        self.is_closing = any(state.fin is not None or state.ended for state in self.directions)
        for segment in reset.parked:
            connection.packets -= 1  # counted when it came
            self._events = self.read(segment)

    def _tell_reset(self) -> None:
        """Yield the fact of a RST once the bytes before it were delivered."""
        reset = self._reset
        if reset is None or reset.told:
            return
        own = self.directions[reset.sender]
        if own.ended or (own.next >= reset.at and not own.waiting):
            self._yield_reset(reset)

    def _yield_reset(self, reset: PendingReset) -> None:
        reset.told = True
        self._add_fact("rst", reset.sender, self.directions[reset.sender].next, reset.entry)
        if self.connection.closed_by == "open":
            self.connection.closed_by = f"{SENDERS[reset.sender]}-rst"

    # ------------------------------------------------------------------ no more packets

    def _expire(self, time_ns: int) -> None:
        """End both directions RESET_LINGER_NS after a RST, when no packet is in flight any more."""
        if self._reset is not None and time_ns > self._reset.time_ns + RESET_LINGER_NS:
            if self._is_contradicted(self._reset):
                self._withdraw_reset()
            else:
                self._finish()

    def expire(self, time_ns: int) -> list[Event]:
        """The events due at ``time_ns``: the end of both directions RESET_LINGER_NS after a RST."""
        self._expire(time_ns)
        return self._take_events(TO_SERVER)

    def finish(self) -> list[Event]:
        """No more packets: declare missing bytes as gaps, and end both directions."""
        if self._reset is not None and self._is_contradicted(self._reset):
            self._withdraw_reset()
        self._finish()
        return self._take_events(TO_SERVER)

    def _is_contradicted(self, reset: PendingReset) -> bool:
        """Whether a RST ahead of its sender's bytes did not count: they never came, and it sent others."""
        return not reset.told and reset.went_on and self.directions[reset.sender].next < reset.at

    def _finish(self) -> None:
        for direction in (TO_SERVER, TO_CLIENT):
            self._drop_outside(direction)
        self._drain()
        while self.directions[0].waiting or self.directions[1].waiting:
            self._declare_next_gap()
            self._drain()
        reset = self._reset
        for direction, state in enumerate(self.directions):
            if not state.ended:
                self._declare_tail(direction, self.connection.acked[direction])
        if reset is not None:
            self._end_by_reset(reset)
        for direction, state in enumerate(self.directions):
            if not state.ended:
                self._end(direction, "capture-end" if reset is None else "reset-by-peer")

    def _end_by_reset(self, reset: PendingReset) -> None:
        """End the direction of a RST; its number shows what was sent before it (RFC 9293 section 3.4)."""
        own = self.directions[reset.sender]
        self._declare_tail(reset.sender, reset.at)
        if not reset.told:
            self._yield_reset(reset)
        if reset.parked_bytes:
            text = f"{reset.parked_bytes:,} bytes after the end"
            self.connection.note("tcp-data-after-close", reset.sender, own.next, text)
        if not own.ended:
            self._end(reset.sender, "rst")
