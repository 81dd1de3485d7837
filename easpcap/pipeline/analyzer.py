"""Analyzer: batches of packets in, results of connections out. Opens no file, reads no clock."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, cast

from easpcap.capture.interleave import in_time_order
from easpcap.limits import ENDED_LINGER_NS, MAX_ENDED_CONNECTIONS
from easpcap.pipeline.compact import ExchangeCompactor
from easpcap.pipeline.connection_result import connection_result
from easpcap.pipeline.conversation import Conversation
from easpcap.pipeline.partial import Partial
from easpcap.pipeline.roles import GUESSED, Reversed, RoleDetector, turned
from easpcap.pipeline.rsa_prefetch import RsaPrefetcher
from easpcap.stream import End
from easpcap.tcp.assembler import Assembler
from easpcap.tls.secrets.session_cache import SessionCache
from easpcap.tls.session.session import TlsSession

if TYPE_CHECKING:
    from collections.abc import Iterable

    from easpcap.batch import PacketBatch
    from easpcap.results import Connection
    from easpcap.tcp.assembler import Event, TcpConnection
    from easpcap.tls.secrets.keyring import KeyRing
    from easpcap.tls.secrets.session_secrets import SessionSecrets

_BOTH = 2  # directions
_CLOSED = object()  # in place of the conversation of a connection whose result is ready


class Analyzer:
    """Reads batches of packets and returns the result of each connection when it is closed.

    Args:
        keyring: the secrets to decrypt with.
        digest: whether to hash the application data of each direction.
        columnar: False reads every segment by the reference reassembler (for tests).
        session_secrets: collects the secrets of the TLS sessions that were found.
    """

    def __init__(
        self,
        keyring: KeyRing,
        *,
        digest: bool = False,
        columnar: bool = True,
        session_secrets: SessionSecrets | None = None,
    ) -> None:
        self.keyring = keyring
        self._session_secrets = session_secrets
        self._digest = digest
        self._assembler = Assembler(columnar=columnar)
        self._sessions = SessionCache()
        self._compactor = ExchangeCompactor()
        self._rsa_prefetcher = RsaPrefetcher(keyring)
        self._open: dict[int, TcpConnection] = {}  # by id
        self._ended: deque[TcpConnection] = deque()  # both directions have ended, but a reset may still follow
        self._partial = Partial()

    def feed(self, batch: PacketBatch) -> list[Connection]:
        """Read the next packets; return the connections that they closed.

        A connection is closed when both its directions have ended and ENDED_LINGER_NS has passed in the capture. Its
        result is final except for the numbers that `judge` gives (see Partial).
        """
        if not len(batch):
            return []
        known = len(self._partial.connections)
        batch = in_time_order(batch)
        self._rsa_prefetcher.prefetch(batch)
        self._read(self._assembler.feed(batch))
        self._close_ended(int(batch.time_ns[-1]))
        return self._partial.connections[known:]

    def finish(self) -> Partial:
        """No more packets: close what is open, and return the results of all connections, closed earlier or now."""
        self._read(self._assembler.finish())
        self._rsa_prefetcher.close()
        for tcp in list(self._open.values()):
            self._close(tcp)
        self._ended.clear()
        self._partial.unanswered.extend(self._assembler.unanswered_frames)
        return self._partial.finish()

    def _read(self, events: Iterable[tuple[TcpConnection, Event]]) -> None:
        for tcp, event in events:
            conversation = tcp.user
            if conversation is None:
                conversation = self._begin(tcp)
            elif conversation is _CLOSED:
                continue
            turns = conversation.is_reversed
            if turns is None:
                if conversation.feed(event):
                    self._decide_roles(tcp, conversation)
                continue
            conversation.feed(turned(event) if turns else event)
            if isinstance(event, End) and conversation.ended == _BOTH:
                self._ended.append(tcp)

    def _begin(self, tcp: TcpConnection) -> Conversation | RoleDetector:
        """What reads a new connection: first a RoleDetector where it is not certain which end is the client."""
        self._open[tcp.id] = tcp
        reader = RoleDetector() if tcp.roles_known_by in GUESSED else self._conversation(tcp)
        tcp.user = reader
        return reader

    def _decide_roles(self, tcp: TcpConnection, roles: RoleDetector) -> None:
        """Read what was held of a connection, turned round if its ends are exchanged."""
        tcp.user = (
            self._conversation(cast("TcpConnection", Reversed(tcp))) if roles.reversed else self._conversation(tcp)
        )
        self._read((tcp, event) for event in roles.held)

    def _close_ended(self, now: int) -> None:
        """Close the connections that ended ENDED_LINGER_NS ago: until then a reset may still show how they ended."""
        ended = self._ended
        while ended and (len(ended) > MAX_ENDED_CONNECTIONS or ended[0].last_time_ns + ENDED_LINGER_NS < now):
            self._close(ended.popleft())

    def _conversation(self, tcp: TcpConnection) -> Conversation:
        def make_session(starts: tuple[int, int]) -> TlsSession:
            return TlsSession(self.keyring, self._sessions, tcp.server, starts, self._session_secrets)

        return Conversation(tcp, make_session, self._compactor, digest=self._digest)

    def _close(self, tcp: TcpConnection) -> None:
        """Turn a conversation into its result, and free its state."""
        if isinstance(tcp.user, RoleDetector):
            self._decide_roles(tcp, tcp.user)
        conversation: Conversation = tcp.user
        conversation.finish()
        self._partial.add(connection_result(conversation.tcp, conversation, self.keyring), conversation.anomalies)
        del self._open[tcp.id]
        tcp.user = _CLOSED
        conversation.forget()
        tcp.forget()
