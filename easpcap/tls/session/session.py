"""One TLS connection: ciphertext events in, plaintext events and facts out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.errors import DecodeError
from easpcap.facts import ServerHello
from easpcap.stream import TO_CLIENT, TO_SERVER, Anomaly, Data, End, Gap
from easpcap.tls import codepoints as cp
from easpcap.tls.events import Place, Records, Seen, TlsEvent
from easpcap.tls.handshake.extensions import EARLY_DATA
from easpcap.tls.handshake.key_finder import KeyFinder
from easpcap.tls.handshake.machine import HandshakeMachine
from easpcap.tls.record.reader import DirectionReader, Mode
from easpcap.tls.record.records import looks_like_tls
from easpcap.tls.record.sizes import plain_bounds, unproven_chaining
from easpcap.tls.secrets.session_cache import SessionCache
from easpcap.tls.session import ssl2
from easpcap.tls.session.output import SessionOutput

if TYPE_CHECKING:
    from collections.abc import Hashable

    from easpcap.tls.handshake.negotiation import Candidate, Negotiation
    from easpcap.tls.protection.record_protection import Protection
    from easpcap.tls.record.reader import Lost
    from easpcap.tls.record.records import Record
    from easpcap.tls.secrets.keyring import KeyRing
    from easpcap.tls.session.encrypted13 import EncryptedSession13

__all__ = ["Records", "Seen", "SessionCache", "TlsEvent", "TlsSession", "looks_like_tls"]


class TlsSession(SessionOutput):
    """Turns the ciphertext of both directions, fed in causal order, into plaintext and facts.

    ``cache`` is shared by all connections; ``server`` is the endpoint that session ids belong to; ``at`` are the TCP
    stream offsets at which TLS begins. The summary's fields are valid at any time. Records outline what no key opens.
    """

    def __init__(self, keyring: KeyRing, cache: SessionCache, server: Hashable, at: tuple[int, int] = (0, 0)) -> None:
        super().__init__()
        self._readers = (DirectionReader(TO_SERVER, at[0]), DirectionReader(TO_CLIENT, at[1]))
        self._finder = KeyFinder(keyring, cache, server)
        self.machine = HandshakeMachine(self._finder, self)
        self._inner: EncryptedSession13 | None = None  # in TLS 1.3
        self._unsure: tuple[DirectionReader, Record] | None = None  # the first record of keys that is damaged, perhaps

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
        del self.machine
        self._inner = None

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
                reader.keep_remainder()
        elif type(event) is End:
            self._end(reader, event, events)
        elif not reader.closed:
            self._lose(reader, event)  # type: ignore[arg-type]  # mypy cannot follow `type(event) is`
        return events

    def _end(self, reader: DirectionReader, event: End, events: list[TlsEvent]) -> None:
        if self.ended[reader.direction]:
            return
        self.ended[reader.direction] = True
        if self._inner is not None:
            self._inner.end(reader, events)
        if reader.mode in (Mode.OPEN, Mode.INNER) and reader.waiting and event.cause == "fin":
            detail = f"the stream ends {reader.waiting} bytes into a record"
            self.tell(events, Anomaly("tls-record-cut", reader.direction, reader.offset, detail))
        if reader.ever_open and reader.lost is not None:
            self.tell_gap(reader, 0, event.offset - reader.lost.start, events)
        elif reader.ever_open and reader.opaque_since:
            self.tell_gap(reader, 0, reader.opaque_since, events)
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
        self.machine.lose()

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
                if reader.lost is not None or reader.protection is None:
                    continue
            elif reader.mode is Mode.OPAQUE:
                self.count_opaque(reader, *reader.read_opaque(events))
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
        if reader.lost is None:
            return
        if self._inner is not None:
            self._inner.stopped(reader, reader.lost, events)
        else:
            self.tell_bad(reader, cp.APPLICATION_DATA, reader.lost.start, events)

    def _take(self, reader: DirectionReader, record: Record, events: list[TlsEvent]) -> None:
        """One record outside the usual run of application data."""
        protection = reader.protection
        if self._inner is not None and reader.mode is Mode.INNER:
            self._inner.take(reader, record, events)
        elif protection is not None:
            data = protection.open(record.content_type, record.version, record.fragment)
            if data is None:
                lost = reader.bad_record(record, protection.sequence - 1)
                self.tell_bad(reader, record.content_type, lost.start, events)
            else:
                self._opened(reader, record, data, events)
        elif reader.mode is Mode.UNPROVEN:
            self._take_first(reader, record, events)
        elif reader.plain_here(record):
            self._content(reader, record, record.fragment, events)
        else:
            self.outline(reader, record, events)
            early_data = self.client_hello_seen and not self.server_hello_seen  # RFC 8446 section 4.2.10
            if not early_data or record.content_type != cp.APPLICATION_DATA:
                reader.close_epoch(Mode.OPAQUE)

    # -- epochs --------------------------------------------------------------------------------------------------------

    def _change_cipher_spec(self, reader: DirectionReader, place: Place, events: list[TlsEvent]) -> None:
        """The records behind this one are under new keys (RFC 5246 section 7.1)."""
        if self.machine.is_compatibility_ccs(reader.direction):
            return
        if reader.joiner.clear():
            self.tell(events, place.anomaly("tls-broken-message", "keys change in the middle of a handshake message"))
        again = self.machine.negotiation.changed[reader.direction]
        self.tell_facts(events, self.machine.change_cipher_spec(place))
        self._begin_epoch(reader, again=again)

    def _begin_epoch(self, reader: DirectionReader, *, again: bool) -> None:
        """``again``: these keys were in use already, so the handshake that made the new ones was missed."""
        reader.close_epoch(Mode.UNPROVEN)
        reader.candidates = [] if again else self.machine.negotiation.protections(reader.direction)

    def _take_first(self, reader: DirectionReader, record: Record, events: list[TlsEvent]) -> None:
        """The first record of an epoch shows which candidate is right."""
        for candidate, protection in reader.candidates:
            data = protection.open(record.content_type, record.version, record.fragment)
            if data is not None:
                self._prove(reader, candidate, protection, events)
                self._opened(reader, record, data, events)
                return
        negotiation = self.machine.negotiation
        if negotiation.proven is not None and reader.candidates:
            reader.open_with(reader.candidates[0][1])
            self.tell_bad(reader, record.content_type, reader.bad_record(record, 0).start, events)
            return
        negotiation.failed = bool(reader.candidates)
        self._unsure = (reader, record) if negotiation.failed and record.content_type == cp.HANDSHAKE else None
        self._close(reader)
        self.outline(reader, record, events)
        if record.content_type == cp.HANDSHAKE:
            self.tell_facts(events, self.machine.take_hidden(self.place(reader, record, encrypted=True)))

    def _prove(self, reader: DirectionReader, candidate: Candidate, way: Protection, events: list[TlsEvent]) -> None:
        reader.open_with(way)
        negotiation = self.machine.negotiation
        if negotiation.proven is None:
            negotiation.proven = candidate
            if candidate.source is not None:
                self.key_sources.add(candidate.source)
            self._finder.remember(negotiation)
            self._recover_damaged_finished(negotiation, events)

    def _recover_damaged_finished(self, negotiation: Negotiation, events: list[TlsEvent]) -> None:
        """The other direction proves the keys under which the Finished of this one did not open: go on behind it."""
        reader, record = self._unsure or (None, None)
        ways = negotiation.protections(reader.direction) if reader is not None else []
        if reader is None or record is None or not ways or (reader.mode, reader.offset) != (Mode.OPAQUE, record.end):
            return
        if unproven_chaining(negotiation.agreement):
            return
        ways[0][1].open(record.content_type, record.version, record.fragment)  # in vain, but it counts
        reader.open_with(ways[0][1])
        self.tell_bad(reader, cp.HANDSHAKE, record.start, events)
        negotiation.failed = False
        self.unopened = None if self.unopened is negotiation else self.unopened

    def _close(self, reader: DirectionReader) -> None:
        """No key opens this epoch."""
        negotiation = self.machine.negotiation
        reader.close_epoch(Mode.OPAQUE)
        self.unopened = self.unopened or negotiation
        if negotiation.proven is None:
            self._finder.remember(negotiation)

    # -- contents ------------------------------------------------------------------------------------------------------

    def _opened(self, reader: DirectionReader, record: Record, data: bytes, events: list[TlsEvent]) -> None:
        if record.content_type == cp.APPLICATION_DATA:
            reader.put_plain(record, data, events)
            self.application_records[reader.direction] += 1
            self.application_bytes[reader.direction] += len(data)
        else:
            self._content(reader, record, data, events, encrypted=True)

    def _content(
        self, reader: DirectionReader, record: Record, data: bytes, events: list[TlsEvent], *, encrypted: bool = False
    ) -> None:
        """What a record of another type than application data says."""
        place = self.place(reader, record, encrypted=encrypted)
        if record.content_type == cp.HANDSHAKE:
            self._messages(reader, record, data, place, events)
        elif record.content_type == cp.CHANGE_CIPHER_SPEC:
            self._change_cipher_spec(reader, place, events)
        elif record.content_type == cp.ALERT:
            self.tell_alerts(reader, data, place, events)

    def _messages(
        self, reader: DirectionReader, record: Record, data: bytes, place: Place, events: list[TlsEvent]
    ) -> None:
        try:
            for message in reader.joiner.feed(data, record.start, record.end):
                where = place if message.start == place.offset else place._replace(offset=message.start)
                self.tell_facts(events, self.machine.take(message, where))
                if message.message_type in (cp.CLIENT_HELLO, cp.SERVER_HELLO):
                    self._after_hello(message.message_type, encrypted=place.encrypted)
        except DecodeError as error:
            self.tell(events, place.anomaly("tls-broken-message", str(error)))
            reader.joiner.clear()
            self.machine.lose()

    def _after_hello(self, message_type: int, *, encrypted: bool) -> None:
        """A hello may lead into TLS 1.3."""
        machine = self.machine
        hello, agreement = machine.negotiation.client_hello, machine.negotiation.agreement
        if message_type == cp.SERVER_HELLO:
            for each in self._readers:
                each.version = min(self.version or 0, cp.TLS12)
        if encrypted or hello is None or machine.retrying:
            return
        if agreement is None and EARLY_DATA in hello.extensions:
            self._inner_session().offer_early(machine.negotiation)
        elif machine.hidden and message_type == cp.SERVER_HELLO and self._finder.logged(hello.random):
            self._inner_session().begin(machine.negotiation)
        elif message_type == cp.SERVER_HELLO and self._inner is not None:
            self._inner.abandon()

    def _inner_session(self) -> EncryptedSession13:
        if self._inner is None:
            from easpcap.tls.session.encrypted13 import EncryptedSession13

            self._inner = EncryptedSession13(self, self._readers, self._finder, self._content_in_clear)
        return self._inner

    def _content_in_clear(self, reader: DirectionReader, record: Record, events: list[TlsEvent]) -> None:
        self._content(reader, record, record.fragment, events)

    def _read_ssl2_hello(self, reader: DirectionReader, events: list[TlsEvent]) -> bool:
        """A hello in SSLv2 format at the very beginning; True where more bytes are needed to see."""
        hello = reader.take_ssl2_hello()
        if not hello:
            return hello is None
        place = Place(reader.direction, reader.base, reader.offset, 0, encrypted=False)
        if hello[2] == cp.SSL2_SERVER_HELLO:
            ssl2.see_server_hello(self, hello[2:])
            for each in self._readers:
                each.close_epoch(Mode.FOREIGN)
            events.append(place.seen(ServerHello(cp.SSL2, None, retry=False)))
        elif reader.direction == TO_SERVER:
            try:
                self.tell_facts(events, self.machine.take_ssl2_hello(hello[2:], place))
            except DecodeError as error:
                self.tell(events, place.anomaly("tls-broken-message", str(error)))
        return False

    # -- lost bytes ----------------------------------------------------------------------------------------------------

    def _doubt(self, reader: DirectionReader, why: str, events: list[TlsEvent]) -> None:
        if reader.records:
            self.tell(events, Anomaly("tls-bad-record", reader.direction, reader.offset, why))
        reader.joiner.clear()
        reader.doubt()

    def _resync(self, reader: DirectionReader, lost: Lost, events: list[TlsEvent]) -> bool:
        """Search the next record; False where more bytes are needed."""
        if self._inner is not None and reader.mode is Mode.INNER:
            return self._inner.resync(reader, lost, events)
        record = reader.search()
        if record is None:
            return False
        missed_change = reader.mode is Mode.PLAIN and self.server_hello_seen and not reader.plain_here(record)
        if missed_change and not self.machine.hidden:  # its ChangeCipherSpec was among the lost bytes
            self._begin_epoch(reader, again=self.machine.negotiation.changed[reader.direction])
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
            self._prove(reader, *reader.candidates[number], events)
        reader.accept(record)
        sequence = reader.protection.sequence if reader.protection else 0
        agreement = self.machine.negotiation.agreement
        usable = record.content_type == cp.CHANGE_CIPHER_SPEC or not unproven_chaining(agreement)
        end, count = (record.start, sequence - 1) if usable else (record.end, sequence)
        least, most = plain_bounds(agreement, end - lost.start, count - lost.sequence)
        self.tell_gap(reader, 0 if self.machine.busy else least, most, events)
        if usable:
            self._opened(reader, record, data, events)

    def _give_up(self, reader: DirectionReader, lost: Lost, events: list[TlsEvent]) -> None:
        """No record behind the lost bytes opens: the rest of this direction stays opaque."""
        if reader.ever_open:
            self.tell_gap(reader, 0, reader.offset - lost.start, events)
        self.tell_lost(reader, events)
        reader.lost = None
        reader.close_epoch(Mode.OPAQUE)
