"""Analyzer: batches of packets in, an Analysis out. No file, no clock: the whole way from columns to findings."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from easpcap.activesync.command import parse_command
from easpcap.diagnosis import diagnose
from easpcap.facts import CaptureEnd
from easpcap.limits import ENDED_LINGER_NS, MAX_ANOMALIES, MAX_ENDED_CONNECTIONS, MAX_FACTS
from easpcap.pipeline.compact import ExchangeCompactor
from easpcap.pipeline.conversation import Conversation
from easpcap.pipeline.decryption import decryption
from easpcap.pipeline.rsa_prefetch import RsaPrefetcher
from easpcap.results import Analysis, Connection, Fact, TlsSummary
from easpcap.stream import TO_CLIENT, TO_SERVER, End
from easpcap.tcp.assembler import Assembler
from easpcap.tls.handshake.verdict import version_name
from easpcap.tls.secrets.session_cache import SessionCache
from easpcap.tls.session.session import TlsSession

if TYPE_CHECKING:
    from collections.abc import Iterable

    from easpcap.activesync.command import Command
    from easpcap.batch import PacketBatch
    from easpcap.http.exchange import Exchange
    from easpcap.results import InputFile, KeyFile, LocatedAnomaly
    from easpcap.stream import Position
    from easpcap.tcp.assembler import Event, TcpConnection
    from easpcap.tls.secrets.keyring import KeyRing

BOTH = 2  # directions
CLOSED = object()  # stands for the conversation of a connection whose result is ready

END_OF_STREAM = 2**63  # an offset beyond every stream: its position is that of the last byte


class Analyzer:
    """Reads batches of packets and says what happened in them.

    Args:
        keyring: the secrets to decrypt with.
        keys: the files they came from; their ``matches`` are filled.
        digest: whether to hash the application data of each direction.
        columnar: False reads every segment by the reference reassembler (for tests).
    """

    def __init__(
        self, keyring: KeyRing, keys: list[KeyFile] | None = None, *, digest: bool = False, columnar: bool = True
    ) -> None:
        self.keyring = keyring
        self.keys = keys if keys is not None else []
        self._digest = digest
        self._assembler = Assembler(columnar=columnar)
        self._cache = SessionCache()
        self._connections: list[Connection] = []
        self._anomalies: list[LocatedAnomaly] = []
        self._rsa_prefetcher = RsaPrefetcher(keyring)
        self._compactor = ExchangeCompactor()
        self._ended: deque[TcpConnection] = deque()

    def feed(self, batch: PacketBatch) -> None:
        """Read the next packets."""
        self._rsa_prefetcher.look(batch)
        self._read(self._assembler.feed(batch))
        self._close_ended(int(batch.time_ns[-1]))

    def finish(self, inputs: list[InputFile] | None = None) -> Analysis:
        """No more packets: close what is open, and judge."""
        self._read(self._assembler.finish())
        self._rsa_prefetcher.close()
        for tcp in self._assembler.connections:
            if tcp.user is not None and tcp.user is not CLOSED:
                self._close(tcp)
        connections = sorted(self._connections, key=lambda connection: connection.id)
        exchanges = sorted((e for c in connections for e in c.exchanges), key=_first_byte)
        for number, exchange in enumerate(exchanges):
            exchange.id = number
        self._match_keys(connections)
        analysis = Analysis(
            inputs=inputs if inputs is not None else [],
            keys=self.keys,
            connections=connections,
            exchanges=exchanges,
            commands=_commands(exchanges),
            anomalies=sorted(self._anomalies, key=_by_frame),
        )
        analysis.findings, analysis.causes = diagnose(analysis)
        return analysis

    def _read(self, events: Iterable[tuple[TcpConnection, Event]]) -> None:
        for tcp, event in events:
            conversation = tcp.user
            if conversation is None:
                conversation = tcp.user = self._open(tcp)
            elif conversation is CLOSED:
                continue
            conversation.feed(event)
            if type(event) is End and conversation.ended == BOTH:
                self._ended.append(tcp)

    def _close_ended(self, now: int) -> None:
        """Let go of connections that ended a while ago: until then a reset may still tell how they ended."""
        ended = self._ended
        while ended and (len(ended) > MAX_ENDED_CONNECTIONS or ended[0].last_time_ns + ENDED_LINGER_NS < now):
            self._close(ended.popleft())

    def _open(self, tcp: TcpConnection) -> Conversation:
        def session(at: tuple[int, int]) -> TlsSession:
            return TlsSession(self.keyring, self._cache, tcp.server, at)

        return Conversation(tcp, session, self._compactor, digest=self._digest)

    def _close(self, tcp: TcpConnection) -> None:
        """Turn a conversation into its result and let go of its state."""
        conversation: Conversation = tcp.user
        conversation.finish()
        if not all(tcp.seen):  # what the other side said is not in the capture: nobody can say who gave up
            for exchange in conversation.exchanges:
                if exchange.outcome.startswith("abandoned"):
                    exchange.outcome = "interrupted"
        tcp.user = CLOSED
        room = MAX_ANOMALIES - len(self._anomalies)
        self._anomalies.extend(conversation.anomalies[:room])
        self._connections.append(self._result(tcp, conversation))
        conversation.forget()
        tcp.forget()

    def _result(self, tcp: TcpConnection, conversation: Conversation) -> Connection:
        if len(conversation.facts) < MAX_FACTS and tcp.closed_by == "open":
            conversation.facts.append(Fact(CaptureEnd(), TO_SERVER, tcp.last))
        return Connection(
            id=tcp.id,
            client=tcp.client,
            server=tcp.server,
            roles_known_by=tcp.roles_known_by,
            first=tcp.first,
            last=tcp.last,
            packets=tcp.packets,
            payload_bytes=(tcp.payload_bytes[0], tcp.payload_bytes[1]),
            gaps=(tcp.gaps[0], tcp.gaps[1]),
            closed_by=tcp.closed_by,
            tls=_tls_summary(conversation),
            decryption=decryption(tcp, conversation, self.keyring),
            exchanges=conversation.exchanges,
            facts=conversation.facts,
            record_runs=conversation.record_runs,
            key_sources=frozenset(conversation.tls.key_sources) if conversation.tls else frozenset(),
            digest=conversation.digest.result() if conversation.digest is not None else None,
            last_data=[_last_byte(tcp, TO_SERVER), _last_byte(tcp, TO_CLIENT)],
        )

    def _match_keys(self, connections: list[Connection]) -> None:
        """Note which connections each key opened, or whose certificate it fits although that alone opens nothing."""
        for connection in connections:
            sources = set(connection.key_sources)
            if connection.tls is not None and connection.tls.server_certificate is not None:
                fitting = self.keyring.source_for_certificate(connection.tls.server_certificate)
                sources |= set() if fitting is None else {fitting}
            for source in sources:
                if source < len(self.keys):
                    self.keys[source].matches.append(connection.id)
        first: dict[str, KeyFile] = {}  # the same key in other files fits the same connections
        for key in self.keys:
            if key.fingerprint is not None and key.kind != "unusable":
                twin = first.setdefault(key.fingerprint, key)
                key.matches = sorted({*twin.matches, *key.matches})


def _tls_summary(conversation: Conversation) -> TlsSummary | None:
    tls = conversation.tls
    if tls is None:
        return None
    return TlsSummary(
        version=version_name(tls.version),
        cipher_suite=tls.suite.name if tls.suite else None,
        server_name=tls.server_name,
        handshakes=tls.handshakes,
        resumed=tls.resumed,
        certificate_requested=tls.certificate_requested,
        certificate_presented=tls.certificate_presented,
        renegotiations=conversation.renegotiations,
        server_certificate=tls.server_certificate,
    )


def _last_byte(tcp: TcpConnection, direction: int) -> Position | None:
    return tcp.locate(direction, END_OF_STREAM) if tcp.payload_bytes[direction] else None


def _by_frame(anomaly: LocatedAnomaly) -> tuple[int, int, str, str]:
    frame, connection = anomaly.frame, anomaly.connection
    return (frame or 0, -1 if connection is None else connection, anomaly.code, anomaly.detail)


def _first_byte(exchange: Exchange) -> tuple[int, int, int]:
    message = exchange.request or exchange.response
    return (message.first.frame if message else 2**62, exchange.connection, exchange.index)


def _commands(exchanges: list[Exchange]) -> dict[int, Command]:
    """The ActiveSync reading of those exchanges that are ActiveSync; equal requests share one."""
    commands: dict[int, Command] = {}
    known: dict[tuple[str, str, int], Command | None] = {}
    for exchange in exchanges:
        request = exchange.request
        if request is not None:
            like = (request.target, request.method, id(request.headers))  # equal headers are kept once
            if like in known:
                command = known[like]
            else:
                command = known[like] = parse_command(request.method, request.target, request.header)
            if command is not None:
                commands[exchange.id] = command
    return commands
