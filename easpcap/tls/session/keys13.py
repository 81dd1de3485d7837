"""The keys of TLS 1.3: early data, handshake, application data, and the generations after each KeyUpdate.

Each epoch of a direction has a secret, which a key log holds (RFC 8446 sections 4.6.3 and 7). A message says where an
epoch ends; where that message was not read (bytes or its secret are missing), the first record that opens under the
keys of a later epoch does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.limits import MAX_LOST_KEY_UPDATES
from easpcap.stream import TO_CLIENT, TO_SERVER, Anomaly
from easpcap.tls import codepoints as cp
from easpcap.tls.handshake import extensions as ext
from easpcap.tls.handshake.encrypted13 import APPLICATION, EARLY, HANDSHAKE, EncryptedHandshake13
from easpcap.tls.protection.tls13 import Tls13Protection
from easpcap.tls.secrets.schedule13 import HASH_SIZES
from easpcap.tls.session.direction import Content, Mode
from easpcap.tls.session.epochs13 import (
    EARLY_LABEL,
    DirectionEpochs,
    Epoch,
    early_epochs,
    is_supported,
    known_epochs,
    lost_plaintext,
    next_generation,
    open_record,
    with_implied_levels,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easpcap.tls.events import Place
    from easpcap.tls.handshake.key_finder import KeyFinder
    from easpcap.tls.handshake.negotiation import Agreement, Negotiation
    from easpcap.tls.protection.record_protection import Protection
    from easpcap.tls.record.joiner import Message
    from easpcap.tls.record.reader import Lost
    from easpcap.tls.record.records import Record
    from easpcap.tls.session.direction import Direction, EpochKeys
    from easpcap.tls.session.output import SessionOutput

#: Content types that a session handles.
_HANDLED = frozenset({cp.APPLICATION_DATA, cp.HANDSHAKE, cp.ALERT})


class Tls13Keys:
    """EpochKeys (see there) of a connection whose client offered early data, or whose ServerHello chose TLS 1.3.

    A direction whose keys these are is in Mode.PROTECTED, or in Mode.OPAQUE once nothing more of it can be opened.
    ``clear_keys`` handle messages in the clear, and both directions again where the server chooses an older version.
    """

    __slots__ = (
        "_agreement",
        "_clear_keys",
        "_directions",
        "_early_epochs",
        "_early_offered",
        "_epochs",
        "_finder",
        "_handshake",
        "_output",
        "_rejection_reported",
        "_tried",
    )

    def __init__(
        self, output: SessionOutput, directions: tuple[Direction, Direction], finder: KeyFinder, clear_keys: EpochKeys
    ) -> None:
        self._output = output
        self._directions = directions
        self._finder = finder
        self._clear_keys = clear_keys
        self._epochs = (DirectionEpochs(), DirectionEpochs())
        self._handshake = EncryptedHandshake13(finder, output)
        self._agreement: Agreement | None = None
        self._early_offered = False
        self._early_epochs: list[Epoch] = []  # the suites that early data may be protected with
        self._rejection_reported = False
        self._tried: list[tuple[int, Epoch]] = []  # what ``openers`` gave for the record in hand

    # -- beginnings ----------------------------------------------------------------------------------------------------

    def offer_early(self, negotiation: Negotiation) -> None:
        """The ClientHello announces early data, which is protected by the suite of the session that is resumed."""
        hello = negotiation.client_hello
        if hello is None:
            return
        self._early_offered = True
        self._early_epochs = [
            epoch
            for size in HASH_SIZES.values()
            for secret, source in self._finder.traffic_secrets(hello.random, EARLY_LABEL, size)
            for epoch in early_epochs(secret, source, hello.suites, ext.offered_versions(hello.extensions))
        ]
        self._epochs[TO_SERVER].epochs = [Epoch(EARLY, EARLY_LABEL, b"", None, None)]
        self._enter(self._directions[TO_SERVER])

    def begin(self, negotiation: Negotiation) -> None:
        """The ServerHello chose TLS 1.3: both directions come under handshake keys, the client's after early data."""
        agreement = self._agreement = negotiation.agreement
        if agreement is None or agreement.client_random is None or not is_supported(agreement):
            self._output.note_missing_keys(negotiation)
            self.abandon()
            return
        client, server = (known_epochs(self._finder, agreement, direction) for direction in (TO_SERVER, TO_CLIENT))
        if client[0].protection is None or server[0].protection is None:
            negotiation.break_transcript()  # messages of the handshake will not be read
        self._handshake.begin(negotiation, (client[0].secret or None, server[0].secret or None))
        if self._output.resumed is None:  # only a session that is resumed has early data
            self._handshake.early_accepted = False
        for reader, known in zip(self._directions, (client, server), strict=True):
            if any(epoch.protection for epoch in known):
                self._begin_direction(reader, known)
            else:
                self._output.missing_secrets += [epoch.label for epoch in known]
                self._output.note_missing_keys(negotiation)
                self._leave(reader)

    def _begin_direction(self, reader: Direction, known: list[Epoch]) -> None:
        state = self._epochs[reader.direction]
        state.epochs = [*(epoch for epoch in state.epochs if epoch.stage == EARLY), *known]
        self._enter(reader)
        if state.stage == HANDSHAKE:
            self._read_with(reader, known[0])

    def abandon(self) -> None:
        """The server chose an older version, or one that cannot be read: both directions are as before."""
        for reader in self._directions:
            self._leave(reader)

    def _enter(self, reader: Direction) -> None:
        """From here on the records of a direction are opened by these keys, for now one by one."""
        reader.keys = self
        reader.leave_epoch(Mode.PROTECTED)

    def _leave(self, reader: Direction) -> None:
        if reader.keys is self and reader.mode is Mode.PROTECTED:
            reader.keys = self._clear_keys
            reader.leave_epoch(Mode.CLEAR)

    # -- records -------------------------------------------------------------------------------------------------------

    def open(self, reader: Direction, record: Record) -> Content | None:
        """See EpochKeys. Alerts and hellos may still be in the clear, and a ChangeCipherSpec always is."""
        if record.content_type == cp.APPLICATION_DATA:
            return self._open_protected(reader, record)
        is_alert = record.content_type == cp.ALERT and len(record.fragment) == 2
        if is_alert or record.content_type == cp.HANDSHAKE:
            return Content(record.content_type, record.fragment, encrypted=False)
        if record.content_type != cp.CHANGE_CIPHER_SPEC:  # for middleboxes, at any time (RFC 8446 section 5)
            self._output.add_outline(reader, record)
        return None

    def _open_protected(self, reader: Direction, record: Record) -> Content | None:
        """Open a record under the present keys, else under those of a later epoch."""
        state = self._epochs[reader.direction]
        for number, present in enumerate(state.epochs):
            unproven = present.stage == EARLY and present.protection is None
            for epoch in self._early_epochs if unproven else present.variants:
                if unproven and epoch.protection is not None:
                    epoch.protection.sequence = state.unopened_records
                opened = open_record(epoch, record)
                if opened is not None:
                    self._prove(reader, number, epoch)
                    return self._content(reader, record, *opened)
        self._not_opened(reader, record)
        return None

    def _not_opened(self, reader: Direction, record: Record) -> None:
        """No key opens a record: its epoch is one whose secret is not known, or it is damaged."""
        state = self._epochs[reader.direction]
        present, protection = state.epochs[0], state.epochs[0].protection
        if present.stage == EARLY and protection is not None and all(epoch.protection for epoch in state.epochs):
            protection.sequence += 1  # early data was opened before: this record of it is damaged
            self._output.report_bad_record(reader, cp.APPLICATION_DATA, record.start)
            return
        unproven = protection is not None and present.stage == HANDSHAKE and not protection.begun
        may_be_early = unproven and self._early_offered and reader.direction == TO_SERVER
        if protection is None or present.stage == EARLY or may_be_early:
            state.unopened_records += 1
            state.unopened_bytes += len(record.fragment)
            self._output.add_outline(reader, record)
            if protection is not None:
                protection.sequence += protection.begun
            return
        reader.search_after(record, protection.sequence)
        protection.sequence += 1
        content_type = cp.HANDSHAKE if present.stage == HANDSHAKE else cp.APPLICATION_DATA
        self._output.report_bad_record(reader, content_type, record.start)

    def end_of_run(self, reader: Direction, record: Record) -> Content | None:
        """See EpochKeys: the record holds something else than application data, or belongs to a later epoch."""
        protection = reader.protection
        other_content = protection.other_content if isinstance(protection, Tls13Protection) else None
        if protection is None or other_content is None:
            reader.unread(record)
            if protection is not None:
                protection.sequence -= 1
            return None
        reader.lost = None
        self._note_source(self._epochs[reader.direction].epochs[0])
        return self._content(reader, record, *other_content)

    def _content(self, reader: Direction, record: Record, content_type: int, data: bytes) -> Content | None:
        """The content of a record that was opened; early data waits until it is known whether the server took it."""
        state = self._epochs[reader.direction]
        if content_type == cp.APPLICATION_DATA and state.stage == EARLY and not self._handshake.early_accepted:
            if not state.hold(record, data):
                self._output.count_opaque(reader, 1, len(data))
            if self._handshake.early_accepted is False:
                self._release_early_data()
            return None
        if content_type == cp.ALERT:
            data = with_implied_levels(data)
        return Content(content_type, data, encrypted=True) if content_type in _HANDLED else None

    # -- messages ------------------------------------------------------------------------------------------------------

    def take_message(self, reader: Direction, message: Message, place: Place) -> None:
        """See EpochKeys."""
        if not place.encrypted:
            self._clear_keys.take_message(reader, message, place)
            return
        self._output.add_facts(self._handshake.take(message, place, self._epochs[reader.direction].stage))
        self._follow(reader, message.message_type)

    def _follow(self, reader: Direction, message_type: int) -> None:
        """Change the keys of a direction where a message says so."""
        state = self._epochs[reader.direction]
        if message_type == cp.FINISHED and state.stage == HANDSHAKE:
            self._advance(reader, APPLICATION)
        elif message_type == cp.END_OF_EARLY_DATA and state.stage == EARLY:
            self._handshake.early_accepted = True
            self._advance(reader, HANDSHAKE)
        elif message_type == cp.KEY_UPDATE and state.stage == APPLICATION:
            following = next_generation(state.epochs[0], self._agreement)
            if following is not None:
                state.epochs = [following]
                self._read_with(reader, following)
        elif message_type == cp.ENCRYPTED_EXTENSIONS and reader.direction == TO_CLIENT:
            self._release_early_data()

    def change_cipher_spec(self, reader: Direction, place: Place) -> None:
        """See EpochKeys: in TLS 1.3 it means nothing."""

    # -- epochs --------------------------------------------------------------------------------------------------------

    def _read_with(self, reader: Direction, epoch: Epoch) -> None:
        """Read on under the keys of an epoch, in runs; early data is looked at record by record."""
        if epoch.protection is not None and epoch.stage != EARLY:
            reader.open_with(epoch.protection)

    def _note_source(self, epoch: Epoch) -> None:
        """Note where the keys of an epoch came from, if they have opened a record."""
        if epoch.source is not None and epoch.protection is not None and epoch.protection.begun:
            self._output.key_sources.add(epoch.source)

    def _advance(self, reader: Direction, stage: int) -> None:
        """A message ends the present epoch."""
        state = self._epochs[reader.direction]
        number = next((at for at, epoch in enumerate(state.epochs) if epoch.stage >= stage), None)
        if number is None:  # early data ends before the ServerHello was seen
            return
        self._arrive(reader, number)
        if not any(epoch.protection for epoch in state.epochs):
            self._stop(reader, state.epochs[0])

    def _prove(self, reader: Direction, number: int, epoch: Epoch) -> None:
        """A record of the epoch with this number opened under the keys of ``epoch``."""
        self._epochs[reader.direction].epochs[number] = epoch._replace(alternatives=())
        if epoch.stage == HANDSHAKE:
            self._handshake.use_secret(reader.direction, epoch.secret)
        self._arrive(reader, number)

    def _arrive(self, reader: Direction, number: int) -> None:
        """The direction is in the epoch of this number."""
        state = self._epochs[reader.direction]
        after_early_data = number > 0 and state.stage == EARLY
        state.epochs = state.epochs[number:]
        present = state.epochs[0]
        if after_early_data:
            self._release_early_data()
        if present.stage != EARLY and state.unopened_records:
            self._judge_unopened(reader, after_early_data=after_early_data)
        if present.protection is not None:
            self._note_source(present)
            if reader.protection is not present.protection:
                self._read_with(reader, present)
        elif present.stage != EARLY:
            reader.leave_epoch(Mode.PROTECTED)

    def _stop(self, reader: Direction, epoch: Epoch) -> None:
        """The key log lacks what comes next."""
        self._lack(epoch.label)
        detail = f"the key log has no {epoch.label} for this connection: what follows in this direction stays closed"
        self._output.add_anomaly(Anomaly("tls-secret-missing", reader.direction, reader.offset, detail))
        reader.leave_epoch(Mode.OPAQUE)

    def _lack(self, label: str) -> None:
        self._output.missing_secrets.append(label)
        self._output.note_missing_keys(self._output.machine.negotiation)

    # -- early data ----------------------------------------------------------------------------------------------------

    def _release_early_data(self) -> None:
        """Yield the early data that was held, or drop it where the server did not take it."""
        held = self._epochs[TO_SERVER].take_held()
        if self._handshake.early_accepted is not False:
            for record, data in held:
                self._output.add_application_data(self._directions[TO_SERVER], record, data)
        elif held and not self._rejection_reported:
            self._rejection_reported = True
            detail = "early data that the server passed over"
            self._output.add_anomaly(Anomaly("tls-early-data-rejected", TO_SERVER, held[0][0].start, detail))

    def _judge_unopened(self, reader: Direction, *, after_early_data: bool) -> None:
        """Say what the records were that did not open: messages of the handshake, or early data.

        Early data counts as application data where the server took it.
        """
        state, output = self._epochs[reader.direction], self._output
        if after_early_data and self._handshake.early_accepted:
            self._lack(EARLY_LABEL)
            output.machine.lose()  # its end is a message of the handshake
        else:
            output.opaque_records[reader.direction] -= state.unopened_records
            output.opaque_bytes[reader.direction] -= state.unopened_bytes
            reader.opaque_bytes = 0
        state.unopened_records = state.unopened_bytes = 0

    def end(self, reader: Direction) -> None:
        """A direction ends: early data that nobody answered was sent all the same."""
        state = self._epochs[reader.direction]
        if state.epochs:
            self._note_source(state.epochs[0])
        if reader.direction == TO_SERVER and state.held:
            self._release_early_data()
        if reader.keys is self and reader.mode is Mode.PROTECTED and reader.lost is not None:
            self._output.opaque_records[reader.direction] |= 1  # what follows was never read

    # -- lost bytes ----------------------------------------------------------------------------------------------------

    def openers(self, reader: Direction, record: Record) -> Sequence[Protection] | None:
        """See EpochKeys. Every record that can be proved says that it is application data."""
        self._tried = self._epochs_after_gap(reader)
        protections = [epoch.protection for _, epoch in self._tried if epoch.protection is not None]
        if protections and record.content_type != cp.APPLICATION_DATA:
            return []
        return protections or None

    def _epochs_after_gap(self, reader: Direction) -> list[tuple[int, Epoch]]:
        """The epochs that a record after lost bytes may be in, each with the number it replaces among the present ones.

        The next generations have no number yet: they replace the last epoch.
        """
        state = self._epochs[reader.direction]
        known = [(number, epoch) for number, epoch in enumerate(state.epochs) if epoch.protection is not None]
        found = [(number, variant) for number, epoch in known for variant in epoch.variants]
        if state.epochs and state.stage == EARLY and state.epochs[0].protection is None:
            found += [(0, epoch) for epoch in self._early_epochs]
        for epoch in state.epochs[-1].variants if state.epochs else ():
            following: Epoch | None = epoch
            for _ in range(MAX_LOST_KEY_UPDATES):
                following = next_generation(following, self._agreement) if following is not None else None
                if following is not None:
                    found.append((len(state.epochs) - 1, following))
        return found

    def reopened(self, reader: Direction, lost: Lost, record: Record, opened: tuple[int, bytes]) -> Content | None:
        """See EpochKeys."""
        number, epoch = self._tried[opened[0]]
        protection, state = epoch.protection, self._epochs[reader.direction]
        if protection is None:
            return None
        first = lost.sequence if any(epoch is variant for variant in state.epochs[0].variants) else None
        is_next_generation = all(epoch is not variant for variant in state.epochs[number].variants)
        key_update = epoch.stage == APPLICATION and is_next_generation
        bounds = lost_plaintext(epoch, record.start - lost.start, first, key_update=key_update)
        self._output.add_gap(reader, *bounds)
        self._prove(reader, number, epoch)
        content_type, data = protection.other_content or (cp.APPLICATION_DATA, opened[1])
        return self._content(reader, record, content_type, data)
