"""The encrypted part of a TLS 1.3 connection: which keys each direction is under, and what stands inside its records.

A direction passes through epochs, each with a secret of its own: early data (of the client), handshake, application
data; a KeyUpdate begins another generation of the last one (RFC 8446 sections 4.6.3 and 7). A message says where an
epoch ends; where that message was not read (bytes or its secret are missing), the first record that opens under the
keys of a later epoch does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.errors import DecodeError
from easpcap.limits import MAX_LOST_KEY_UPDATES
from easpcap.stream import TO_CLIENT, TO_SERVER, Anomaly
from easpcap.tls import codepoints as cp
from easpcap.tls.handshake import extensions as ext
from easpcap.tls.handshake.encrypted13 import (
    APPLICATION,
    EARLY,
    HANDSHAKE,
    EncryptedHandshake13,
)
from easpcap.tls.protection.tls13 import Tls13Protection
from easpcap.tls.record.reader import Mode
from easpcap.tls.record.records import Record
from easpcap.tls.session.epochs13 import (
    EARLY_LABEL,
    DirectionEpochs,
    Epoch,
    early_ways,
    following_step,
    known_steps,
    missing_bounds,
    open_record,
    readable,
    with_true_levels,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from easpcap.tls.events import TlsEvent
    from easpcap.tls.handshake.key_finder import KeyFinder
    from easpcap.tls.handshake.negotiation import Agreement, Negotiation
    from easpcap.tls.protection.record_protection import Protection
    from easpcap.tls.record.reader import DirectionReader, Lost
    from easpcap.tls.session.output import SessionOutput


class EncryptedSession13:
    """Reads the protected records of both directions in Mode.INNER; ``plain`` takes a record in the clear."""

    def __init__(
        self,
        host: SessionOutput,
        readers: tuple[DirectionReader, DirectionReader],
        finder: KeyFinder,
        plain: Callable[[DirectionReader, Record, list[TlsEvent]], None],
    ) -> None:
        self._host = host
        self._readers = readers
        self._finder = finder
        self._plain = plain
        self._sides = (DirectionEpochs(), DirectionEpochs())
        self._handshake = EncryptedHandshake13(finder, host)
        self._agreement: Agreement | None = None
        self._offered = False  # early data was announced
        self._rejection_told = False
        self._early_ways: list[Epoch] = []

    # -- beginnings ----------------------------------------------------------------------------------------------------

    def offer_early(self, negotiation: Negotiation) -> None:
        """A ClientHello announces early data, which is protected by the suite of the session that is resumed."""
        hello = negotiation.client_hello
        if hello is None:
            return
        self._offered = True
        secret = self._finder.traffic_secret(hello.random, EARLY_LABEL)
        if secret is not None:
            self._early_ways = list(early_ways(*secret, hello.suites, ext.offered_versions(hello.extensions)))
        self._sides[TO_SERVER].steps = [Epoch(EARLY, EARLY_LABEL, b"", None, None)]
        self._enter(self._readers[TO_SERVER])

    def begin(self, negotiation: Negotiation) -> None:
        """The ServerHello: both directions come under handshake keys (the client's after its early data)."""
        agreement = self._agreement = negotiation.agreement
        if agreement is None or agreement.client_random is None or not readable(agreement):
            self._host.unopened = self._host.unopened or negotiation
            self.abandon()
            return
        client, server = (known_steps(self._finder, agreement, direction) for direction in (TO_SERVER, TO_CLIENT))
        if client[0].protection is None or server[0].protection is None:
            negotiation.break_transcript()  # messages of the handshake will not be read
        self._handshake.begin(negotiation, (client[0].secret or None, server[0].secret or None))
        if self._host.resumed is None:  # only a session that is resumed has early data
            self._handshake.early_accepted = False
        for direction, steps in enumerate((client, server)):
            reader, side = self._readers[direction], self._sides[direction]
            if any(step.protection for step in steps):
                side.steps = [*(step for step in side.steps if step.epoch == EARLY), *steps]
                self._enter(reader)
                if side.epoch == HANDSHAKE and steps[0].protection is not None:
                    self._under(reader, steps[0])
            else:
                self._host.missing_secrets += [step.label for step in steps]
                self._host.unopened = self._host.unopened or negotiation
                if reader.mode is Mode.INNER:
                    reader.close_epoch(Mode.PLAIN)

    def abandon(self) -> None:
        """The server chose an older version: what was announced as early data is none."""
        for reader in self._readers:
            if reader.mode is Mode.INNER:
                reader.close_epoch(Mode.PLAIN)

    # -- records -------------------------------------------------------------------------------------------------------

    def stopped(self, reader: DirectionReader, lost: Lost, events: list[TlsEvent]) -> None:
        """A run of application data ended at a record that holds something else, or that did not open."""
        protection = reader.protection
        other_content = protection.other_content if isinstance(protection, Tls13Protection) else None
        if protection is None or other_content is None:
            reader.unread(lost)  # to be tried by itself, under later keys too
            if protection is not None:
                protection.sequence -= 1
            return
        reader.lost = None
        self._trust(self._sides[reader.direction].steps[0])
        self._content(reader, Record(cp.APPLICATION_DATA, 0, b"", lost.start, lost.behind), *other_content, events)

    def take(self, reader: DirectionReader, record: Record, events: list[TlsEvent]) -> None:
        """One record outside of a run."""
        if record.content_type == cp.APPLICATION_DATA:
            self._try(reader, record, events)
        elif record.content_type == cp.HANDSHAKE or (record.content_type == cp.ALERT and len(record.fragment) == 2):
            self._plain(reader, record, events)
        elif record.content_type != cp.CHANGE_CIPHER_SPEC:  # which middleboxes want, at any time (RFC 8446 section 5)
            self._host.outline(reader, record, events)

    def _try(self, reader: DirectionReader, record: Record, events: list[TlsEvent]) -> None:
        """Open a record under the present keys, else under those of a later epoch."""
        side = self._sides[reader.direction]
        for number, step in enumerate(side.steps):
            unproven = step.epoch == EARLY and step.protection is None
            for way in self._early_ways if unproven else [step]:
                if unproven and way.protection is not None:
                    way.protection.sequence = side.pending
                opened = open_record(way, record)
                if opened is not None:
                    side.steps[number] = way
                    self._arrive(reader, number, events)
                    self._content(reader, record, *opened, events)
                    return
        self._unopened(reader, record, events)

    def _unopened(self, reader: DirectionReader, record: Record, events: list[TlsEvent]) -> None:
        """No key opens a record: one of an epoch whose secret is not known, or a damaged one."""
        side = self._sides[reader.direction]
        step, protection = side.steps[0], side.steps[0].protection
        if step.epoch == EARLY and protection is not None and all(each.protection for each in side.steps):
            protection.sequence += 1  # early data that was opened before: this record of it is damaged
            self._host.tell_bad(reader, cp.APPLICATION_DATA, record.start, events)
            return
        before_proof = protection is not None and step.epoch == HANDSHAKE and not protection.begun
        if protection is None or step.epoch == EARLY or (before_proof and self._early_offered(reader)):
            side.pending += 1
            side.pending_bytes += len(record.fragment)
            self._host.outline(reader, record, events)
            if protection is not None:
                protection.sequence += protection.begun
            return
        lost = reader.bad_record(record, protection.sequence)
        protection.sequence += 1
        content_type = cp.HANDSHAKE if step.epoch == HANDSHAKE else cp.APPLICATION_DATA
        self._host.tell_bad(reader, content_type, lost.start, events)

    def _early_offered(self, reader: DirectionReader) -> bool:
        return reader.direction == TO_SERVER and self._offered

    def _content(
        self, reader: DirectionReader, record: Record, content_type: int, data: bytes, events: list[TlsEvent]
    ) -> None:
        """What a record holds."""
        side = self._sides[reader.direction]
        if content_type == cp.APPLICATION_DATA and side.epoch == EARLY and not self._handshake.early_accepted:
            if not side.hold(record, data):
                self._host.count_opaque(reader, 1, len(data))
            if self._handshake.early_accepted is False:
                self._settle_early(events)
        elif content_type == cp.APPLICATION_DATA:
            self._put(reader, record, data, events)
        elif content_type == cp.HANDSHAKE:
            self._messages(reader, record, data, events)
        elif content_type == cp.ALERT:
            place = self._host.place(reader, record, encrypted=True)
            self._host.tell_alerts(reader, with_true_levels(data), place, events)

    def _put(self, reader: DirectionReader, record: Record, data: bytes, events: list[TlsEvent]) -> None:
        reader.put_plain(record, data, events)
        self._host.application_records[reader.direction] += 1
        self._host.application_bytes[reader.direction] += len(data)

    def _messages(self, reader: DirectionReader, record: Record, data: bytes, events: list[TlsEvent]) -> None:
        place = self._host.place(reader, record, encrypted=True)
        present = reader.protection
        try:
            for message in reader.joiner.feed(data, record.start, record.end):
                where = place if message.start == place.offset else place._replace(offset=message.start)
                facts = self._handshake.take(message, where, self._sides[reader.direction].epoch)
                self._host.tell_facts(events, facts)
                self._follow(reader, message.message_type, events)
        except DecodeError as error:
            self._host.tell(events, place.anomaly("tls-broken-message", str(error)))
            reader.joiner.clear()
            self._host.machine.lose()
        if reader.protection is not present and reader.joiner.clear():
            detail = "keys change in the middle of a handshake message"
            self._host.tell(events, place.anomaly("tls-broken-message", detail))

    def _follow(self, reader: DirectionReader, message_type: int, events: list[TlsEvent]) -> None:
        """What a message means for the keys of its direction."""
        epoch = self._sides[reader.direction].epoch
        if message_type == cp.FINISHED and epoch == HANDSHAKE:
            self._advance(reader, APPLICATION, events)
        elif message_type == cp.END_OF_EARLY_DATA and epoch == EARLY:
            self._handshake.early_accepted = True
            self._advance(reader, HANDSHAKE, events)
        elif message_type == cp.KEY_UPDATE and epoch == APPLICATION:
            following = following_step(self._sides[reader.direction].steps[0], self._agreement)
            if following is not None:
                self._sides[reader.direction].steps = [following]
                self._under(reader, following)
        elif message_type == cp.ENCRYPTED_EXTENSIONS and reader.direction == TO_CLIENT:
            self._settle_early(events)

    # -- epochs --------------------------------------------------------------------------------------------------------

    def _enter(self, reader: DirectionReader) -> None:
        reader.close_epoch(Mode.INNER)

    def _under(self, reader: DirectionReader, step: Epoch) -> None:
        """Read on under the keys of a step, in runs; early data is looked at record by record."""
        if step.protection is not None and step.epoch != EARLY:
            reader.open_with(step.protection)
            reader.mode = Mode.INNER

    def _trust(self, step: Epoch) -> None:
        """Its keys opened a record."""
        if step.source is not None:
            self._host.key_sources.add(step.source)

    def _advance(self, reader: DirectionReader, epoch: int, events: list[TlsEvent]) -> None:
        """A message ends the present epoch."""
        side = self._sides[reader.direction]
        number = next((at for at, step in enumerate(side.steps) if step.epoch >= epoch), None)
        if number is None:  # early data ends before the ServerHello was seen
            return
        self._arrive(reader, number, events)
        step = side.steps[0]
        if step.protection is None and not any(each.protection for each in side.steps):
            self._stop(reader, step, events)

    def _arrive(self, reader: DirectionReader, number: int, events: list[TlsEvent]) -> None:
        """The direction is in the step of this number."""
        side = self._sides[reader.direction]
        left, side.steps = side.steps[:number], side.steps[number:]
        step = side.steps[0]
        if left and left[0].epoch == EARLY:
            self._settle_early(events)
        if step.epoch != EARLY and side.pending:
            self._settle_pending(reader, side, early=bool(left) and left[0].epoch == EARLY)
        if step.protection is not None:
            self._trust(step)
            if reader.protection is not step.protection:
                self._under(reader, step)
        elif step.epoch != EARLY:
            reader.close_epoch(Mode.INNER)

    def _stop(self, reader: DirectionReader, step: Epoch, events: list[TlsEvent]) -> None:
        """The key log lacks what comes next."""
        self._lack(step.label)
        detail = f"the key log has no {step.label} for this connection: what follows in this direction stays closed"
        self._host.tell(events, Anomaly("tls-secret-missing", reader.direction, reader.offset, detail))
        reader.close_epoch(Mode.OPAQUE)

    def _lack(self, label: str) -> None:
        self._host.missing_secrets.append(label)
        self._host.unopened = self._host.unopened or self._host.machine.negotiation

    # -- early data ----------------------------------------------------------------------------------------------------

    def _settle_early(self, events: list[TlsEvent]) -> None:
        """Give out what was held, or forget it where the server did not take it; where nobody can tell, it is told."""
        side, reader = self._sides[TO_SERVER], self._readers[TO_SERVER]
        held, side.held = side.held, []
        if self._handshake.early_accepted is False:
            if held and not self._rejection_told:
                self._rejection_told = True
                detail = "early data that the server passed over"
                self._host.tell(events, Anomaly("tls-early-data-rejected", TO_SERVER, held[0][0].start, detail))
            return
        for record, data in held:
            self._put(reader, record, data, events)

    def _settle_pending(self, reader: DirectionReader, side: DirectionEpochs, *, early: bool) -> None:
        """Records that did not open: they were of the handshake, or early data that counts where the server took it."""
        if early and self._handshake.early_accepted:
            self._lack(EARLY_LABEL)
            self._host.machine.lose()  # its end is a message of the handshake
        else:
            self._host.opaque_records[reader.direction] -= side.pending
            self._host.opaque_bytes[reader.direction] -= side.pending_bytes
            reader.opaque_since = 0
        side.pending = side.pending_bytes = 0

    def end(self, reader: DirectionReader, events: list[TlsEvent]) -> None:
        """A direction ends: early data that nobody answered was sent all the same."""
        if reader.direction == TO_SERVER and self._sides[TO_SERVER].held:
            self._settle_early(events)
        if reader.mode is Mode.INNER and reader.lost is not None:  # what follows was never read
            self._host.opaque_records[reader.direction] |= 1

    # -- lost bytes ----------------------------------------------------------------------------------------------------

    def resync(self, reader: DirectionReader, lost: Lost, events: list[TlsEvent]) -> bool:
        """Search the next record; False where more bytes are needed. Its tag proves it, and its number."""
        record = reader.search()
        if record is None:
            return False
        ways = self._ways(reader.direction)
        if not ways:
            reader.lost = None  # nothing proves a record here: the header must do
            return True
        protections: list[Protection] = [step.protection for _, step in ways if step.protection is not None]
        is_data = record.content_type == cp.APPLICATION_DATA
        opened = reader.reopen(record, lost, protections) if is_data else None
        if opened is not None:
            self._reopened(reader, lost, record, ways[opened[0]], opened[1], events)
        elif reader.hopeless:
            if reader.ever_open:
                self._host.tell_gap(reader, 0, reader.offset - lost.start, events)
            self._host.tell_lost(reader, events)
            reader.lost = None
            reader.close_epoch(Mode.OPAQUE)
        else:
            reader.reject()
        return True

    def _ways(self, direction: int) -> list[tuple[int, Epoch]]:
        """The steps a record behind lost bytes may be in, with their place; the next generation has none yet."""
        side = self._sides[direction]
        ways = [(number, step) for number, step in enumerate(side.steps) if step.protection is not None]
        if side.steps and side.steps[0].epoch == EARLY and side.steps[0].protection is None:
            ways += [(0, way) for way in self._early_ways]
        following = side.steps[-1] if side.steps else None
        for _ in range(MAX_LOST_KEY_UPDATES):
            following = following_step(following, self._agreement) if following is not None else None
            if following is not None:
                ways.append((len(side.steps) - 1, following))
        return ways

    def _reopened(
        self,
        reader: DirectionReader,
        lost: Lost,
        record: Record,
        way: tuple[int, Epoch],
        data: bytes,
        events: list[TlsEvent],
    ) -> None:
        number, step = way
        protection = step.protection
        if protection is None:
            return
        reader.accept(record)
        side = self._sides[reader.direction]
        first = lost.sequence if step is side.steps[0] else None
        self._host.tell_gap(reader, *missing_bounds(step, record.start - lost.start, first), events)
        side.steps[number] = step
        self._arrive(reader, number, events)
        other_content = protection.other_content
        self._content(
            reader, record, *(other_content if other_content is not None else (cp.APPLICATION_DATA, data)), events
        )
