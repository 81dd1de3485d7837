"""FlowTable: the connection of every flow. The columnar path and the reference path both work on it."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from heapq import nsmallest
from itertools import islice
from typing import TYPE_CHECKING

from easpcap.batch import ACK, RST, SYN
from easpcap.limits import (
    MAX_CLOSED_FLOWS,
    MAX_HELD_SYNS,
    MAX_LIVE_CONNECTIONS,
    MAX_UNANSWERED_FRAMES,
    RESET_LINGER_NS,
)
from easpcap.stream import Endpoint, Position
from easpcap.tcp.connection import TcpConnection, address_text, guess_roles
from easpcap.tcp.reassembler import Reassembler
from easpcap.tcp.sequence import MASK, initial_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.tcp.flows import FlowKey
    from easpcap.tcp.reassembler import Event
    from easpcap.tcp.segment import Segment


def is_opening(flags: int) -> bool:
    """Whether a segment asks for a new connection."""
    return flags & (SYN | ACK) == SYN


class ClosedFlow:
    """What remains of a connection that its consumer has forgotten: enough to recognise its late segments.

    ``first_numbers`` are the initial sequence numbers of the lower and the higher end of the flow, -1 where not known.
    """

    __slots__ = ("first_numbers",)

    def __init__(self, reassembler: Reassembler) -> None:
        self.first_numbers = [reassembler.first_number(side) for side in (0, 1)]

    def first_number(self, side: int) -> int:
        """The initial sequence number of one end of the flow, -1 where it is not known."""
        return self.first_numbers[side]

    def ignore(self, side: int, seq: int, flags: int) -> None:
        """Skip a late segment, which yields no events."""
        if self.first_numbers[side] < 0:
            self.first_numbers[side] = initial_number(seq, flags)


class FlowTable:
    """Finds, opens and closes connections.

    A connection stays in the table until its ports are reused, there is no room for it, or its consumer calls
    `TcpConnection.forget`. ``unanswered`` counts those without room of which only SYNs were seen.

    A SYN in the middle of an open connection is held until it is answered, or until its sender goes on with the older
    numbers: its receiver may have challenged it (RFC 5961 section 4.2), and then it opened nothing.
    """

    def __init__(self) -> None:
        self._flows: dict[FlowKey, Reassembler] = {}
        self._closed: dict[FlowKey, ClosedFlow] = {}
        self._connections: dict[int, tuple[FlowKey, TcpConnection]] = {}
        self._forgotten: list[TcpConnection] = []
        self._opened = 0
        self._held: dict[FlowKey, list[Segment]] = {}  # a SYN in an open connection, and its repetitions
        self._resets: OrderedDict[Reassembler, int] = OrderedDict()  # when each was reset, in that order
        self.unanswered = 0
        self.unanswered_frames = array("q")  # the first frame of each, and of the SYNs that opened nothing

    @property
    def connections(self) -> list[TcpConnection]:
        """All connections, by id, that have yielded events or still may, except the forgotten ones."""
        self.drop_forgotten()
        return [connection for _, connection in self._connections.values()]

    def find(self, key: FlowKey) -> Reassembler | ClosedFlow | None:
        """The newest connection of a flow."""
        return self._flows.get(key) or self._closed.get(key)

    def read(self, key: FlowKey, segment: Segment) -> Iterator[tuple[TcpConnection, Event]]:
        """Read the next segment of a flow."""
        if key in self._held:
            if self._belongs_to_held(key, segment):
                return
            yield from self._settle_held(key, segment)
        found = self.find(key)
        if found is None or (is_opening(segment.flags) and self.is_another(found, segment.side, segment.seq)):
            if isinstance(found, Reassembler) and found.may_challenge:
                self._held[key] = [segment._replace(payload=memoryview(bytes(segment.payload)))]
                return
            yield from self.open(key, segment)
            found = self.find(key)
        if isinstance(found, ClosedFlow):
            found.ignore(segment.side, segment.seq, segment.flags)
        elif found is not None:
            for event in self.feed(found, segment):
                yield found.connection, event

    def feed(self, reassembler: Reassembler, segment: Segment) -> list[Event]:
        """Read the next segment of a connection."""
        if segment.flags & RST:
            self._watch_reset(segment.time_ns, reassembler)
        return reassembler.read(segment)

    def is_another(self, found: Reassembler | ClosedFlow, side: int, seq: int) -> bool:
        """Whether a SYN with this number opens another connection than the one found."""
        return found.first_number(side) not in (-1, seq)

    def holds(self, key: FlowKey) -> bool:
        """Whether a SYN of this flow waits for its answer: then `read` has to read its segments."""
        return key in self._held

    def open(self, key: FlowKey, segment: Segment) -> Iterator[tuple[TcpConnection, Event]]:
        """Enter a new connection whose first packet is ``segment``, which is still to be read.

        Yields the end of the earlier connection whose ports it reuses.
        """
        source, target = segment.source, segment.target
        by_client, how = guess_roles(source[2], target[2], segment.flags)
        client, server = (source, target) if by_client else (target, source)
        connection = TcpConnection(
            self._opened,
            Endpoint(address_text(*client[:2]), client[2]),
            Endpoint(address_text(*server[:2]), server[2]),
            how,
            Position(0, segment.frame, segment.time_ns, None),
            on_forget=self._forgotten.append,
        )
        self._opened += 1
        self._connections[connection.id] = key, connection
        reassembler = Reassembler(connection, client_side=int(client > server))
        old = self._flows.get(key)
        self._flows[key] = reassembler
        self._closed.pop(key, None)
        if old is not None:
            yield from self._end(old)

    # ------------------------------------------------------------------ a SYN in an open connection

    def _belongs_to_held(self, key: FlowKey, segment: Segment) -> bool:
        """Whether a segment is the held SYN once more; it is held, too."""
        held, old = self._held[key], self._flows.get(key)
        again = is_opening(segment.flags) and (segment.side, segment.seq) == (held[0].side, held[0].seq)
        if not again or old is None or not old.may_challenge:
            return False
        if len(held) < MAX_HELD_SYNS:
            held.append(segment._replace(payload=memoryview(bytes(segment.payload))))
        return True

    def _settle_held(self, key: FlowKey, segment: Segment) -> Iterator[tuple[TcpConnection, Event]]:
        """Open a connection with the held SYN if ``segment`` shows that it counts; drop it if it shows that not."""
        syn, old = self._held[key][0], self._flows.get(key)
        expected = (syn.seq + 1) & MASK
        if segment.side == syn.side:
            counts = segment.seq == expected
        else:
            counts = bool(segment.flags & (SYN | RST)) and segment.ack == expected
        if counts or old is None or is_opening(segment.flags):
            yield from self._open_held(key)
        elif segment.side == syn.side and not segment.flags & (SYN | RST) and old.continues(segment):
            old.connection.packets += len(self._held.pop(key))
            text = f"a SYN in frame {syn.frame} opened no connection: its sender went on with the older numbers"
            direction = syn.side ^ old.client_side
            old.connection.note("tcp-syn-ignored", direction, old.directions[direction].next, text)
            if len(self.unanswered_frames) < MAX_UNANSWERED_FRAMES:
                self.unanswered_frames.append(syn.frame)

    def _open_held(self, key: FlowKey) -> Iterator[tuple[TcpConnection, Event]]:
        held = self._held.pop(key)
        yield from self.open(key, held[0])
        reassembler = self._flows[key]
        for segment in held:
            for event in self.feed(reassembler, segment):
                yield reassembler.connection, event

    # ------------------------------------------------------------------ the end

    def _watch_reset(self, time_ns: int, reassembler: Reassembler) -> None:
        """A RST comes next, sent at ``time_ns``: `expire` ends the connection some time later."""
        if not reassembler.was_reset:
            self._resets[reassembler] = time_ns
            self._resets.move_to_end(reassembler)

    def expire(self, time_ns: int) -> Iterator[tuple[TcpConnection, Event]]:
        """End the connections that were reset long enough before ``time_ns``."""
        while self._resets:
            reassembler, reset_at = next(iter(self._resets.items()))
            if reset_at + RESET_LINGER_NS >= time_ns:
                break
            del self._resets[reassembler]
            for event in reassembler.expire(time_ns):
                yield reassembler.connection, event

    def make_room(self) -> Iterator[tuple[TcpConnection, Event]]:
        """Above MAX_LIVE_CONNECTIONS, drop those silent the longest; their ``closed_by`` stays "open"."""
        excess = len(self._flows) - MAX_LIVE_CONNECTIONS
        if excess <= 0:
            return
        for key, reassembler in nsmallest(
            excess + MAX_LIVE_CONNECTIONS // 16, self._flows.items(), key=lambda item: item[1].connection.last_frame
        ):
            del self._flows[key]
            if reassembler.is_unanswered:
                self.unanswered += 1
                if len(self.unanswered_frames) < MAX_UNANSWERED_FRAMES:
                    self.unanswered_frames.append(reassembler.connection.first.frame)
                self._resets.pop(reassembler, None)
                del self._connections[reassembler.connection.id]
                continue
            yield from self._end(reassembler)

    def drop_forgotten(self) -> None:
        """Free the connections that their consumer has forgotten; keep only a ClosedFlow for each."""
        for connection in self._forgotten:
            if connection.id not in self._connections:  # forgotten twice
                continue
            key, _ = self._connections.pop(connection.id)
            reassembler = self._flows.get(key)
            if reassembler is not None and reassembler.connection is connection:
                del self._flows[key]
                self._resets.pop(reassembler, None)
                self._closed[key] = ClosedFlow(reassembler)
        self._forgotten.clear()
        if len(self._closed) > MAX_CLOSED_FLOWS:
            excess = len(self._closed) - MAX_CLOSED_FLOWS
            for key in list(islice(self._closed, excess + MAX_CLOSED_FLOWS // 16)):
                del self._closed[key]

    def finish(self) -> Iterator[tuple[TcpConnection, Event]]:
        """No more packets: end every connection."""
        for key in list(self._held):
            yield from self._open_held(key)
        for reassembler in sorted(self._flows.values(), key=lambda reassembler: reassembler.connection.id):
            yield from self._end(reassembler)
        self._flows.clear()
        self._closed.clear()

    def _end(self, reassembler: Reassembler) -> Iterator[tuple[TcpConnection, Event]]:
        self._resets.pop(reassembler, None)
        for event in reassembler.finish():
            yield reassembler.connection, event
