"""Conversation: one TCP connection read through TLS, where there is any, and HTTP. Nothing else stacks layers."""

from __future__ import annotations

import hashlib
from sys import intern
from typing import TYPE_CHECKING, NamedTuple

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
from easpcap.http.start import starts_request, starts_response
from easpcap.limits import MAX_CONNECTION_ANOMALIES, MAX_FACTS, MAX_SHARED_HEADERS, MAX_UNDECIDED_BYTES, PRUNE_BYTES
from easpcap.pipeline.renegotiation import RenegotiationTracker
from easpcap.results import Fact, LocatedAnomaly, RecordRun, Renegotiation
from easpcap.stream import DIRECTION_NAMES, TO_CLIENT, TO_SERVER, Anomaly, Data, End, Gap
from easpcap.tcp.assembler import TcpFact
from easpcap.tls.codepoints import APPLICATION_DATA
from easpcap.tls.session.session import Records, Seen, TlsSession, looks_like_tls

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from easpcap.http.exchange import Exchange
    from easpcap.stream import Position
    from easpcap.tcp.assembler import TcpConnection
    from easpcap.tls.prologue.prologue import Beginning, Prologue

#: The facts of TCP that are kept, by their kind.
TCP_FACTS = {what.kind: what for what in (TcpOpen(), ZeroWindow(), Fin(), Rst())}

#: Facts that say how a connection ended; the last places are theirs, however much happened before.
ENDS = frozenset({"fin", "rst", "alert", "close-notify"})
ROOM_FOR_ENDS = 64

#: Anomalies behind which nothing more of a direction is decrypted.
STOPPING = frozenset({"tls-secret-missing", "tls-lost"})

#: Header fields that diagnosis, activesync or a report reads; the rest would cost a kilobyte an exchange.
KEPT_HEADERS = frozenset(
    {
        "authorization",
        "connection",
        "expect",
        "host",
        "ms-asprotocolversion",
        "server",
        "user-agent",
        "via",
        "www-authenticate",
        "x-ms-policykey",
    }
)


class FirstUndecrypted(NamedTuple):
    """Where the first record stands that could not be decrypted, although some before it could."""

    direction: int
    offset: int  # of the record in its TCP stream
    frame: int


_SHARED: dict[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]] = {}


