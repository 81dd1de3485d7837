"""What the parts of a TLS session tell in the same way: anomalies within their bound, facts, alerts, gaps, outlines."""

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
    from easpcap.tls.record.reader import DirectionReader
    from easpcap.tls.record.records import Record


class SessionOutput(Summary):
    """The summary of a connection and the events it yields."""

    machine: HandshakeMachine

    def __init__(self) -> None:
        super().__init__()
        self.ended = [False, False]
        self._anomalies_left = MAX_CONNECTION_ANOMALIES

    def tell(self, events: list[TlsEvent], anomaly: Anomaly) -> None:
        """An anomaly, unless this connection had too many already."""
        if self._anomalies_left > 0:
            self._anomalies_left -= 1
            events.append(anomaly)

    def tell_facts(self, events: list[TlsEvent], facts: list[Seen | Anomaly]) -> None:
        """Facts and anomalies of the handshake."""
        for fact in facts:
            if isinstance(fact, Anomaly):
                self.tell(events, fact)
            else:
                events.append(fact)

    def tell_alerts(self, reader: DirectionReader, data: bytes, place: Place, events: list[TlsEvent]) -> None:
        """The alerts in a record; close_notify ends the direction."""
        if len(data) % 2:
            self.tell(events, place.anomaly("tls-broken-message", f"an alert record of {len(data)} bytes"))
        for at in range(0, len(data) - 1, 2):
            level, description = data[at], data[at + 1]
            self.tell_facts(events, self.machine.take_alert(level, description, place))
            if description == CLOSE_NOTIFY:
                events.append(End(reader.direction, reader.plain, "close-notify"))
                self.ended[reader.direction] = reader.closed = True
                self.bytes_after_close[reader.direction] += reader.drop()
                return

    def tell_gap(self, reader: DirectionReader, least: int, most: int, events: list[TlsEvent]) -> None:
        """Application data is missing."""
        if most > 0:
            events.append(Gap(reader.direction, reader.plain, least, most))
            reader.plain += least

    def tell_lost(self, reader: DirectionReader, events: list[TlsEvent]) -> None:
        """Nothing behind lost bytes opens."""
        detail = "no record opens after bytes were lost"
        self.tell(events, Anomaly("tls-lost", reader.direction, reader.offset, detail))

    def tell_bad(self, reader: DirectionReader, content_type: int, start: int, events: list[TlsEvent]) -> None:
        """The record at ``start``, under proven keys, did not open."""
        self.opaque_records[reader.direction] += content_type == APPLICATION_DATA
        reader.joiner.clear()
        self.machine.lose()
        self.tell(events, Anomaly("tls-bad-mac", reader.direction, start, "a record fails its integrity check"))

    def outline(self, reader: DirectionReader, record: Record, events: list[TlsEvent]) -> None:
        """A record that was not opened."""
        self.count_opaque(reader, *reader.outline(record, events))

    def count_opaque(self, reader: DirectionReader, count: int, size: int) -> None:
        """Application data records that were not opened."""
        self.opaque_records[reader.direction] += count
        self.opaque_bytes[reader.direction] += size
        reader.opaque_since += size

    def place(self, reader: DirectionReader, record: Record, *, encrypted: bool) -> Place:
        """Where what a record says stood."""
        return Place(reader.direction, record.start, record.end, reader.plain, encrypted)
