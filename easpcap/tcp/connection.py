"""TcpConnection: what is known of one connection, and who is the client."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from easpcap.batch import ACK, SYN
from easpcap.limits import MAX_CONNECTION_ANOMALIES
from easpcap.stream import Anomaly, Endpoint, Position
from easpcap.tcp.positions import PositionIndex

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easpcap.tcp.positions import SegmentRun

#: Ports on which Exchange and its proxies listen although they are no system ports.
SERVICE_PORTS: Final = frozenset({3128, 4433, 4443, 8000, 8080, 8081, 8088, 8443, 8888})
SYSTEM_PORTS: Final = 1024  # RFC 6335 section 6
EPHEMERAL_PORTS: Final = 32768  # where Linux begins; Windows and RFC 6335 begin at 49152

_IPV4_MAPPED: Final = 0xFFFF


class TcpFact(NamedTuple):
    """Something a segment did beside carrying bytes: tcp-open, zero-window, window-open, fin or rst.

    ``direction`` is that of the sender, ``offset`` counts its bytes.
    """

    kind: str
    direction: int
    offset: int
    position: Position


class TcpConnection:
    """One connection: its ends, its extent, its losses, and where each of its bytes was seen.

    ``id`` counts connections from 0 by first packet, as Wireshark's ``tcp.stream`` does. Pairs go by direction.
    ``payload_bytes`` are distinct bytes delivered, ``gaps`` bytes declared missing, ``acked`` the offset up to which
    the peer has acknowledged. ``closed_by`` says who closed first; ``truncated`` that a packet was cut by the capture's
    snapshot length. ``user`` belongs to the consumer.
    """

    __slots__ = (
        "_indexes",
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

    def __init__(self, number: int, client: Endpoint, server: Endpoint, roles_known_by: str, first: Position) -> None:
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

    @property
    def last(self) -> Position:
        """Position of the last packet, of either direction."""
        return Position(self.stamp, self.last_frame, self.last_time_ns, None)

    @property
    def indexes(self) -> Sequence[PositionIndex]:
        """The position index of each direction; made when first wanted, since a SYN needs none."""
        if self._indexes is None:
            self._indexes = (PositionIndex(0), PositionIndex(1))
        return self._indexes

    def locate(self, direction: int, offset: int) -> Position:
        """Position of the packet that first delivered the byte at ``offset``.

        Before what was pruned it is the oldest one kept, beyond the delivered bytes the last one, in a gap the one
        before it, and the first packet of the connection where no byte was delivered at all.
        """
        indexes = self._indexes
        if indexes is None:
            return self.first
        return indexes[direction].locate(offset) or self.first

    def prune(self, direction: int, offset: int) -> None:
        """The consumer will not ask for offsets before ``offset`` again."""
        if self._indexes is not None:
            self._indexes[direction].prune(offset)

    def forget(self) -> None:
        """The consumer will not ask for any offset again."""
        self._indexes = None

    def first_row(self, stretch: SegmentRun) -> int:
        """The first row of ``stretch`` that can still be asked for, its ``stop`` where none can."""
        if self._indexes is None:
            return stretch.stop
        to_server, to_client = self._indexes
        return min(to_server.first_row(stretch), to_client.first_row(stretch))

    def note(self, code: str, direction: int, offset: int, detail: str) -> None:
        """Remember an anomaly; of each connection only the first ones are kept."""
        if len(self.anomalies) < MAX_CONNECTION_ANOMALIES:
            self.anomalies.append(Anomaly(code, direction, offset, detail))


@lru_cache(maxsize=4096)
def address_text(high: int, low: int) -> str:
    """A 128-bit address in canonical text form (RFC 5952; dotted where it is an IPv4-mapped one)."""
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
