"""StreamOrder: delivers the bytes of both directions in causal order, declares gaps, and ends directions.

An entry is delivered when two conditions hold: the bytes before it were delivered or declared a gap, and the other
direction has delivered what the entry acknowledges. Events therefore come in causal order, even where the capture has
the packets of the two directions in the wrong order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.limits import GAP_PATIENCE_PACKETS
from easpcap.stream import TO_CLIENT, TO_SERVER, Data, End, Gap, Position
from easpcap.tcp.connection import TcpFact
from easpcap.tcp.direction import DirectionState, Kind

if TYPE_CHECKING:
    from easpcap.tcp.connection import TcpConnection
    from easpcap.tcp.direction import Waiting

Event = Data | Gap | End | TcpFact

SENDERS = ("client", "server")


class StreamOrder:
    """The two directions of one connection, and the events that are due."""

    __slots__ = ("_events", "connection", "directions")

    def __init__(self, connection: TcpConnection) -> None:
        self.connection = connection
        self.directions = (DirectionState(), DirectionState())
        self._events: list[Event] = []

    # ------------------------------------------------------------------ events

    def _deliver(self, direction: int, entry: Waiting) -> None:
        connection, own = self.connection, self.directions[direction]
        connection.stamp += 1
        position = Position(connection.stamp, entry.frame, entry.time_ns, entry.acked)
        connection.indexes[direction].add(entry.offset, position)
        connection.payload_bytes[direction] += len(entry.data)
        own.next = entry.end
        own.remember(entry.data)
        self._events.append(Data(direction, entry.offset, entry.data))

    def _declare_gap(self, direction: int, end: int) -> None:
        """Declare that the capture lacks the bytes up to ``end``."""
        own = self.directions[direction]
        start = own.next
        length = own.skip_to(end)
        self.connection.gaps[direction] += length
        self._events.append(Gap(direction, start, length, length))

    def _add_fact(self, kind: str, direction: int, offset: int, entry: Waiting) -> None:
        self.connection.stamp += 1
        position = Position(self.connection.stamp, entry.frame, entry.time_ns, entry.acked)
        self._events.append(TcpFact(kind, direction, offset, position))

    # ------------------------------------------------------------------ order

    def _drain(self) -> None:
        """Deliver what need not wait any longer, in causal order; declare gaps where bytes will no longer arrive."""
        packets = self.connection.packets
        for state in self.directions:
            state.age_acknowledgements(packets)
        while self._advance(TO_SERVER) or self._advance(TO_CLIENT) or self._stop_waiting():
            pass
        for direction, state in enumerate(self.directions):
            if state.ack_log and self.connection.acked[direction] <= state.next:
                state.ack_log.clear()

    def _advance(self, direction: int) -> bool:
        """Deliver what this direction can; return False where there was nothing."""
        own, peer = self.directions[direction], self.directions[1 - direction]
        before = len(own.waiting)
        while own.waiting and own.waiting[0].offset == own.next and own.waiting[0].need <= peer.reach:
            self._release(direction)
        return len(own.waiting) != before

    def _release(self, direction: int) -> None:
        """Deliver the first waiting entry."""
        own = self.directions[direction]
        entry = own.take()
        if entry.kind is Kind.DATA:
            self._deliver(direction, entry)
        elif entry.kind is Kind.CUT:
            self._declare_gap(direction, entry.end)
        else:
            self._close_direction(direction, entry)

    def _stop_waiting(self) -> bool:
        """Where neither direction can go on, declare a gap or release a segment; return False to keep waiting."""
        blocked = []
        for direction, state in enumerate(self.directions):
            end = self._until_needed(direction, state.gap_end())
            if end > state.next:
                self._declare_gap(direction, end)
                return True
            if state.waiting and state.waiting[0].offset == state.next:
                blocked.append((state.waiting[0].order, direction))
                if state.overfull or self.connection.packets - state.waiting[0].order >= GAP_PATIENCE_PACKETS:
                    self._release(direction)
                    return True
        if len(blocked) > 1:  # each waits for the other: capture order decides
            self._release(min(blocked)[1])
            return True
        return False

    # ------------------------------------------------------------------ the end

    def _close_direction(self, direction: int, entry: Waiting) -> None:
        """End a direction whose bytes before the FIN were all delivered."""
        self._add_fact("fin", direction, entry.offset, entry)
        if self.connection.closed_by == "open":
            self.connection.closed_by = f"{SENDERS[direction]}-fin"
        self._end(direction, "fin")

    def _end(self, direction: int, cause: str) -> None:
        """Add the End event; drop what still waits in the direction."""
        own, connection = self.directions[direction], self.connection
        self._drop_outside(direction)
        own.ended = True
        own.padding = None
        dropped = own.drop_waiting()
        if dropped:
            connection.note("tcp-data-after-close", direction, own.next, f"{dropped:,} bytes after the end")
        own.ack_log = None
        connection.acked[direction] = min(connection.acked[direction], own.next)
        self._events.append(End(direction, own.next, cause))

    def _drop_outside(self, direction: int) -> None:
        """Drop what waits beyond the receiver's window: the receiver did not take it (RFC 9293 section 3.10.7.4)."""
        own = self.directions[direction]
        for entry, *_ in own.ahead:
            what = f"{entry.end - entry.offset:,} bytes" if entry.end > entry.offset else "a FIN"
            distance = entry.offset - own.next
            text = f"{what} {distance:,} bytes ahead in frame {entry.frame}, beyond the receiver's window: not counted"
            self.connection.note("tcp-out-of-window", direction, own.next, text)
        own.ahead.clear()

    def _until_needed(self, direction: int, end: int) -> int:
        """The part of a gap up to ``end`` that comes before the next segment of the other side.

        A client that sends a request after it has read a response acknowledges that response. If the whole gap came
        first, the rest of it would seem to be missing before that request.
        """
        own, peer = self.directions[direction], self.directions[1 - direction]
        if peer.waiting and peer.waiting[0].offset == peer.next and own.next < peer.waiting[0].need < end:
            return peer.waiting[0].need
        return end

    def _declare_next_gap(self) -> None:
        """Declare the gap before the entry that has waited longest; without any, one that only an ACK number proves."""
        fronts = [(state.waiting[0].order, d) for d, state in enumerate(self.directions) if state.waiting]
        gaps = [(order, d) for order, d in fronts if self.directions[d].waiting[0].offset > self.directions[d].next]
        if gaps:
            direction = min(gaps)[1]
            end = self.directions[direction].waiting[0].offset
            self._declare_gap(direction, self._until_needed(direction, end))
            return
        direction = fronts[0][1]
        need, peer = self.directions[direction].waiting[0].need, 1 - direction
        self._declare_tail(peer, min(need, self.connection.acked[peer]))
        self._release(direction)

    def _declare_tail(self, direction: int, end: int) -> None:
        """Declare acknowledged bytes missing that were never seen; a single one is a FIN that the capture lacks."""
        state = self.directions[direction]
        if end > state.next + 1 and self.connection.seen[direction] and not state.ended:
            self._declare_gap(direction, end)
