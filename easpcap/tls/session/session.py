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
from easpcap.tls.record.records import Record, looks_like_tls
from easpcap.tls.secrets.session_cache import SessionCache
from easpcap.tls.session import ssl2
from easpcap.tls.session.direction import Direction, Mode
from easpcap.tls.session.keys12 import Tls12Keys
from easpcap.tls.session.output import SessionOutput

if TYPE_CHECKING:
    from collections.abc import Hashable

    from easpcap.tls.protection.record_protection import Protection
    from easpcap.tls.record.reader import Lost
    from easpcap.tls.secrets.keyring import KeyRing
    from easpcap.tls.secrets.session_secrets import SessionSecrets
    from easpcap.tls.session.direction import Content
    from easpcap.tls.session.keys13 import Tls13Keys

__all__ = ["Records", "Seen", "SessionCache", "TlsEvent", "TlsSession", "looks_like_tls"]


class TlsSession(SessionOutput):
    """Turns the ciphertext of both directions, fed in causal order, into plaintext and facts.

    ``cache`` is shared by all connections; ``server`` is the endpoint that session ids belong to; ``at`` are the TCP
    stream offsets at which TLS begins. The summary's fields are valid at any time. Records outline what no key opens.
    ``collector`` is given the secrets that were found, where somebody wants them.

    This is the record loop, the same for all versions. What differs between them is in the keys (see EpochKeys).
    """

    def __init__(
        self,
        keyring: KeyRing,
        cache: SessionCache,
        server: Hashable,
        at: tuple[int, int] = (0, 0),
        collector: SessionSecrets | None = None,
    ) -> None:
        super().__init__()
        self._finder = KeyFinder(keyring, cache, server, collector)
        self.machine = HandshakeMachine(self._finder, self)
        keys = self._keys12 = Tls12Keys(self, self._finder)
        self._directions = (
            Direction(TO_SERVER, self.events, at[0], keys),
            Direction(TO_CLIENT, self.events, at[1], keys),
        )
        self._keys13: Tls13Keys | None = None

    def plain_offset(self, direction: int, cipher_offset: int) -> int:
        """The plaintext offset reached by the complete records that end at or before a TCP stream offset."""
        return self._directions[direction].map.plain_offset(cipher_offset)

    def cipher_offset(self, direction: int, plain_offset: int, *, last: bool = False) -> int:
        """The TCP stream offset of the first byte, or the last, of the record that holds a plaintext byte.

        After the last plaintext byte it is that of the last record; before the first record, where that would begin.
        """
        reader = self._directions[direction]
        offset = reader.map.cipher_offset(plain_offset, last=last)
        return reader.offset - last if offset is None else offset

    def prune(self, direction: int, cipher_offset: int) -> None:
        """Forget the records that end before a TCP stream offset."""
        self._directions[direction].map.prune(cipher_offset)

    def consumed(self, direction: int) -> int:
        """The TCP stream offset of the first byte that is not part of a finished record."""
        return self._directions[direction].offset

    def hidden_bytes(self, direction: int) -> int:
        """Bytes of records at the present end of a direction that could not be read: what they hold is not known."""
        reader = self._directions[direction]
        if reader.lost is not None:
            return reader.offset + reader.waiting - reader.lost.start
        return reader.opaque_bytes if reader.ever_opened else 0

    def forget(self) -> None:
        """Nothing more will come: cut the references in a circle, so that the memory is free at once."""
        del self.machine, self._keys12
        self._keys13 = None
        for reader in self._directions:
            del reader.keys

    # -- events in -----------------------------------------------------------------------------------------------------

    def feed(self, event: Data | Gap | End) -> list[TlsEvent]:
        """The next event of a direction. Returns what it yields. No bytes make it raise."""
        reader = self._directions[event.direction]
        if isinstance(event, Data):
            if reader.closed:
                self.bytes_after_close[reader.direction] += len(event.data)
            elif reader.add(event.data):
                self._read(reader)
                reader.keep_remainder()
        elif isinstance(event, Gap):
            self._lose(reader, event)
        else:
            self._end(reader, event)
        return self.drain() if self.events else []

    def _end(self, reader: Direction, event: End) -> None:
        if self.ended[reader.direction]:
            return
        self._finish_search(reader)
        self.ended[reader.direction] = True
        if self._keys13 is not None:
            self._keys13.end(reader)
        if reader.mode is Mode.PROTECTED and reader.waiting and event.cause == "fin":
            detail = f"the stream ends {reader.waiting} bytes into a record"
            self.add_anomaly(Anomaly("tls-record-cut", reader.direction, reader.offset, detail))
        if any(each.ever_opened for each in self._directions):  # what was read of one has an answer in the other
            if reader.lost is not None and reader.ever_opened:
                self.add_gap(reader, 0, event.offset - reader.lost.start)
            elif reader.opaque_bytes:
                self.add_gap(reader, 0, reader.opaque_bytes)
        reader.drop()
        reader.closed = True
        self.events.append(End(reader.direction, reader.plain, event.cause))

    def _lose(self, reader: Direction, gap: Gap) -> None:
        """Bytes are missing: an unfinished record and an unfinished message go with them."""
        if reader.closed:
            return
        self._finish_search(reader)
        in_clear = reader.mode is Mode.CLEAR
        begun_later = not self.client_hello_seen and any(each.mode is Mode.OPAQUE for each in self._directions)
        self.gap_in_handshake |= in_clear and not begun_later
        self.gap_in_data |= not in_clear
        self.opaque_records[reader.direction] += reader.application_data_begun
        reader.joiner.clear()
        reader.lose(gap.offset + gap.length)
        self.machine.lose()

    def _finish_search(self, reader: Direction) -> None:
        """No more bytes follow those at hand: those that cannot begin a record after all are passed over."""
        if reader.lost is not None:
            reader.add_remainder()
            self._read(reader)
            reader.keep_remainder()

    # -- records -------------------------------------------------------------------------------------------------------

    def _read(self, reader: Direction) -> None:
        """Read all whole records of the bytes at hand."""
        while not reader.closed:
            if reader.lost is not None:
                if not self._recover(reader, reader.lost):
                    return
                continue
            if reader.protection is not None:
                self._read_run(reader, reader.protection)
                if reader.all_read:
                    return
                if reader.lost is not None or reader.protection is None:
                    continue
            elif not self._read_unprotected(reader):
                return
            try:
                record = reader.next_record()
            except DecodeError as error:
                self._skip_bad_header(reader, str(error))
                continue
            if record is None:
                return
            content = reader.keys.open(reader, record)
            if content is not None:
                self._take_content(reader, record, content)

    def _read_run(self, reader: Direction, protection: Protection) -> None:
        """A run of application data, and what the record that ended it holds."""
        count, size = reader.read_application(protection)
        self.application_records[reader.direction] += count
        self.application_bytes[reader.direction] += size
        lost = reader.lost
        if lost is not None:
            record = Record(cp.APPLICATION_DATA, 0, b"", lost.start, lost.expected_at)
            content = reader.keys.end_of_run(reader, record)
            if content is not None:
                self._take_content(reader, record, content)

    def _read_unprotected(self, reader: Direction) -> bool:
        """What comes before the next single record where no keys are in use. False: more bytes are needed."""
        if reader.mode is Mode.OPAQUE:
            self.count_opaque(reader, *reader.read_opaque())
        elif reader.mode is Mode.SSL2:
            ssl2.pass_over(self, reader)
            return False
        elif not reader.records:
            return not self._read_ssl2_hello(reader)
        return True

    def _skip_bad_header(self, reader: Direction, why: str) -> None:
        if reader.records:
            self.add_anomaly(Anomaly("tls-bad-record", reader.direction, reader.offset, why))
        reader.joiner.clear()
        reader.skip_bad_header()

    # -- contents ------------------------------------------------------------------------------------------------------

    def _take_content(self, reader: Direction, record: Record, content: Content) -> None:
        """Handle what a record holds."""
        if content.content_type == cp.APPLICATION_DATA:
            self.add_application_data(reader, record, content.data)
            return
        place = self.place(reader, record, encrypted=content.encrypted)
        if content.content_type == cp.HANDSHAKE:
            self._take_messages(reader, content.data, place)
        elif content.content_type == cp.CHANGE_CIPHER_SPEC:
            reader.keys.change_cipher_spec(reader, place)
        elif content.content_type == cp.ALERT:
            self.add_alerts(reader, content.data, place)

    def _take_messages(self, reader: Direction, data: bytes, place: Place) -> None:
        """Handle the handshake messages that a record completes."""
        protection = reader.protection
        try:
            for message in reader.joiner.feed(data, place.offset, place.end):
                where = place if message.start == place.offset else place._replace(offset=message.start)
                reader.keys.take_message(reader, message, where)
                if message.message_type in (cp.CLIENT_HELLO, cp.SERVER_HELLO):
                    self._after_hello(message.message_type, encrypted=place.encrypted)
        except DecodeError as error:
            self.add_anomaly(place.anomaly("tls-broken-message", str(error)))
            reader.joiner.clear()
            self.machine.lose()
        if place.encrypted and reader.protection is not protection and reader.joiner.clear():
            self.report_split_message(place)

    def _after_hello(self, message_type: int, *, encrypted: bool) -> None:
        """A hello may announce the keys of TLS 1.3, or take that back."""
        machine = self.machine
        hello, agreement = machine.negotiation.client_hello, machine.negotiation.agreement
        if message_type == cp.SERVER_HELLO:
            for reader in self._directions:
                reader.version = min(self.version or 0, cp.TLS12)
        if encrypted or hello is None or machine.retrying:
            return
        if agreement is None and EARLY_DATA in hello.extensions:
            self._tls13_keys().offer_early(machine.negotiation)
        elif machine.is_tls13 and message_type == cp.SERVER_HELLO and self._finder.has_traffic_secret(hello.random):
            self._tls13_keys().begin(machine.negotiation)
        elif message_type == cp.SERVER_HELLO and self._keys13 is not None:
            self._keys13.abandon()

    def _tls13_keys(self) -> Tls13Keys:
        if self._keys13 is None:
            from easpcap.tls.session.keys13 import Tls13Keys

            self._keys13 = Tls13Keys(self, self._directions, self._finder, self._keys12)
        return self._keys13

    def _read_ssl2_hello(self, reader: Direction) -> bool:
        """A hello in SSLv2 format at the very beginning; True where more bytes are needed to decide."""
        hello = reader.take_ssl2_hello()
        if not hello:
            return hello is None
        place = Place(reader.direction, reader.base, reader.offset, 0, encrypted=False)
        if hello[2] == cp.SSL2_SERVER_HELLO:
            ssl2.see_server_hello(self, hello[2:])
            for each in self._directions:
                each.leave_epoch(Mode.SSL2)
            self.events.append(place.seen(ServerHello(cp.SSL2, None, retry=False)))
        elif reader.direction == TO_SERVER:
            try:
                self.add_facts(self.machine.take_ssl2_hello(hello[2:], place))
            except DecodeError as error:
                self.add_anomaly(place.anomaly("tls-broken-message", str(error)))
        return False

    # -- lost bytes ----------------------------------------------------------------------------------------------------

    def _recover(self, reader: Direction, lost: Lost) -> bool:
        """Search the next record after lost bytes, and prove it by opening it. False: more bytes are needed."""
        record = reader.search()
        if record is None:
            return False
        readable = reader.mode not in (Mode.OPAQUE, Mode.SSL2)
        protections = reader.keys.openers(reader, record) if readable else None
        if protections is None:
            reader.lost = None  # nothing can prove a record here: its header has to do
            return True
        opened = reader.reopen(record, lost, protections) if protections else None
        if opened is not None:
            reader.resume_after(record)
            content = reader.keys.reopened(reader, lost, record, opened)
            if content is not None:
                self._take_content(reader, record, content)
        elif reader.tries_exhausted:
            self._give_up(reader, lost)
        else:
            reader.search_on()
        return True

    def _give_up(self, reader: Direction, lost: Lost) -> None:
        """No record after the lost bytes opens: the rest of this direction stays opaque."""
        if reader.ever_opened:
            self.add_gap(reader, 0, reader.offset - lost.start)
        self.report_unrecoverable(reader)
        reader.lost = None
        reader.leave_epoch(Mode.OPAQUE)