class Conversation:
    """Reads one connection's events in causal order and keeps what the results need of them.

    ``make_session`` builds the TLS session that begins at the given TCP stream offsets of both directions: at the first
    bytes, where they look like TLS, or behind clear text. ``http`` then reads what TLS carries; what the clear text
    carried is kept.
    """

    def __init__(
        self, tcp: TcpConnection, make_session: Callable[[tuple[int, int]], TlsSession], *, digest: bool
    ) -> None:
        self.tcp = tcp
        self.tls: TlsSession | None = None
        self.http = HttpConversation(tcp.id, self._locate_plain)
        self.exchanges: list[Exchange] = []
        self.facts: list[Fact] = []
        self.record_runs: list[RecordRun] = []
        self.anomalies: list[LocatedAnomaly] = []
        self.renegotiations: list[Renegotiation] = []
        self.digests = [hashlib.sha256(), hashlib.sha256()] if digest else None
        self.digested = [0, 0]
        self.ended = 0  # directions that have ended
        self.stopped: FirstUndecrypted | None = None
        self.decrypted_later = False  # something was decrypted behind that place
        self._tracker = RenegotiationTracker(self.renegotiations, self.http.request_at)
        self._make_session = make_session
        self._undecided: list[Data | Gap | End] = []
        self._decided = False  # no TLS begins any more that has not begun
        self._prologue: Prologue | None = None  # while TLS may begin behind clear text
        self._since_prune = 0

    # ------------------------------------------------------------------ events of the TCP layer

    def feed(self, event: Data | Gap | End | TcpFact) -> None:
        """Take the connection's next event."""
        if type(event) is Data and self._decided:
            self._read(event)
            return
        if isinstance(event, TcpFact):
            self._tcp_fact(event)
            return
        if type(event) is End:
            self.ended += 1
        elif type(event) is Gap:
            self._note("gap", event[0], event[1], f"{event[2]:,} bytes {_to(event[0])} are missing")
            self._tell(Fact(MissingBytes(event[2]), event[0], self.tcp.locate(event[0], event[1])))
            if self.tls is None and event[0] == TO_CLIENT and self.http.awaits_tunnel:  # the answer may be missing
                self._decided = False
        if self._decided:
            self._read(event)
        else:
            self._decide(event)

    def finish(self) -> None:
        """No more events: say what was left open."""
        if self._undecided:
            self._settle(is_tls=False)
        if self._prologue is not None:
            self._watched(self._prologue, self._prologue.finish())
        self._finish_http()
        for code, direction, offset, detail in self.tcp.anomalies:
            self._note(code, direction, offset, detail)

    def _finish_http(self) -> None:
        for exchange in self.http.finish():
            self._keep(exchange)
        for code, direction, offset, detail in self.http.anomalies:
            self._note(code, direction, self._cipher_offset(direction, offset), detail)

    def forget(self) -> None:
        """Nothing more will be asked: cut what refers back, so that the memory is free at once."""
        self.http.forget()
        if self.tls is not None:
            self.tls.forget()
        del self.http, self._tracker

    def _decide(self, event: Data | Gap | End) -> None:
        """Hold events back until the first bytes tell TLS from clear text; watch the clear text for TLS behind it."""
        if self._prologue is None and self.http.protocol is not None:
            http = self.http
            self._prologue = _prologue(
                (http.next_offset(TO_SERVER), http.next_offset(TO_CLIENT)), http.tunnel or "HTTP CONNECT"
            )
        if self._prologue is not None:
            self._watched(self._prologue, self._prologue.feed(event))
            return
        self._undecided.append(event)
        if type(event) is not Data:
            return
        verdict = looks_like_tls(b"".join(e.data for e in self._undecided if type(e) is Data and e[0] == event[0]))
        if verdict is None and sum(len(e.data) for e in self._undecided if type(e) is Data) < MAX_UNDECIDED_BYTES:
            return
        self._settle(is_tls=bool(verdict))

    def _settle(self, *, is_tls: bool) -> None:
        if is_tls:
            self._decided = True
            self.tls = self._make_session((0, 0))
        elif self._begins_http():
            self._decided = True
        else:
            self._prologue = _prologue((0, 0), "")
        events, self._undecided = self._undecided, []
        for event in events:
            if self._decided:
                self._read(event)
            else:
                self._decide(event)

    def _begins_http(self) -> bool:
        """Whether the first bytes are a message's, so that only a tunnel may hold TLS (see _keep)."""
        first = next((event for event in self._undecided if type(event) is Data), None)
        starts = starts_request if first is not None and first.direction == TO_SERVER else starts_response
        return first is not None and bool(starts(first.data, 0))

    def _watched(self, prologue: Prologue, clear: Sequence[Data | Gap | End]) -> None:
        """Read the clear text before TLS, and go over to TLS where it begins; in HTTP only a tunnel may hold it."""
        for event in clear:
            self._read(event)
        if prologue.begins is not None:
            self._begin_tls(prologue.begins, prologue.held)
        elif self._prologue is prologue and (prologue.over or (self.http.protocol and not prologue.tunnel)):
            self._decided, self._prologue = True, None

    def _begin_tls(self, begins: Beginning, held: list[Data | Gap | End]) -> None:
        """The clear text is over: from here on HTTP is what TLS carries, and so is the digest."""
        self._finish_http()
        self._decided, self._prologue = True, None
        self.tls = self._make_session(begins.starts)
        before = self.http
        self.http = HttpConversation(self.tcp.id, self._locate_plain, before.next_index)
        before.forget()
        self._tracker = RenegotiationTracker(self.renegotiations, self.http.request_at)
        if self.digests is not None:
            self.digests, self.digested = [hashlib.sha256(), hashlib.sha256()], [0, 0]
        direction = begins.direction
        position = self.tcp.locate(direction, begins.starts[direction])
        self._tell(Fact(TlsBegin(begins.after), direction, position))
        for event in held:
            self._read(event)

    def _read(self, event: Data | Gap | End) -> None:
        """Pass one event up through TLS, or straight to HTTP."""
        if type(event) is Gap and self.tls is not None:
            self._stop(event[0], self.tls.consumed(event[0]))
        for item in (event,) if self.tls is None else self.tls.feed(event):
            kind = type(item)
            if kind is Data or kind is Gap or kind is End:
                if self.stopped is not None and kind is Data and item[0] == self.stopped.direction:
                    self.decrypted_later = True
                if self.digests is not None and kind is Data:
                    self._add_to_digest(item)  # type: ignore[arg-type]  # mypy cannot follow the lines above
                for exchange in self.http.feed(item):  # type: ignore[arg-type]  # nor here
                    self._keep(exchange)
            elif isinstance(item, Seen):
                self._seen(item)
            elif isinstance(item, Records):
                self._records(item)
            elif isinstance(item, Anomaly):
                if item.code == "tls-bad-mac":
                    self._stop(item.direction, item.offset)
                self._note(*item)
        if type(event) is Data:
            self._since_prune += len(event[2])
            if self._since_prune > PRUNE_BYTES:
                self._prune()

    def _add_to_digest(self, event: Data) -> None:
        if self.digests is not None:
            self.digests[event.direction].update(event.data)
            self.digested[event.direction] += len(event.data)

    def _prune(self) -> None:
        """Forget the positions that nothing will ask for: behind the open message and behind what was acknowledged."""
        self._since_prune = 0
        for direction in (TO_SERVER, TO_CLIENT):
            keep = self.http.keep_from(direction)
            if self.tls is not None:
                keep = min(self.tls.cipher_offset(direction, keep), self.tls.consumed(direction))
                # A later segment of the other side acknowledges at least as much as the last one did.
                self.tls.prune(direction, min(keep, self.tcp.acked[direction]))
            self.tcp.prune(direction, keep)

    def _keep(self, exchange: Exchange) -> None:
        """A final exchange: of its header fields only those that anything reads are kept, equal ones once."""
        request, response = exchange.request, exchange.response
        if request is not None:
            kept = tuple([field for field in request.headers if field[0] in KEPT_HEADERS])
            request.headers = _SHARED.setdefault(kept, kept)
            request.target = intern(request.target)
        if response is not None:
            kept = tuple([field for field in response.headers if field[0] in KEPT_HEADERS])
            response.headers = _SHARED.setdefault(kept, kept)
        if len(_SHARED) > MAX_SHARED_HEADERS:
            _SHARED.clear()
        self.exchanges.append(exchange)
        if self.http.tunnel and self.tls is None:
            self._decided, self._prologue = False, None

    # ------------------------------------------------------------------ places

    def _locate_plain(self, direction: int, offset: int, last: bool = False) -> Position:
        """Position of the record (or segment) that brought a plaintext byte: of its first byte, or of its last one."""
        if self.tls is not None:
            offset = self.tls.cipher_offset(direction, offset, last=last)
        return self.tcp.locate(direction, offset)

    def _cipher_offset(self, direction: int, plain: int) -> int:
        return plain if self.tls is None else self.tls.cipher_offset(direction, plain)

    # ------------------------------------------------------------------ facts

    def _tcp_fact(self, fact: TcpFact) -> None:
        if fact.kind in {"fin", "rst"}:
            self.http.sender_closed(fact.direction, fact.kind, fact.position)
        what = TCP_FACTS.get(fact.kind)
        if what is not None:
            self._tell(Fact(what, fact.direction, fact.position))

    def _seen(self, seen: Seen) -> None:
        """One handshake message or alert."""
        last = isinstance(seen.what, HandshakeDone | ClientHello | ServerHello)
        position = self.tcp.locate(seen.direction, seen.end - 1 if last else seen.offset)
        if isinstance(seen.what, CloseNotify) or (isinstance(seen.what, Alert) and seen.what.fatal):
            self.http.sender_closed(seen.direction, seen.kind, position)
        if self.tls is not None and self.tls.handshakes:
            received, sent = self._client_progress(position)
            self._tracker.see(seen, position, received, sent)
        if not isinstance(seen.what, ClientKeyExchange | ChangeCipherSpec):
            self._tell(Fact(seen.what, seen.direction, position))

    def _client_progress(self, position: Position) -> tuple[int, int]:
        """Plaintext of the client's stream that the server had received at ``position``, and that had been seen."""
        sent = self.http.next_offset(TO_SERVER)
        if position.acked is None or self.tls is None:
            return sent, sent
        return min(sent, self.tls.plain_offset(TO_SERVER, position.acked)), sent

    def _records(self, records: Records) -> None:
        """Records of an opaque connection, merged while their type and direction stay the same."""
        last = self.record_runs[-1] if self.record_runs else None
        end = self.tcp.locate(records.direction, records.end - 1)
        if records.content_type == APPLICATION_DATA:
            self._stop(records.direction, records.offset)
        same = last is not None and (last.content_type, last.direction) == (records.content_type, records.direction)
        if last is not None and same and records.content_type == APPLICATION_DATA:
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

    def _stop(self, direction: int, offset: int) -> None:
        """A record was not decrypted; the first one behind decrypted ones is remembered."""
        if self.stopped is None and self.tls is not None and any(self.tls.application_records):
            frame = self.tcp.locate(direction, offset).frame
            self.stopped = FirstUndecrypted(direction, offset, frame)

    def _tell(self, fact: Fact) -> None:
        room = MAX_FACTS - len(self.facts)
        if room > ROOM_FOR_ENDS or (room > 0 and fact.kind in ENDS):
            self.facts.append(fact)

    def _note(self, code: str, direction: int, offset: int, detail: str) -> None:
        if len(self.anomalies) < MAX_CONNECTION_ANOMALIES:
            position = self.tcp.locate(direction, offset)
            if code in STOPPING:
                self._stop(direction, offset)
            self.anomalies.append(LocatedAnomaly(code, self.tcp.id, position.frame, position.time_ns, detail))

    def digest(self) -> tuple[tuple[int, str], tuple[int, str]] | None:
        """(bytes, sha256) of the application data of each direction, or None where not asked for."""
        if self.digests is None:
            return None
        to_server, to_client = (digest.hexdigest() for digest in self.digests)
        return (self.digested[TO_SERVER], to_server), (self.digested[TO_CLIENT], to_client)


def _prologue(starts: tuple[int, int], tunnel: str) -> Prologue:
    from easpcap.tls.prologue.prologue import (
        Prologue,  # where everything is TLS from its first byte on it is not needed
    )

    return Prologue(starts, tunnel)


def _to(direction: int) -> str:
    return DIRECTION_NAMES[direction].replace("_", " the ")
