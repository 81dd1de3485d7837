"""Which end is the client, where the capture lacks the SYN: a ClientHello or a request says it, whatever the ports.

The TCP layer guesses by ports and by the first packet. RoleDetector holds the events of such a connection until its
first messages show the roles, and turns events and connection round if the guess was wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from easpcap.http.start import starts_request, starts_response
from easpcap.limits import MAX_ROLE_BYTES, MAX_ROLE_EVENTS
from easpcap.stream import TO_CLIENT, TO_SERVER, Data, End
from easpcap.tls.codepoints import CLIENT_HELLO, HANDSHAKE, RECORD_HEADER_SIZE, SERVER_HELLO
from easpcap.tls.record.records import HEADER, plausible_header

if TYPE_CHECKING:
    from easpcap.stream import Endpoint, Position
    from easpcap.tcp.assembler import Event, TcpConnection

#: How the TCP layer knows the roles when it has only guessed.
GUESSED: Final = frozenset({"port", "first-packet"})

_OTHER_SIDE: Final = {"client": "server", "server": "client"}


def sender_by(data: bytes) -> int | None:
    """The direction in which these bytes were sent, if they begin a message that only one side sends.

    A ClientHello comes from the client, a ServerHello from the server (RFC 8446 section 4.1), and so do a request line
    and a status line (RFC 9112 sections 3 and 4).
    """
    if len(data) > RECORD_HEADER_SIZE and data[0] == HANDSHAKE:
        if not plausible_header(*HEADER.unpack_from(data)):
            return None
        return {CLIENT_HELLO: TO_SERVER, SERVER_HELLO: TO_CLIENT}.get(data[RECORD_HEADER_SIZE])
    if starts_response(data, 0):
        return TO_CLIENT
    return TO_SERVER if starts_request(data, 0) else None


class RoleDetector:
    """Holds the events of one connection until it is known who the client is, or until there are too many."""

    __slots__ = ("_bytes", "_ended", "held", "reversed")

    is_reversed: ClassVar = None  # not known yet: a Conversation has True or False

    def __init__(self) -> None:
        self.held: list[Event] = []
        self.reversed = False  # the client is the end that the TCP layer took for the server
        self._bytes = 0
        self._ended = 0  # directions

    def feed(self, event: Event) -> bool:
        """Hold an event; True where nothing more is to be held."""
        self.held.append(event)
        if not isinstance(event, Data):
            self._ended += isinstance(event, End)
            return self._ended > 1 or len(self.held) >= MAX_ROLE_EVENTS
        sent = sender_by(event.data)
        if sent is not None:
            self.reversed = sent != event.direction
            return True
        self._bytes += len(event.data)
        return self._bytes >= MAX_ROLE_BYTES or len(self.held) >= MAX_ROLE_EVENTS


def turned(event: Event) -> Event:
    """The same event in the other direction."""
    return event._replace(direction=1 - event.direction)


class Reversed:
    """A TcpConnection seen with its ends exchanged: what the TCP layer calls the client is the server."""

    __slots__ = ("_tcp", "roles_known_by")

    def __init__(self, tcp: TcpConnection) -> None:
        self._tcp = tcp
        self.roles_known_by = "protocol"

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever TcpConnection has
        return getattr(self._tcp, name)

    @property
    def client(self) -> Endpoint:
        """The end that sent the ClientHello or the request."""
        return self._tcp.server

    @property
    def server(self) -> Endpoint:
        """The other end."""
        return self._tcp.client

    @property
    def payload_bytes(self) -> list[int]:
        """By direction, as with all pairs."""
        return self._tcp.payload_bytes[::-1]

    @property
    def gaps(self) -> list[int]:
        """Bytes declared missing."""
        return self._tcp.gaps[::-1]

    @property
    def acked(self) -> list[int]:
        """Offsets that the receivers have acknowledged."""
        return self._tcp.acked[::-1]

    @property
    def seen(self) -> list[bool]:
        """Whether the capture has any packet of a direction."""
        return self._tcp.seen[::-1]

    @property
    def closed_by(self) -> str:
        """Who closed first."""
        side, dash, how = self._tcp.closed_by.partition("-")
        return f"{_OTHER_SIDE[side]}{dash}{how}" if side in _OTHER_SIDE else side

    @property
    def anomalies(self) -> list[Any]:
        """What was odd."""
        return [anomaly._replace(direction=1 - anomaly.direction) for anomaly in self._tcp.anomalies]

    def locate(self, direction: int, offset: int) -> Position:
        """Position of the packet that first delivered a byte."""
        return self._tcp.locate(1 - direction, offset)

    def received_before(self, direction: int, offset: int) -> int:
        """What the receiver had acknowledged of a direction before a byte was sent."""
        return self._tcp.received_before(1 - direction, offset)

    def prune(self, direction: int, offset: int) -> None:
        """Offsets before ``offset`` will not be asked for again."""
        self._tcp.prune(1 - direction, offset)
