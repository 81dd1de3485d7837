"""Reassembler: the segments of one connection, one after the other, into ordered bytes. It is the specification.

A segment is delivered when the bytes before it were delivered or given up, and when the other direction has reached
what the segment acknowledges: the two directions are ordered by causality, not by their order in the capture.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from easpcap.batch import ACK, FIN, RST, SYN
from easpcap.limits import GAP_PATIENCE_PACKETS, MAX_WINDOW_BYTES, RESET_LINGER_NS
from easpcap.stream import TO_CLIENT, TO_SERVER, Data, End, Gap, Position
from easpcap.tcp.connection import TcpFact
from easpcap.tcp.direction import DirectionState, Kind, Waiting
from easpcap.tcp.sequence import MASK, unwrap

if TYPE_CHECKING:
    from easpcap.tcp.connection import TcpConnection

Event = Data | Gap | End | TcpFact

_SENDERS = ("client", "server")


class Reassembler:
    """Orders one connection.

    ``client_side`` says which end of the flow is the client's: 0 the lower one, 1 the higher one. ``first_numbers`` are
    the sequence numbers that a SYN would have had in each direction, by the first packet seen, -1 before it.
    """

    __slots__ = (
        "_events",
        "_opening",
        "_reset_at",
        "_reset_by",
        "client_side",
        "connection",
        "first_numbers",
        "halves",
        "is_closing",
    )

    def __init__(self, connection: TcpConnection, client_side: int) -> None:
        self.connection = connection
        self.client_side = client_side
        self.halves = (DirectionState(), DirectionState())
        self.first_numbers = [-1, -1]
        self.is_closing = False  # a FIN or RST was seen
        self._opening: TcpFact | None = None
        self._reset_at: int | None = None
        self._reset_by = TO_SERVER
        self._events: list[Event] = []

    @property
    def is_whole(self) -> bool:
        """Nothing waits, nothing is missing, nobody has closed: what follows in order can be delivered as it comes."""
        to_server, to_client = self.halves
        return not (
            self.is_closing
            or self._opening is not None
            or to_server.waiting
            or to_client.waiting
            or to_server.zero_window
            or to_client.zero_window
            or to_server.ack_log
            or to_client.ack_log
        )

    @property
    def is_unanswered(self) -> bool:
        """Only SYNs of one side were seen."""
        return self._opening is not None

    def begins_anew(self, side: int, number: int) -> bool:
        """Whether a SYN with this number begins another connection on the same ports (as Wireshark decides)."""
        first = self.first_numbers[side ^ self.client_side]
        return first >= 0 and number != first

    # ------------------------------------------------------------------ one segment

    def segment(
        self,
        direction: int,
        seq: int,
        ack: int,
        flags: int,
        window: int,
        payload: memoryview,
        on_wire: int,
        frame: int,
        time_ns: int,
    ) -> list[Event]:
        """Take the next packet of the connection and return what can be told now."""
        connection = self.connection
        connection.packets = packets = connection.packets + 1
        connection.last_frame, connection.last_time_ns = frame, time_ns
        connection.seen[direction] = True
        if self._reset_at is not None:
            self._expire(time_ns)
        if self.first_numbers[direction] < 0:
            self.first_numbers[direction] = seq if flags & SYN else (seq - 1) & MASK
        own, peer = self.halves[direction], self.halves[1 - direction]
        if flags & SYN or own.base < 0:
            seq = self._place(direction, seq, ack, flags, frame, time_ns)
        near = max(own.next, connection.acked[direction])
        offset = unwrap(seq, own.base, near)
        if abs(offset - near) > MAX_WINDOW_BYTES:
            text = f"sequence number {seq} is {abs(offset - near):,} bytes away"
            connection.note("tcp-out-of-window", direction, own.next, text)
            return self._told(direction)
        need, acked = self._acknowledge(1 - direction, ack) if flags & ACK else (-1, None)
        window_turns = (window == 0) != own.zero_window and not flags & (SYN | RST)
        entry: Waiting | None = None  # most segments that are read here carry nothing
        if on_wire or flags & (FIN | RST) or window_turns:
            entry = Waiting(offset, offset + on_wire, packets, Kind.DATA, b"", need, acked, frame, time_ns)
            if on_wire:
                self._accept(direction, entry, payload)
            if flags & (FIN | RST):
                self._close(direction, entry, flags)
        if own.waiting or peer.waiting or peer.ack_log:
            self._drain()
        if entry is not None and window_turns:
            self._window_changed(direction, entry, is_zero=window == 0)
        return self._told(direction)

    def _told(self, direction: int) -> list[Event]:
        """The events so far; before the first of them that the connection was opened, once anybody has answered."""
        events, self._events = self._events, []
        if self._opening is not None and (events or self.connection.seen[1 - direction]):
            events.insert(0, self._opening)
            self._opening = None
        return events

    def _place(self, direction: int, seq: int, ack: int, flags: int, frame: int, time_ns: int) -> int:
        """Settle where offset 0 is (RFC 9293 section 3.4: behind the SYN); returns the number of the first byte."""
        own, peer = self.halves[direction], self.halves[1 - direction]
        if not flags & SYN:
            own.base = seq  # of its first segment, the SYN of which is not in the capture
            return seq
        seq = (seq + 1) & MASK
        connection = self.connection
        if not connection.handshake_seen:
            connection.handshake_seen = True
            self._opening = TcpFact("tcp-open", direction, 0, Position(connection.stamp, frame, time_ns, None))
        if direction == (TO_CLIENT if flags & ACK else TO_SERVER) and connection.roles_known_by != "syn":
            connection.roles_known_by = "syn-ack" if flags & ACK else "syn"
        if own.base < 0 or not (own.next or own.waiting or connection.acked[direction] or own.ended):
            own.base = seq
        if flags & ACK and peer.base < 0:
            peer.base = ack
        if self._reset_at is not None and not (own.ended or peer.ended):
            self._reset_at, self.is_closing, connection.closed_by = None, False, "open"  # refused once, tried again
        return seq

    def _acknowledge(self, direction: int, ack: int) -> tuple[int, int | None]:
        """The sender of the other direction has received ``ack``: what this asks for, and the offset it tells."""
        half, acked = self.halves[direction], self.connection.acked
        if half.base < 0:
            return -1, None
        near = max(half.next, acked[direction])
        need = unwrap(ack, half.base, near)
        if abs(need - near) > MAX_WINDOW_BYTES:
            text = f"acknowledgement number {ack} is {abs(need - near):,} bytes away"
            self.connection.note("tcp-out-of-window", 1 - direction, self.halves[1 - direction].next, text)
            return -1, None
        if need == 1 and not (half.next or half.waiting or self.connection.handshake_seen):
            half.base, need = ack, 0  # the first packet seen was a keep-alive (RFC 9293 section 3.8.4)
        offset = max(0, need)
        if half.fin is not None and offset > half.fin:
            offset = half.fin  # the FIN itself takes a number, but is no byte
        if offset > acked[direction]:
            acked[direction] = offset
            if offset > half.next and not half.ended:
                if half.ack_log is None:
                    half.ack_log = deque()
                half.ack_log.append((self.connection.packets, offset))
        return need, offset

    # ------------------------------------------------------------------ bytes

    def _accept(self, direction: int, entry: Waiting, payload: memoryview) -> None:
        """Deliver the bytes of a segment or let them wait; what was seen before is left out."""
        own = self.halves[direction]
        start, end = entry.offset, entry.end
        if len(payload) < end - start:
            self.connection.truncated = True
        present = min(end, start + len(payload))
        if (
            start == own.next
            and not own.waiting
            and own.fin is None
            and not own.ended
            and entry.need <= self.halves[1 - direction].reach
        ):
            if payload:
                self._deliver(direction, entry._replace(end=present, data=bytes(payload[: present - start])))
            if present < end:
                self._lose(direction, end)
            return
        start, end = self._admit(direction, start, present, end)
        for at, stop, other in own.uncovered(start, end) if start < end else ():
            data = bytes(payload[at - entry.offset : stop - entry.offset]) if at < present else b""
            if other is None:
                if data:
                    own.put(entry._replace(offset=at, end=at + len(data), data=data))
                if len(data) < stop - at:
                    own.put(entry._replace(offset=at + len(data), end=stop, kind=Kind.CUT))
            elif other.kind is Kind.DATA and data != other.data[at - other.offset : at - other.offset + len(data)]:
                text = f"{len(data):,} bytes were sent again with other content; the first copy is used"
                self.connection.note("tcp-overlap-conflict", direction, at, text)

    def _admit(self, direction: int, start: int, present: int, end: int) -> tuple[int, int]:
        """The part of [start, end) that is new and stands before the end of the direction."""
        own, note = self.halves[direction], self.connection.note
        if start < own.next and own.was_lost(start, min(present, own.next)):
            note("tcp-late-bytes", direction, start, "bytes came after they had been given up as missing")
        limit = own.next if own.ended else own.fin
        if limit is not None and end > limit:
            beyond = max(start, limit)
            note("tcp-data-after-close", direction, beyond, f"{end - beyond:,} bytes after the end")
            end = limit
        return max(start, own.next), end

    def _deliver(self, direction: int, entry: Waiting) -> None:
        connection, own = self.connection, self.halves[direction]
        connection.stamp += 1
        position = Position(connection.stamp, entry.frame, entry.time_ns, entry.acked)
        connection.indexes[direction].add(entry.offset, position)
        connection.payload_bytes[direction] += len(entry.data)
        own.next = entry.end
        self._events.append(Data(direction, entry.offset, entry.data))

    def _lose(self, direction: int, end: int) -> None:
        own = self.halves[direction]
        start = own.next
        length = own.lose(end)
        self.connection.gaps[direction] += length
        self._events.append(Gap(direction, start, length, length))

    # ------------------------------------------------------------------ order

    def _drain(self) -> None:
        """Deliver all that waits no longer, in causal order; give up what has been missing for too long."""
        packets = self.connection.packets
        for half in self.halves:
            half.ripen(packets)
        while self._advance(TO_SERVER) or self._advance(TO_CLIENT) or self._give_way():
            pass
        for direction, half in enumerate(self.halves):
            if half.ack_log and self.connection.acked[direction] <= half.next:
                half.ack_log.clear()

    def _advance(self, direction: int) -> bool:
        """Deliver what this direction can; whether there was anything."""
        own, peer = self.halves[direction], self.halves[1 - direction]
        before = len(own.waiting)
        while own.waiting and own.waiting[0].offset == own.next and own.waiting[0].need <= peer.reach:
            self._release(direction)
        return len(own.waiting) != before

    def _release(self, direction: int) -> None:
        """Deliver the first that waits."""
        own = self.halves[direction]
        entry = own.take()
        if entry.kind is Kind.DATA:
            self._deliver(direction, entry)
        elif entry.kind is Kind.CUT:
            self._lose(direction, entry.end)
        else:
            self._end(direction, entry)

    def _give_way(self) -> bool:
        """Where both directions stand still: give up a gap or an acknowledgement that has waited long enough."""
        blocked = []
        for direction, half in enumerate(self.halves):
            end = half.gap_end()
            if end > half.next:
                self._lose(direction, end)
                return True
            if half.waiting and half.waiting[0].offset == half.next:
                blocked.append((half.waiting[0].order, direction))
                if half.overfull or self.connection.packets - half.waiting[0].order >= GAP_PATIENCE_PACKETS:
                    self._release(direction)
                    return True
        if len(blocked) > 1:  # each acknowledges what the other holds back: the order of the capture decides
            self._release(min(blocked)[1])
            return True
        return False

    # ------------------------------------------------------------------ the end

    def _close(self, direction: int, entry: Waiting, flags: int) -> None:
        """Let a FIN or RST wait for its turn."""
        self.is_closing = True
        own = self.halves[direction]
        seen = max(own.next, own.waiting[-1].end if own.waiting else 0)
        if flags & RST:
            if self._reset_at is None:
                self._reset_at, self._reset_by = entry.time_ns, direction
                if own.ended:
                    self._tell("rst", direction, own.next, entry)
                else:
                    own.put(entry._replace(offset=seen, end=seen, kind=Kind.RST, need=-1))
                    self._drain()
        elif own.fin is None and not own.ended and entry.end >= own.next:
            own.fin = fin = max(entry.end, seen)
            entry = entry._replace(offset=fin, end=fin, kind=Kind.FIN)
            if fin == own.next and not own.waiting and entry.need <= self.halves[1 - direction].reach:
                self._end(direction, entry)
            else:
                own.put(entry)

    def _end(self, direction: int, entry: Waiting) -> None:
        """The FIN or RST of a direction has its turn."""
        cause = "fin" if entry.kind is Kind.FIN else "rst"
        self._tell(cause, direction, entry.offset, entry)
        if self.connection.closed_by == "open":
            self.connection.closed_by = f"{_SENDERS[direction]}-{cause}"
        if entry.kind is Kind.FIN or any(half.next or half.ended for half in self.halves):
            self._stop(direction, cause)  # but a refused SYN may be sent again, and answered

    def _stop(self, direction: int, cause: str) -> None:
        own, connection = self.halves[direction], self.connection
        own.ended = True
        for entry in own.waiting:
            if entry.kind is Kind.RST:
                self._tell("rst", direction, own.next, entry)
        dropped = own.drop_waiting()
        if dropped:
            connection.note("tcp-data-after-close", direction, own.next, f"{dropped:,} bytes after the end")
        own.ack_log = None
        connection.acked[direction] = min(connection.acked[direction], own.next)
        self._events.append(End(direction, own.next, cause))

    def _tell(self, kind: str, direction: int, offset: int, entry: Waiting) -> None:
        self.connection.stamp += 1
        position = Position(self.connection.stamp, entry.frame, entry.time_ns, entry.acked)
        self._events.append(TcpFact(kind, direction, offset, position))

    def _window_changed(self, direction: int, entry: Waiting, *, is_zero: bool) -> None:
        """The sender's receive buffer has become full, or has room again (RFC 9293 section 3.8.6)."""
        own = self.halves[direction]
        own.zero_window = is_zero
        if not own.ended:
            self._tell("zero-window" if is_zero else "window-open", direction, max(0, entry.end), entry)

    # ------------------------------------------------------------------ no more packets

    def _expire(self, time_ns: int) -> None:
        """A while after a RST nothing is under way any more: the other direction has ended, too."""
        if self._reset_at is not None and time_ns > self._reset_at + RESET_LINGER_NS:
            self._finish()

    def expire(self, time_ns: int) -> list[Event]:
        """The capture has come to ``time_ns``: say so where a RST has ended the connection long enough before."""
        self._expire(time_ns)
        return self._told(TO_SERVER)

    def finish(self) -> list[Event]:
        """No more packets: give up what is missing and end what has not ended."""
        self._finish()
        if self._opening is not None:
            self._events.insert(0, self._opening)
            self._opening = None
        return self._told(TO_SERVER)

    def _finish(self) -> None:
        self._drain()
        while self.halves[0].waiting or self.halves[1].waiting:
            self._force()
            self._drain()
        for direction, half in enumerate(self.halves):
            if not half.ended:
                self._lose_tail(direction, self.connection.acked[direction])
        for direction, half in enumerate(self.halves):
            if not half.ended:
                reset = "rst" if direction == self._reset_by else "reset-by-peer"
                self._stop(direction, "capture-end" if self._reset_at is None else reset)

    def _force(self) -> None:
        """Nothing more will come: give up the gap that has stood the longest, else what only an ACK tells of."""
        fronts = [(half.waiting[0].order, d) for d, half in enumerate(self.halves) if half.waiting]
        holes = [(order, d) for order, d in fronts if self.halves[d].waiting[0].offset > self.halves[d].next]
        if holes:
            direction = min(holes)[1]
            self._lose(direction, self.halves[direction].waiting[0].offset)
            return
        direction = fronts[0][1]
        need, peer = self.halves[direction].waiting[0].need, 1 - direction
        self._lose_tail(peer, min(need, self.connection.acked[peer]))
        self._release(direction)

    def _lose_tail(self, direction: int, end: int) -> None:
        """Bytes acknowledged and never seen are a gap; a single one is more likely a FIN that the capture lacks."""
        half = self.halves[direction]
        if end > half.next + 1 and self.connection.seen[direction] and not half.ended:
            self._lose(direction, end)
