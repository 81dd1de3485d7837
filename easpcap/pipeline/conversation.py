"""Conversation: one TCP connection read through TLS, if it has any, and HTTP. Only this module stacks layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.facts import (
    Alert,
    ChangeCipherSpec,
    ClientHello,
    ClientKeyExchange,
    CloseNotify,
    Fin,
    HandshakeDone,
    MissingBytes,
    Rst,
    ServerHello,
    TcpOpen,
    TlsBegin,
    ZeroWindow,
)
from easpcap.http.conversation import HttpConversation
from easpcap.limits import MAX_CONNECTION_ANOMALIES, MAX_FACTS, PRUNE_BYTES
from easpcap.pipeline.digest import Digest
from easpcap.pipeline.renegotiation import RenegotiationTracker
from easpcap.pipeline.roles import Reversed
from easpcap.pipeline.tls_detection import TlsDetector
from easpcap.pipeline.undecrypted import UndecryptedTracker
from easpcap.results import Fact, LocatedAnomaly, RecordRun, Renegotiation
from easpcap.stream import DIRECTION_NAMES, TO_CLIENT, TO_SERVER, Anomaly, Data, End, Gap
from easpcap.tcp.assembler import TcpFact
from easpcap.tls.codepoints import APPLICATION_DATA
from easpcap.tls.session.session import Records, Seen, TlsEvent, TlsSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from easpcap.http.exchange import BodyPlace, Exchange
    from easpcap.pipeline.compact import ExchangeCompactor
    from easpcap.stream import Position
    from easpcap.tcp.assembler import TcpConnection

#: The facts of TCP that are kept, by their kind.
TCP_FACTS = {what.kind: what for what in (TcpOpen(), ZeroWindow(), Fin(), Rst())}

#: Facts about the end of a connection: the last RESERVED_FOR_ENDINGS places of the list are reserved for them.
ENDING_FACTS = frozenset({"fin", "rst", "alert", "close-notify"})
RESERVED_FOR_ENDINGS = 64

#: The facts of TLS whose place is the last of their bytes: what comes after may depend on all of them.
ENDS_COUNT = (HandshakeDone, ClientHello, ServerHello)

#: The facts of TLS that only the tracker of renegotiations reads.
NOT_KEPT = (ClientKeyExchange, ChangeCipherSpec)

#: Anomalies after which nothing more of a direction is decrypted.
STOPPING = frozenset({"tls-secret-missing", "tls-lost"})


class Conversation:
    """Reads one connection's events in causal order and keeps what the results need of them.

    ``make_session`` makes the TLS session that begins at the given TCP stream offsets of both directions. From there on
    ``http`` reads the plaintext of TLS; exchanges in clear text before it are kept.
    """

    def __init__(
        self,
        tcp: TcpConnection,
        make_session: Callable[[tuple[int, int]], TlsSession],
        compactor: ExchangeCompactor,
        *,
        digest: bool,
    ) -> None:
        self.tcp = tcp
        self.tls: TlsSession | None = None
        self.http = HttpConversation(tcp.first.frame, self._locate_plain)
        self.exchanges: list[Exchange] = []
        self.facts: list[Fact] = []
        self.record_runs: list[RecordRun] = []
        self.anomalies: list[LocatedAnomaly] = []
        self.renegotiations: list[Renegotiation] = []
        self.digest = Digest() if digest else None
        self.undecrypted = UndecryptedTracker(tcp.locate)
        self.ended = 0  # directions that have ended
        self.is_reversed = isinstance(tcp, Reversed)  # its events have to be turned
        self._make_session = make_session
        self._compactor = compactor
        self._detector = TlsDetector(tcp, self.http, self._read)
        self._tracker = RenegotiationTracker(self.renegotiations, self._request_at)
        self._since_prune = 0

    @property
    def begins_inside_record(self) -> bool:
        """Whether the first bytes seen lie inside a TLS record."""
        return self._detector.inside

    # ------------------------------------------------------------------ events of the TCP layer

    def feed(self, event: Data | Gap | End | TcpFact) -> None:
        """Read the next event of the connection."""
        match event:
            case Data():
                pass
            case Gap():
                self._take_gap(event)
            case End():
                self.ended += 1
            case TcpFact():
                self._take_tcp_fact(event)
                return
        if self._detector.done:
            self._read(event)
        else:
            self._detector.feed(event)
            self._begin_detected_tls()

    def finish(self) -> None:
        """No more events: decide whether undecided bytes are TLS, and end every exchange."""
        if not self._detector.done:
            self._detector.finish()
            self._begin_detected_tls()
        self._finish_http()
        for code, direction, offset, detail in self.tcp.anomalies:
            self._add_anomaly(code, direction, offset, detail)

    def forget(self) -> None:
        """Break the reference cycles, so that the memory is freed at once. Call nothing afterwards."""
        self.http.forget()
        if self.tls is not None:
            self.tls.forget()
        del self.http, self._tracker, self._detector, self.undecrypted

    def _take_tcp_fact(self, fact: TcpFact) -> None:
        if fact.kind in {"fin", "rst"}:
            self.http.sender_closed(fact.direction, fact.kind, fact.position)
        elif fact.kind == "rst-ignored":
            self._withdraw_reset(fact)
        what = TCP_FACTS.get(fact.kind)
        if what is not None:
            self._add_fact(Fact(what, fact.direction, fact.position))

    def _withdraw_reset(self, fact: TcpFact) -> None:
        """A RST that was reported did not count."""
        self.http.sender_went_on(fact.direction)
        frame = fact.position.frame
        self.facts = [each for each in self.facts if each.kind != "rst" or each.position.frame != frame]

    def _take_gap(self, gap: Gap) -> None:
        direction, offset, length, _ = gap
        self._add_anomaly("gap", direction, offset, f"{length:,} bytes {_to(direction)} are missing")
        self._add_fact(Fact(MissingBytes(length), direction, self.tcp.locate(direction, offset)))
        if self.tls is None and direction == TO_CLIENT and self.http.awaits_tunnel:  # its response may be missing
            self._detector.resume()

    # ------------------------------------------------------------------ clear text and TLS

    def _begin_detected_tls(self) -> None:
        """Switch to TLS if the detector has just found its beginning."""
        detector = self._detector
        if detector.starts is None or self.tls is not None:
            return
        if detector.begins is not None:
            self._leave_clear_text()
        self.tls = self._make_session(detector.starts)
        if detector.begins is not None:
            direction, starts, after = detector.begins
            position = self.tcp.locate(direction, starts[direction])
            self._add_fact(Fact(TlsBegin(after), direction, position))
        events, detector.held = detector.held, []
        for event in events:
            self._read(event)

    def _leave_clear_text(self) -> None:
        """End the clear text: from here on HTTP and the digest read the plaintext of TLS."""
        self._finish_http()
        before = self.http
        self.http = HttpConversation(self.tcp.first.frame, self._locate_plain, before.next_index)
        before.forget()
        self._tracker = RenegotiationTracker(self.renegotiations, self._request_at)
        if self.digest is not None:
            self.digest = Digest()

    def _read(self, event: Data | Gap | End) -> None:
        """Pass one event through TLS, or directly to HTTP where there is no TLS."""
        if self.tls is None:
            self._deliver(event)
        else:
            if isinstance(event, Gap):
                self.undecrypted.not_decrypted(event.direction, self.tls.consumed(event.direction))
            for item in self.tls.feed(event):
                self._take(item)
        if isinstance(event, Data):
            self._since_prune += len(event.data)
            if self._since_prune > PRUNE_BYTES:
                self._prune()

    def _take(self, item: TlsEvent) -> None:
        """Dispatch an event of the TLS session: plaintext goes to HTTP, the rest becomes results."""
        match item:
            case Data():
                self.undecrypted.decrypted(item.direction)
                self._deliver(item)
            case Gap() | End():
                self._deliver(item)
            case Seen():
                self._take_handshake(item)
            case Records():
                self._take_opaque(item)
            case Anomaly(code, direction, offset, detail):
                if code == "tls-bad-mac":
                    self.undecrypted.not_decrypted(direction, offset)
                self._add_anomaly(code, direction, offset, detail)

    def _deliver(self, event: Data | Gap | End) -> None:
        """Pass application data, a gap in it, or its end to the digest and to HTTP."""
        if self.digest is not None and isinstance(event, Data):
            self.digest.add(event)
        for exchange in self.http.feed(event):
            self._keep(exchange)

    def _keep(self, exchange: Exchange) -> None:
        """Keep an exchange that is final, and watch a tunnel that it opened."""
        self._compactor.compact(exchange)
        self.exchanges.append(exchange)
        if self.http.tunnel and self.tls is None:
            self._detector.enter_tunnel()

    def _finish_http(self) -> None:
        for exchange in self.http.finish():
            self._keep(exchange)
        for code, direction, offset, detail in self.http.anomalies:
            self._add_anomaly(code, direction, self._cipher_offset(direction, offset), detail)

    # ------------------------------------------------------------------ places

    def _locate_plain(self, direction: int, offset: int, last: bool = False) -> Position:
        """Position of the first byte, or the last, of the record (or segment) that contains a plaintext byte."""
        if self.tls is not None:
            offset = self.tls.cipher_offset(direction, offset, last=last)
        return self.tcp.locate(direction, offset)

    def _cipher_offset(self, direction: int, plain: int) -> int:
        return plain if self.tls is None else self.tls.cipher_offset(direction, plain)

    def _prune(self) -> None:
        """Forget positions before the open message; of TLS, only those that the other side has acknowledged."""
        self._since_prune = 0
        for direction in (TO_SERVER, TO_CLIENT):
            keep = self.http.keep_from(direction)
            if self.tls is not None:
                keep = min(self.tls.cipher_offset(direction, keep), self.tls.consumed(direction))
                # A later segment of the other side acknowledges at least as much as the last one did.
                self.tls.prune(direction, min(keep, self.tcp.acked[direction]))
            self.tcp.prune(direction, keep)

    # ------------------------------------------------------------------ handshake messages, alerts and opaque records

    def _take_handshake(self, seen: Seen) -> None:
        """Record one handshake message or alert."""
        last = isinstance(seen.what, ENDS_COUNT)
        position = self.tcp.locate(seen.direction, seen.end - 1 if last else seen.offset)
        if isinstance(seen.what, CloseNotify) or (isinstance(seen.what, Alert) and seen.what.fatal):
            self.http.sender_closed(seen.direction, seen.kind, position)
        if self.tls is not None and self.tls.handshakes:
            received, sent = self._client_progress(seen, position)
            self._tracker.add(seen, position, received, sent)
        if not isinstance(seen.what, NOT_KEPT):
            self._add_fact(Fact(seen.what, seen.direction, position))

    def _request_at(self, offset: int) -> BodyPlace | None:
        """Where an offset of the client's plaintext lies in a request."""
        hidden = self.tls.hidden_bytes(TO_SERVER) if self.tls is not None else 0
        return self.http.request_at(offset, hidden)

    def _client_progress(self, seen: Seen, position: Position) -> tuple[int, int]:
        """Plaintext bytes of the client that the server had received at a message, and those seen until then.

        The server's message says by its acknowledgement what it had received; the client's says nothing of it, so the
        server's last acknowledgement before it counts.
        """
        sent, acked = self.http.next_offset(TO_SERVER), position.acked
        if isinstance(seen.what, ClientHello) and seen.direction == TO_SERVER:
            acked = self.tcp.received_before(TO_SERVER, seen.offset)
        if acked is None or self.tls is None:
            return sent, sent
        return min(sent, self.tls.plain_offset(TO_SERVER, acked)), sent

    def _take_opaque(self, records: Records) -> None:
        """Add records that were not decrypted; application data extends a run of the same type and direction."""
        is_data = records.content_type == APPLICATION_DATA
        if is_data:
            self.undecrypted.not_decrypted(records.direction, records.offset)
        last = self.record_runs[-1] if self.record_runs else None
        end = self.tcp.locate(records.direction, records.end - 1)
        same = last is not None and (last.content_type, last.direction) == (records.content_type, records.direction)
        if last is not None and same and is_data:
            last.last, last.end_offset = end, records.end
            last.records += records.count
            last.bytes += records.bytes
            last.last_fragment_size = records.last_fragment_size
        elif len(self.record_runs) < MAX_FACTS:
            self.record_runs.append(
                RecordRun(
                    records.content_type,
                    records.direction,
                    self.tcp.locate(records.direction, records.offset),
                    end,
                    records.end,
                    records.count,
                    records.bytes,
                    records.last_fragment_size,
                )
            )

    # ------------------------------------------------------------------ bounded results

    def _add_fact(self, fact: Fact) -> None:
        room = MAX_FACTS - len(self.facts)
        if room > RESERVED_FOR_ENDINGS or (room > 0 and fact.kind in ENDING_FACTS):
            self.facts.append(fact)

    def _add_anomaly(self, code: str, direction: int, offset: int, detail: str) -> None:
        if len(self.anomalies) < MAX_CONNECTION_ANOMALIES:
            position = self.tcp.locate(direction, offset)
            if code in STOPPING:
                self.undecrypted.not_decrypted(direction, offset)
            self.anomalies.append(LocatedAnomaly(code, self.tcp.first.frame, position.frame, position.time_ns, detail))


def _to(direction: int) -> str:
    return DIRECTION_NAMES[direction].replace("_", " the ")
