"""TcpConnection: the facts of one connection, and which end is the client."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from easpcap.batch import ACK, SYN
from easpcap.limits import MAX_CONNECTION_ANOMALIES
from easpcap.stream import Anomaly, Endpoint, Position
from easpcap.tcp.positions import PositionIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from easpcap.tcp.positions import SegmentRun

#: Ports above SYSTEM_PORTS on which Exchange servers and their proxies listen.
SERVICE_PORTS: Final = frozenset({3128, 4433, 4443, 8000, 8080, 8081, 8088, 8443, 8888})
SYSTEM_PORTS: Final = 1024  # RFC 6335 section 6
EPHEMERAL_PORTS: Final = 32768  # where Linux begins; Windows and RFC 6335 begin at 49152

_IPV4_MAPPED: Final = 0xFFFF


class TcpFact(NamedTuple):
    """Something a segment did besides carrying bytes: tcp-open, zero-window, window-open, fin, rst or rst-ignored.

    A rst-ignored, which has the position of the RST, takes back a rst: both sides went on after it.

    ``direction`` is the one its sender writes to, ``offset`` the number of bytes sent in it before.
    """

    kind: str
    direction: int
    offset: int
    position: Position


class TcpConnection:
    """One connection: its endpoints, its counts, and the position of each of its bytes.

    ``id`` is a number that no other connection has. Pairs are indexed by direction: ``payload_bytes`` counts distinct
    bytes delivered, ``gaps`` bytes declared missing, ``acked`` is the offset that the receiver has acknowledged,
    ``seen`` whether the capture has any packet. ``closed_by`` is who closed first; ``truncated`` is True where the
    snapshot length cut a packet. ``user`` belongs to the consumer.
    """

    __slots__ = (
        "_indexes",
        "_on_forget",
        "acked",
        "anomalies",
        "client",
        "closed_by",
        "first",
        "gaps",
        "handshake_seen",
        "id",
        "last_frame",
        "last_time_ns",
        "packets",
        "payload_bytes",
        "roles_known_by",
        "seen",
        "server",
        "stamp",
        "truncated",
        "user",
    )

    def __init__(
        self,
        number: int,
        client: Endpoint,
        server: Endpoint,
        roles_known_by: str,
        first: Position,
        *,
        on_forget: Callable[[TcpConnection], None] | None = None,
    ) -> None:
        self.id = number
        self.client = client
        self.server = server
        self.roles_known_by = roles_known_by
        self.first = first
        self.last_frame = first.frame
        self.last_time_ns = first.time_ns
        self.packets = 0
        self.stamp = 0
        self.payload_bytes = [0, 0]
        self.gaps = [0, 0]
        self.acked = [0, 0]
        self.seen = [False, False]
        self.closed_by = "open"
        self.truncated = False
        self.handshake_seen = False
        self.anomalies: list[Anomaly] = []
        self.user: Any = None
        self._indexes: tuple[PositionIndex, PositionIndex] | None = None
        self._on_forget = on_forget

    @property
    def last(self) -> Position:
        """Position of the last packet, of either direction."""
        return Position(self.stamp, self.last_frame, self.last_time_ns, None)

    @property
    def indexes(self) -> Sequence[PositionIndex]:
        """The position index of each direction, made on first use: a flood of SYNs needs none."""
        if self._indexes is None:
            self._indexes = (PositionIndex(0), PositionIndex(1))
        return self._indexes

    def locate(self, direction: int, offset: int) -> Position:
        """Position of the packet that first delivered the byte at ``offset``.

        In a gap it is the position before the gap, after the delivered bytes the last one, for a pruned offset the
        oldest one kept, and where no byte was delivered the first packet of the connection.
        """
        indexes = self._indexes
        if indexes is None:
            return self.first
        return indexes[direction].locate(offset) or self.first

    def received_before(self, direction: int, offset: int) -> int:
        """What the receiver had acknowledged of a direction before the byte at ``offset`` was sent.

        Ask while that byte is the last one that was delivered.
        """
        known = self._indexes[direction].received_before(offset) if self._indexes is not None else None
        return self.acked[direction] if known is None else known

    def prune(self, direction: int, offset: int) -> None:
        """The consumer will not ask for offsets before ``offset`` again."""
        if self._indexes is not None:
            self._indexes[direction].prune(offset)

    def forget(self) -> None:
        """The consumer is done with this connection: drop its index, and yield no more events for it."""
        self._indexes = None
        if self._on_forget is not None:
            self._on_forget(self)

    def first_row(self, segment_run: SegmentRun) -> int:
        """The first row of ``segment_run`` that `locate` may still need, its ``stop`` where it needs none."""
        if self._indexes is None:
            return segment_run.stop
        to_server, to_client = self._indexes
        return min(to_server.first_row(segment_run), to_client.first_row(segment_run))

    def note(self, code: str, direction: int, offset: int, detail: str) -> None:
        """Record an anomaly; only the first MAX_CONNECTION_ANOMALIES of a connection are kept."""
        if len(self.anomalies) < MAX_CONNECTION_ANOMALIES:
            self.anomalies.append(Anomaly(code, direction, offset, detail))


@lru_cache(maxsize=4096)
def address_text(high: int, low: int) -> str:
    """A 128-bit address in canonical text form (RFC 5952; an IPv4-mapped address in dotted form)."""
    if not high and low >> 32 == _IPV4_MAPPED:
        return f"{low >> 24 & 255}.{low >> 16 & 255}.{low >> 8 & 255}.{low & 255}"
    from ipaddress import IPv6Address

    return str(IPv6Address(high << 64 | low))


def guess_roles(sport: int, dport: int, flags: int) -> tuple[bool, str]:
    """Whether a connection's first packet was sent by the client, and how that is known."""
    if flags & SYN:
        return (False, "syn-ack") if flags & ACK else (True, "syn")
    if _serves(dport) != _serves(sport):
        return _serves(dport), "port"
    if max(sport, dport) >= EPHEMERAL_PORTS > min(sport, dport):
        return sport > dport, "port"
    return True, "first-packet"


def _serves(port: int) -> bool:
    return port < SYSTEM_PORTS or port in SERVICE_PORTS
