"""The keys of SSL 3.0 to TLS 1.2: an epoch begins with each ChangeCipherSpec (RFC 5246 sections 6.1 and 7.1).

Several secrets may fit a handshake (candidates). The first record of an epoch shows which one is right: it is the
Finished, or in a resumed session the first record of either direction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.tls.codepoints import APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE
from easpcap.tls.session.direction import Content, Mode
from easpcap.tls.session.record_sizes import plain_bounds, unproven_chaining

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easpcap.tls.events import Place
    from easpcap.tls.handshake.key_finder import KeyFinder
    from easpcap.tls.handshake.negotiation import Agreement, Candidate, Negotiation
    from easpcap.tls.protection.record_protection import Protection
    from easpcap.tls.record.joiner import Message
    from easpcap.tls.record.reader import Lost
    from easpcap.tls.record.records import Record
    from easpcap.tls.session.direction import Direction
    from easpcap.tls.session.output import SessionOutput

    Candidates = list[tuple[Candidate, Protection]]


class Tls12Keys:
    """EpochKeys (see there) up to TLS 1.2, and of every connection until its ServerHello chooses TLS 1.3."""

    __slots__ = ("_agreements", "_candidates", "_damaged_finished", "_finder", "_output")

    def __init__(self, output: SessionOutput, finder: KeyFinder) -> None:
        self._output = output
        self._finder = finder
        self._agreements: list[Agreement | None] = [None, None]  # by direction, of the epoch that was opened last
        self._candidates: list[Candidates] = [[], []]  # by direction, in Mode.UNPROVEN
        self._damaged_finished: tuple[Direction, Record] | None = None  # a Finished that no candidate opened

    # -- records -------------------------------------------------------------------------------------------------------

    def open(self, reader: Direction, record: Record) -> Content | None:
        """See EpochKeys."""
        if reader.protection is not None:
            return self._open_protected(reader, reader.protection, record)
        if reader.mode is Mode.UNPROVEN:
            return self._open_first(reader, record)
        if reader.is_in_clear(record):
            return Content(record.content_type, record.fragment, encrypted=False)
        output = self._output
        output.add_outline(reader, record)
        early_data = output.client_hello_seen and not output.server_hello_seen  # RFC 8446 section 4.2.10
        if not early_data or record.content_type != APPLICATION_DATA:
            reader.leave_epoch(Mode.OPAQUE)
        return None

    def _open_protected(self, reader: Direction, protection: Protection, record: Record) -> Content | None:
        data = protection.open(record.content_type, record.version, record.fragment)
        if data is not None:
            return Content(record.content_type, data, encrypted=True)
        reader.search_after(record, protection.sequence - 1)
        self._output.report_bad_record(reader, record.content_type, record.start)
        return None

    def _open_first(self, reader: Direction, record: Record) -> Content | None:
        """The first record of an epoch shows which candidate is right."""
        candidates = self._candidates[reader.direction]
        for candidate, protection in candidates:
            data = protection.open(record.content_type, record.version, record.fragment)
            if data is not None:
                self._prove(reader, candidate, protection)
                return Content(record.content_type, data, encrypted=True)
        output, negotiation = self._output, self._output.machine.negotiation
        if negotiation.proven is not None and candidates:
            self._open_with(reader, candidates[0][1])
            reader.search_after(record, 0)
            output.report_bad_record(reader, record.content_type, record.start)
            return None
        negotiation.failed = any(not candidate.guessed for candidate, _ in candidates)
        is_handshake = record.content_type == HANDSHAKE
        self._damaged_finished = (reader, record) if negotiation.failed and is_handshake else None
        self._close(reader)
        output.add_outline(reader, record)
        if is_handshake:
            output.add_facts(output.machine.take_undecrypted_finished(output.place(reader, record, encrypted=True)))
        return None

    def end_of_run(self, reader: Direction, record: Record) -> None:
        """See EpochKeys: the record is damaged."""
        self._output.report_bad_record(reader, APPLICATION_DATA, record.start)

    # -- messages ------------------------------------------------------------------------------------------------------

    def take_message(self, reader: Direction, message: Message, place: Place) -> None:  # noqa: ARG002 (only in TLS 1.3 do messages change keys)
        """See EpochKeys."""
        self._output.add_facts(self._output.machine.take(message, place))

    def change_cipher_spec(self, reader: Direction, place: Place) -> None:
        """The records after this one are protected by new keys (RFC 5246 section 7.1)."""
        output, machine = self._output, self._output.machine
        if machine.is_compatibility_ccs(reader.direction):
            return
        if reader.joiner.clear():
            output.report_split_message(place)
        again = machine.negotiation.changed[reader.direction]
        output.add_facts(machine.change_cipher_spec(place))
        self._begin_epoch(reader, again=again)

    # -- epochs --------------------------------------------------------------------------------------------------------

    def _begin_epoch(self, reader: Direction, *, again: bool) -> None:
        """``again``: the latest keys were in use already, so the handshake that made the new ones was missed."""
        reader.leave_epoch(Mode.UNPROVEN)
        negotiation = self._output.machine.negotiation
        self._candidates[reader.direction] = [] if again else negotiation.protections(reader.direction)

    def _open_with(self, reader: Direction, protection: Protection) -> None:
        reader.open_with(protection)
        self._agreements[reader.direction] = self._output.machine.negotiation.agreement
        self._candidates[reader.direction] = []

    def _prove(self, reader: Direction, candidate: Candidate, protection: Protection) -> None:
        """The candidate is the secret of this handshake."""
        self._open_with(reader, protection)
        negotiation = self._output.machine.negotiation
        if negotiation.proven is None:
            negotiation.proven = candidate
            if candidate.source is not None:
                self._output.key_sources.add(candidate.source)
            self._finder.remember(negotiation)
            self._recover_damaged_finished(negotiation)

    def _recover_damaged_finished(self, negotiation: Negotiation) -> None:
        """The other direction proved the keys under which the Finished of this one did not open: read on after it."""
        reader, record = self._damaged_finished or (None, None)
        protections = negotiation.protections(reader.direction) if reader is not None else []
        if reader is None or record is None or not protections:
            return
        if (reader.mode, reader.offset) != (Mode.OPAQUE, record.end) or unproven_chaining(negotiation.agreement):
            return
        _, protection = protections[0]
        protection.open(record.content_type, record.version, record.fragment)  # fails, but advances its state
        self._open_with(reader, protection)
        output = self._output
        output.report_bad_record(reader, HANDSHAKE, record.start)
        negotiation.failed = False
        if output.handshake_without_keys is negotiation:
            output.handshake_without_keys = None

    def _close(self, reader: Direction) -> None:
        """No key opens this epoch."""
        negotiation = self._output.machine.negotiation
        reader.leave_epoch(Mode.OPAQUE)
        self._candidates[reader.direction] = []
        self._output.note_missing_keys(negotiation)
        if negotiation.proven is None:
            self._finder.remember(negotiation)

    # -- lost bytes ----------------------------------------------------------------------------------------------------

    def openers(self, reader: Direction, record: Record) -> Sequence[Protection] | None:
        """See EpochKeys."""
        output, machine = self._output, self._output.machine
        missed_change = reader.mode is Mode.CLEAR and output.server_hello_seen and not reader.is_in_clear(record)
        if missed_change and not machine.is_tls13:  # the ChangeCipherSpec was among the lost bytes
            self._begin_epoch(reader, again=machine.negotiation.changed[reader.direction])
        if reader.mode is Mode.UNPROVEN:
            candidates = self._candidates[reader.direction]
            if candidates:
                return [protection for _, protection in candidates]
            self._close(reader)
        return None if reader.protection is None else [reader.protection]

    def reopened(self, reader: Direction, lost: Lost, record: Record, opened: tuple[int, bytes]) -> Content | None:
        """See EpochKeys: the number of the record says how many are missing before it."""
        number, data = opened
        if reader.mode is Mode.UNPROVEN:
            self._prove(reader, *self._candidates[reader.direction][number])
        sequence = reader.protection.sequence if reader.protection else 0
        agreement = self._agreements[reader.direction]  # a renegotiation may have agreed on another suite by now
        usable = record.content_type == CHANGE_CIPHER_SPEC or not unproven_chaining(agreement)
        end, count = (record.start, sequence - 1) if usable else (record.end, sequence)
        least, most = plain_bounds(agreement, end - lost.start, count - lost.sequence)
        self._output.add_gap(reader, 0 if self._output.machine.busy or lost.message else least, most)
        return Content(record.content_type, data, encrypted=True) if usable else None
