"""One TLS connection: ciphertext events in, plaintext events and facts out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.errors import DecodeError
from easpcap.limits import MAX_CONNECTION_ANOMALIES
from easpcap.stream import TO_CLIENT, TO_SERVER, Anomaly, Data, End, Gap
from easpcap.tls import handshake as hs
from easpcap.tls import ssl2
from easpcap.tls.alerts import CLOSE_NOTIFY
from easpcap.tls.events import Place, Records, Seen, TlsEvent
from easpcap.tls.keyfinding import KeyFinder
from easpcap.tls.machine import HandshakeMachine
from easpcap.tls.overhead import plain_bounds, unproven_chaining
from easpcap.tls.reader import DirectionReader, Mode
from easpcap.tls.records import (
    ALERT,
    APPLICATION_DATA,
    CHANGE_CIPHER_SPEC,
    HANDSHAKE,
    SSL2_SERVER_HELLO,
    looks_like_tls,
)
from easpcap.tls.resumption import SessionCache
from easpcap.tls.summary import Summary

if TYPE_CHECKING:
    from collections.abc import Hashable

    from easpcap.tls.keys import KeyRing
    from easpcap.tls.negotiation import Candidate
    from easpcap.tls.protection import Protection
    from easpcap.tls.reader import Lost
    from easpcap.tls.records import Record

__all__ = ["Records", "Seen", "SessionCache", "TlsEvent", "TlsSession", "looks_like_tls"]


class TlsSession(Summary):
    """Turns the ciphertext of both directions, fed in causal order, into plaintext and facts.

    ``cache`` is shared by all connections; ``server`` is the endpoint that session ids belong to; ``at`` are the TCP
    stream offsets at which TLS begins. The summary's fields are valid at any time. Records outline what no key opens.
    """

    def __init__(self, keyring: KeyRing, cache: SessionCache, server: Hashable, at: tuple[int, int] = (0, 0)) -> None:
        super().__init__()
        self._readers = (DirectionReader(TO_SERVER, at[0]), DirectionReader(TO_CLIENT, at[1]))
        self._finder = KeyFinder(keyring, cache, server)
        self._machine = HandshakeMachine(self._finder, self)
        self._anomalies_left = MAX_CONNECTION_ANOMALIES
        self._ended = [False, False]

    def plain_offset(self, direction: int, cipher_offset: int) -> int:
        """The plaintext offset reached by the complete records that end at or before a TCP stream offset."""
        return self._readers[direction].map.plain_offset(cipher_offset)

    def cipher_offset(self, direction: int, plain_offset: int, *, last: bool = False) -> int:
        """The TCP stream offset of the first byte, or the last, of the record that holds a plaintext byte.

        At the very end it is the last record's; before the first record, where that would stand.
        """
        reader = self._readers[direction]
        offset = reader.map.cipher_offset(plain_offset, last=last)
        return reader.offset - last if offset is None else offset

    def prune(self, direction: int, cipher_offset: int) -> None:
        """Forget the records that end before a TCP stream offset."""
        self._readers[direction].map.prune(cipher_offset)

    def consumed(self, direction: int) -> int:
        """The TCP stream offset of the first byte that is not part of a finished record."""
        return self._readers[direction].offset

    def forget(self) -> None:
        """Nothing more will come: cut what refers back here."""
        del self._machine

    # -- events in -----------------------------------------------------------------------------------------------------

    def feed(self, event: Data | Gap | End) -> list[TlsEvent]:
        """The next event of a direction; what it yields. No bytes make it raise."""
        reader = self._readers[event[0]]
        events: list[TlsEvent] = []
        if type(event) is Data:
            if reader.closed:
                self.bytes_after_close[event[0]] += len(event[2])
            elif reader.add(event[2]):
                self._read(reader, events)
                reader.settle()
        elif type(event) is End:
            self._end(reader, event, events)
        elif not reader.closed:
            self._lose(reader, event)  # type: ignore[arg-type]  # mypy cannot follow `type(event) is`
        return events

    def _end(self, reader: DirectionReader, event: End, events: list[TlsEvent]) -> None:
        if self._ended[reader.direction]:
            return
        self._ended[reader.direction] = True
        if reader.mode is Mode.OPEN and reader.waiting and event.cause == "fin":
            detail = f"the stream ends {reader.waiting} bytes into a record"
            self._tell(events, Anomaly("tls-record-cut", reader.direction, reader.offset, detail))
        if reader.ever_open and reader.lost is not None:
            self._tell_gap(reader, 0, event.offset - reader.lost.start, events)
        elif reader.ever_open and reader.opaque_since:
            self._tell_gap(reader, 0, reader.opaque_since, events)
        reader.drop()
        reader.closed = True
        events.append(End(reader.direction, reader.plain, event.cause))

    def _lose(self, reader: DirectionReader, gap: Gap) -> None:
        """Bytes are missing: an unfinished record and an unfinished message go with them."""
        midway = not self.client_hello_seen and any(each.mode is Mode.OPAQUE for each in self._readers)
        self.gap_in_handshake |= reader.mode is Mode.PLAIN and not midway
        self.gap_in_data |= reader.mode is not Mode.PLAIN
        self.opaque_records[reader.direction] += reader.cut_application_data()
        reader.joiner.clear()
        reader.lose(reader.offset, gap.offset + gap.length)
        self._machine.lose()

    def _read(self, reader: DirectionReader, events: list[TlsEvent]) -> None:
        """Everything that can be made of the bytes at hand."""
        while not reader.closed:
            if reader.lost is not None:
                if not self._resync(reader, reader.lost, events):
                    return
                continue
            if reader.protection is not None:
                self._read_open(reader, reader.protection, events)
                if reader.spent:
                    return
                if reader.lost is not None:
                    continue
            elif reader.mode is Mode.OPAQUE:
                self._count_opaque(reader, *reader.read_opaque(events))
            elif reader.mode is Mode.FOREIGN:
                ssl2.pass_over(self, reader)
                return
            elif not reader.records and self._read_ssl2_hello(reader, events):
                return
            try:
                record = reader.next_record()
            except DecodeError as error:
                self._doubt(reader, str(error), events)
                continue
            if record is None:
                return
            self._take(reader, record, events)

    def _read_open(self, reader: DirectionReader, protection: Protection, events: list[TlsEvent]) -> None:
        count, size = reader.read_application(protection, events)
        self.application_records[reader.direction] += count
        self.application_bytes[reader.direction] += size
        if reader.lost is not None:
            self._tell_bad(reader, APPLICATION_DATA, reader.lost, events)

    def _take(self, reader: DirectionReader, record: Record, events: list[TlsEvent]) -> None:
        """One record outside the usual run of application data."""
        protection = reader.protection
        if protection is not None:
            data = protection.open(record.content_type, record.version, record.fragment)
            if data is None:
                lost = reader.bad_record(record, protection.sequence - 1)
                self._tell_bad(reader, record.content_type, lost, events)
            else:
                self._opened(reader, record, data, events)
        elif reader.mode is Mode.UNPROVEN:
            self._take_first(reader, record, events)
        elif reader.plain_here(record):
            self._content(reader, record, record.fragment, events)
        else:
            self._outline(reader, record, events)
            early_data = self.client_hello_seen and not self.server_hello_seen  # RFC 8446 section 4.2.10
            if not early_data or record.content_type != APPLICATION_DATA:
                reader.close_epoch(Mode.OPAQUE)

    # -- epochs --------------------------------------------------------------------------------------------------------

    def _change_cipher_spec(self, reader: DirectionReader, place: Place, events: list[TlsEvent]) -> None:
        """The records behind this one are under new keys (RFC 5246 section 7.1)."""
        if self._machine.hidden:
            return
        if reader.joiner.clear():
            self._tell(events, place.anomaly("tls-broken-message", "keys change in the middle of a handshake message"))
        again = self._machine.negotiation.changed[reader.direction]
        self._facts(events, self._machine.change_cipher_spec(place))
        self._begin_epoch(reader, again=again)

    def _begin_epoch(self, reader: DirectionReader, *, again: bool) -> None:
        """``again``: these keys were in use already, so the handshake that made the new ones was missed."""
        reader.close_epoch(Mode.UNPROVEN)
        reader.candidates = [] if again else self._machine.negotiation.protections(reader.direction)

    def _take_first(self, reader: DirectionReader, record: Record, events: list[TlsEvent]) -> None:
        """The first record of an epoch shows which candidate is right."""
        for candidate, protection in reader.candidates:
            data = protection.open(record.content_type, record.version, record.fragment)
            if data is not None:
                self._prove(reader, candidate, protection)
                self._opened(reader, record, data, events)
                return
        negotiation = self._machine.negotiation
        if negotiation.proven is not None and reader.candidates:
            reader.open_with(reader.candidates[0][1])
            self._tell_bad(reader, record.content_type, reader.bad_record(record, 0), events)
            return
        negotiation.failed = bool(reader.candidates)
        self._close(reader)
        self._outline(reader, record, events)
        if record.content_type == HANDSHAKE:
            self._facts(events, self._machine.take_hidden(self._place(reader, record, encrypted=True)))

    def _prove(self, reader: DirectionReader, candidate: Candidate, protection: Protection) -> None:
        reader.open_with(protection)
        negotiation = self._machine.negotiation
        if negotiation.proven is None:
            negotiation.proven = candidate
            if candidate.source is not None:
                self.key_sources.add(candidate.source)
            self._finder.remember(negotiation)

    def _close(self, reader: DirectionReader) -> None:
        """No key opens this epoch."""
        negotiation = self._machine.negotiation
        reader.close_epoch(Mode.OPAQUE)
        self.unopened = self.unopened or negotiation
        if negotiation.proven is None:
            self._finder.remember(negotiation)

    # -- contents ------------------------------------------------------------------------------------------------------

    def _opened(self, reader: DirectionReader, record: Record, data: bytes, events: list[TlsEvent]) -> None:
        if record.content_type == APPLICATION_DATA:
            reader.put_plain(record, data, events)
            self.application_records[reader.direction] += 1
            self.application_bytes[reader.direction] += len(data)
        else:
            self._content(reader, record, data, events, encrypted=True)

    def _content(
        self, reader: DirectionReader, record: Record, data: bytes, events: list[TlsEvent], *, encrypted: bool = False
    ) -> None:
        """What a record of another type than application data says."""
        place = self._place(reader, record, encrypted=encrypted)
        if record.content_type == HANDSHAKE:
            self._messages(reader, record, data, place, events)
        elif record.content_type == CHANGE_CIPHER_SPEC:
            self._change_cipher_spec(reader, place, events)
        elif record.content_type == ALERT:
            self._alerts(reader, data, place, events)

    def _messages(
        self, reader: DirectionReader, record: Record, data: bytes, place: Place, events: list[TlsEvent]
    ) -> None:
        try:
            for message in reader.joiner.feed(data, record.start, record.end):
                where = place if message.start == place.offset else place._replace(offset=message.start)
                self._facts(events, self._machine.take(message, where))
                if message.message_type == hs.SERVER_HELLO:
                    for each in self._readers:
                        each.version = min(self.version or 0, 0x0303)
        except DecodeError as error:
            self._tell(events, place.anomaly("tls-broken-message", str(error)))
            reader.joiner.clear()
            self._machine.lose()

    def _alerts(self, reader: DirectionReader, data: bytes, place: Place, events: list[TlsEvent]) -> None:
        if len(data) % 2:
            self._tell(events, place.anomaly("tls-broken-message", f"an alert record of {len(data)} bytes"))
        for at in range(0, len(data) - 1, 2):
            level, description = data[at], data[at + 1]
            self._facts(events, self._machine.take_alert(level, description, place))
            if description == CLOSE_NOTIFY:
                events.append(End(reader.direction, reader.plain, "close-notify"))
                self._ended[reader.direction] = reader.closed = True
                self.bytes_after_close[reader.direction] += reader.drop()
                return

    def _read_ssl2_hello(self, reader: DirectionReader, events: list[TlsEvent]) -> bool:
        """A hello in SSLv2 format at the very beginning; True where more bytes are needed to see."""
        hello = reader.take_ssl2_hello()
        if not hello:
            return hello is None
        place = Place(reader.direction, reader.base, reader.offset, 0, encrypted=False)
        if hello[2] == SSL2_SERVER_HELLO:
            ssl2.see_server_hello(self, hello[2:])
            for each in self._readers:
                each.close_epoch(Mode.FOREIGN)
            events.append(place.seen("server-hello", "SSL 2.0 ServerHello", {"version": ssl2.VERSION}))
        elif reader.direction == TO_SERVER:
            try:
                self._facts(events, self._machine.take_ssl2_hello(hello[2:], place))
            except DecodeError as error:
                self._tell(events, place.anomaly("tls-broken-message", str(error)))
        return False

    # -- lost bytes ----------------------------------------------------------------------------------------------------

    def _doubt(self, reader: DirectionReader, why: str, events: list[TlsEvent]) -> None:
        if reader.records:
            self._tell(events, Anomaly("tls-bad-record", reader.direction, reader.offset, why))
        reader.joiner.clear()
        reader.doubt()

    def _resync(self, reader: DirectionReader, lost: Lost, events: list[TlsEvent]) -> bool:
        """Search the next record; False where more bytes are needed."""
        record = reader.search()
        if record is None:
            return False
        missed_change = reader.mode is Mode.PLAIN and self.server_hello_seen and not reader.plain_here(record)
        if missed_change and not self._machine.hidden:  # its ChangeCipherSpec was among the lost bytes
            self._begin_epoch(reader, again=self._machine.negotiation.changed[reader.direction])
        if reader.mode is Mode.UNPROVEN and not reader.candidates:
            self._close(reader)
        if reader.mode not in (Mode.OPEN, Mode.UNPROVEN):
            reader.lost = None  # nothing proves a record here: the header must do
            return True
        ways = [way for _, way in reader.candidates] if reader.protection is None else [reader.protection]
        opened = reader.reopen(record, lost, ways)
        if opened is not None:
            self._reopened(reader, lost, record, opened, events)
        elif reader.hopeless:
            self._give_up(reader, lost, events)
        else:
            reader.reject()
        return True

    def _reopened(
        self, reader: DirectionReader, lost: Lost, record: Record, opened: tuple[int, bytes], events: list[TlsEvent]
    ) -> None:
        """A record behind lost bytes was opened: how much is missing is known by its number."""
        number, data = opened
        if reader.candidates:
            self._prove(reader, *reader.candidates[number])
        reader.accept(record)
        sequence = reader.protection.sequence if reader.protection else 0
        agreement = self._machine.negotiation.agreement
        usable = record.content_type == CHANGE_CIPHER_SPEC or not unproven_chaining(agreement)
        end, count = (record.start, sequence - 1) if usable else (record.end, sequence)
        least, most = plain_bounds(agreement, end - lost.start, count - lost.sequence)
        self._tell_gap(reader, 0 if self._machine.busy else least, most, events)
        if usable:
            self._opened(reader, record, data, events)

    def _give_up(self, reader: DirectionReader, lost: Lost, events: list[TlsEvent]) -> None:
        """No record behind the lost bytes opens: the rest of this direction stays opaque."""
        if reader.ever_open:
            self._tell_gap(reader, 0, reader.offset - lost.start, events)
        detail = "no record opens after bytes were lost"
        self._tell(events, Anomaly("tls-lost", reader.direction, reader.offset, detail))
        reader.lost = None
        reader.close_epoch(Mode.OPAQUE)

    def _tell_gap(self, reader: DirectionReader, least: int, most: int, events: list[TlsEvent]) -> None:
        if most > 0:
            events.append(Gap(reader.direction, reader.plain, least, most))
            reader.plain += least

    def _tell_bad(self, reader: DirectionReader, content_type: int, lost: Lost, events: list[TlsEvent]) -> None:
        """A record under proven keys did not open."""
        self.bad_records += 1
        self.opaque_records[reader.direction] += content_type == APPLICATION_DATA
        reader.joiner.clear()
        self._machine.lose()
        self._tell(events, Anomaly("tls-bad-mac", reader.direction, lost.start, "a record fails its integrity check"))

    def _outline(self, reader: DirectionReader, record: Record, events: list[TlsEvent]) -> None:
        self._count_opaque(reader, *reader.outline(record, events))

    def _count_opaque(self, reader: DirectionReader, count: int, size: int) -> None:
        self.opaque_records[reader.direction] += count
        self.opaque_bytes[reader.direction] += size
        reader.opaque_since += size

    def _place(self, reader: DirectionReader, record: Record, *, encrypted: bool) -> Place:
        return Place(reader.direction, record.start, record.end, reader.plain, encrypted)

    def _facts(self, events: list[TlsEvent], facts: list[Seen | Anomaly]) -> None:
        for fact in facts:
            if isinstance(fact, Anomaly):
                self._tell(events, fact)
            else:
                events.append(fact)

    def _tell(self, events: list[TlsEvent], anomaly: Anomaly) -> None:
        """An anomaly, unless this connection had too many already."""
        if self._anomalies_left > 0:
            self._anomalies_left -= 1
            events.append(anomaly)
