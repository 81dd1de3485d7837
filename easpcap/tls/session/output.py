"""What a TLS session yields: the events since the last call, and the summary of the connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.facts import CLOSE_NOTIFY
from easpcap.limits import MAX_CONNECTION_ANOMALIES
from easpcap.stream import Anomaly, End, Gap
from easpcap.tls.codepoints import APPLICATION_DATA
from easpcap.tls.events import Place
from easpcap.tls.handshake.summary import Summary

if TYPE_CHECKING:
    from easpcap.tls.events import Seen, TlsEvent
    from easpcap.tls.handshake.machine import HandshakeMachine
    from easpcap.tls.record.records import Record
    from easpcap.tls.session.direction import Direction


class SessionOutput(Summary):
    """Collects the events of a session; every part of it adds to the same list.

    ``events``: those not drained yet. ``machine``: the handshake in progress, which has to know of lost records.
    """

    machine: HandshakeMachine

    def __init__(self) -> None:
        super().__init__()
        self.events: list[TlsEvent] = []
        self.ended = [False, False]
        self._anomalies_left = MAX_CONNECTION_ANOMALIES

    def drain(self) -> list[TlsEvent]:
        """The events since the last call."""
        drained = self.events.copy()  # the list itself is shared with the readers
        self.events.clear()
        return drained

    def add_anomaly(self, anomaly: Anomaly) -> None:
        """Yield an anomaly, unless this connection had too many already."""
        if self._anomalies_left > 0:
            self._anomalies_left -= 1
            self.events.append(anomaly)

    def add_facts(self, facts: list[Seen | Anomaly]) -> None:
        """Yield facts and anomalies of the handshake."""
        for fact in facts:
            if isinstance(fact, Anomaly):
                self.add_anomaly(fact)
            else:
                self.events.append(fact)

    def add_alerts(self, reader: Direction, data: bytes, place: Place) -> None:
        """Yield the alerts of one record. A close_notify ends the direction."""
        if len(data) % 2:
            self.add_anomaly(place.anomaly("tls-broken-message", f"an alert record of {len(data)} bytes"))
        for at in range(0, len(data) - 1, 2):
            level, description = data[at], data[at + 1]
            self.add_facts(self.machine.take_alert(level, description, place))
            if description == CLOSE_NOTIFY:
                self.events.append(End(reader.direction, reader.plain, "close-notify"))
                self.ended[reader.direction] = reader.closed = True
                self.bytes_after_close[reader.direction] += reader.drop()
                return

    def add_application_data(self, reader: Direction, record: Record, data: bytes) -> None:
        """Yield and count the plaintext of one record that was opened outside of a run."""
        reader.add_application_data(record, data)
        self.application_records[reader.direction] += 1
        self.application_bytes[reader.direction] += len(data)

    def add_gap(self, reader: Direction, least: int, most: int) -> None:
        """Yield a gap: between ``least`` and ``most`` bytes of application data are missing."""
        if most > 0:
            self.events.append(Gap(reader.direction, reader.plain, least, most))
            reader.plain += least

    def add_outline(self, reader: Direction, record: Record) -> None:
        """Yield the outline of a record that was not opened, and count it."""
        self.count_opaque(reader, *reader.outline(record))

    def count_opaque(self, reader: Direction, count: int, size: int) -> None:
        """Count application data records that were not opened, and the bytes of their fragments."""
        self.opaque_records[reader.direction] += count
        self.opaque_bytes[reader.direction] += size
        reader.opaque_bytes += size

    def report_bad_record(self, reader: Direction, content_type: int, start: int) -> None:
        """The record at ``start`` did not open although its keys have proved right: it is damaged."""
        self.opaque_records[reader.direction] += content_type == APPLICATION_DATA
        reader.joiner.clear()
        self.machine.lose()
        self.add_anomaly(Anomaly("tls-bad-mac", reader.direction, start, "a record fails its integrity check"))

    def report_unrecoverable(self, reader: Direction) -> None:
        """No record after lost bytes opens."""
        detail = "no record opens after bytes were lost"
        self.add_anomaly(Anomaly("tls-lost", reader.direction, reader.offset, detail))

    def report_split_message(self, place: Place) -> None:
        """A handshake message is unfinished where the keys change, which no peer may do (RFC 8446 section 5.1)."""
        detail = "keys change in the middle of a handshake message"
        self.add_anomaly(place.anomaly("tls-broken-message", detail))

    def place(self, reader: Direction, record: Record, *, encrypted: bool) -> Place:
        """Where the content of a record is in the streams."""
        return Place(reader.direction, record.start, record.end, reader.plain, encrypted)
