"""TlsDetector: finds where TLS begins on a connection, if it has any."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.http.start import starts_request, starts_response
from easpcap.limits import MAX_MIDSTREAM_BYTES, MAX_UNDECIDED_BYTES
from easpcap.stream import TO_CLIENT, TO_SERVER, Data, End, Gap
from easpcap.tls.record.chain import Chain, find_chain
from easpcap.tls.session.session import looks_like_tls

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from easpcap.http.conversation import HttpConversation
    from easpcap.tcp.assembler import TcpConnection
    from easpcap.tls.prologue.prologue import Beginning, Prologue

Event = Data | Gap | End

#: Ports of protocols that are TLS from the first byte: HTTPS, and those of mail, directories and FTP.
TLS_PORTS = frozenset({443, 465, 563, 636, 853, 989, 990, 993, 995, 3269, 4433, 4443, 8443})

#: Printable characters and line ends; so many at the beginning of random bytes are one case in 10^7.
_TEXT = frozenset(b"\t\r\n") | frozenset(range(0x20, 0x7F))
_TEXT_BYTES = 16

#: Record headers are searched again after so many more bytes.
_SEARCH_STEP = 1024


class TlsDetector:
    """Distinguishes TLS from clear text by the first bytes, and watches clear text for TLS that begins later.

    TLS may begin with the first byte, after another protocol's clear text (STARTTLS and the like), or in a tunnel that
    HTTP opened. Clear text is passed to ``read``, and so to ``http``, as soon as it is certain to be clear text.
    Where the beginning of the connection was not captured, the first bytes may lie inside a TLS record; the headers of
    later records show that.

    ``done`` means that no more events are needed, because TLS has begun or will not begin. Once TLS has begun,
    ``starts`` are the TCP stream offsets of both directions at which it begins, ``held`` are its first events, and
    ``begins`` is set where clear text came before it. ``inside``: the first bytes seen lie inside a record.
    """

    __slots__ = (
        "_http",
        "_prologue",
        "_read",
        "_searched",
        "_tcp",
        "_undecided",
        "begins",
        "done",
        "held",
        "inside",
        "starts",
    )

    def __init__(self, tcp: TcpConnection, http: HttpConversation, read: Callable[[Event], None]) -> None:
        self.done = False
        self.starts: tuple[int, int] | None = None
        self.begins: Beginning | None = None
        self.inside = False
        self.held: list[Event] = []
        self._tcp = tcp
        self._http = http
        self._read = read
        self._searched = 0  # bytes in which record headers were searched
        self._undecided: list[Event] = []  # until the first bytes decide
        self._prologue: Prologue | None = None  # while clear text is watched

    def feed(self, event: Event) -> None:
        """Read the next event of the connection."""
        if self._prologue is None and self._http.protocol is not None:
            self._watch_tunnel()
        if self._prologue is not None:
            self._watch(self._prologue, self._prologue.feed(event))
            return
        self._undecided.append(event)
        if isinstance(event, Data):
            is_tls = self._is_tls(event.direction)
            if is_tls is not None:
                self._decide(is_tls=is_tls)

    def finish(self) -> None:
        """No more events: decide by the bytes so far."""
        if self._undecided:
            is_text = any(isinstance(event, Data) and _is_text(event.data) for event in self._undecided)
            self._decide(is_tls=self._begins_inside() and not is_text and self._is_chain(at_end=True))
        if self._prologue is not None:
            self._watch(self._prologue, self._prologue.finish())

    def resume(self) -> None:
        """A tunnel may have opened: watch the following bytes for TLS."""
        self.done = False

    def enter_tunnel(self) -> None:
        """HTTP has opened a tunnel: watch its content for TLS."""
        self.done = False
        self._prologue = None

    def _is_tls(self, direction: int) -> bool | None:
        """Whether the first bytes of a direction are TLS; None while there are too few to decide."""
        pieces = [event for event in self._undecided if isinstance(event, Data)]
        size = sum(len(piece.data) for piece in pieces)
        verdict = looks_like_tls(self._bytes(direction))
        if verdict is None and size >= MAX_UNDECIDED_BYTES:
            verdict = False
        if (
            verdict is False
            and self._begins_inside()
            and not _is_text(pieces[0].data)
            and not _begins_http(pieces[-1:])
        ):
            if size >= MAX_MIDSTREAM_BYTES:
                return self._is_chain(at_end=False)
            if size >= self._searched + _SEARCH_STEP:
                self._searched = size
                return self._is_chain(at_end=False) or None
            return None
        return verdict

    def _bytes(self, direction: int) -> bytes:
        """The first bytes of a direction."""
        events = self._undecided
        return b"".join(event.data for event in events if isinstance(event, Data) and event.direction == direction)

    def _begins_inside(self) -> bool:
        """Whether the first bytes seen may not be the first ones that were sent."""
        return not self._tcp.handshake_seen or any(isinstance(event, Gap) for event in self._undecided)

    def _is_chain(self, *, at_end: bool) -> bool:
        """Whether headers of TLS records follow each other; at the end of the stream a single one may do."""
        found = max(find_chain(self._bytes(direction)) for direction in (TO_SERVER, TO_CLIENT))
        needed = Chain.LINKED if not at_end else Chain.HEADER if self._tcp.server.port in TLS_PORTS else Chain.ENDS
        self.inside = found >= needed
        return self.inside

    def _decide(self, *, is_tls: bool) -> None:
        """Pass on the events held back, now that it is known whether they are TLS."""
        events, self._undecided = self._undecided, []
        if is_tls:
            self._begin((0, 0), events)
            return
        if _begins_http(events):  # then only a tunnel may hold TLS
            self.done = True
        else:
            self._prologue = _prologue((0, 0), "")
        for event in events:
            if self.starts is not None:
                self.held.append(event)
            elif self.done:
                self._read(event)
            else:
                self.feed(event)

    def _watch_tunnel(self) -> None:
        http = self._http
        starts = http.next_offset(TO_SERVER), http.next_offset(TO_CLIENT)
        self._prologue = _prologue(starts, http.tunnel or "HTTP CONNECT")

    def _watch(self, prologue: Prologue, clear: Sequence[Event]) -> None:
        """Pass on clear text, and check whether TLS follows. Once HTTP has begun, only a tunnel may hold TLS."""
        for event in clear:
            self._read(event)
        if prologue.begins is not None:
            self.begins = prologue.begins
            self._begin(prologue.begins.starts, prologue.held)
        elif self._prologue is prologue and (prologue.over or (self._http.protocol and not prologue.tunnel)):
            self.done, self._prologue = True, None

    def _begin(self, starts: tuple[int, int], held: list[Event]) -> None:
        self.done, self._prologue = True, None
        self.starts, self.held = starts, held


def _is_text(data: bytes) -> bool:
    """Whether bytes begin as clear text does, and ciphertext does not."""
    return all(byte in _TEXT for byte in data[:_TEXT_BYTES])


def _begins_http(events: Sequence[Event]) -> bool:
    """Whether the first bytes are those of an HTTP message."""
    first = next((event for event in events if isinstance(event, Data)), None)
    if first is None:
        return False
    starts = starts_request if first.direction == TO_SERVER else starts_response
    return bool(starts(first.data, 0))


def _prologue(starts: tuple[int, int], tunnel: str) -> Prologue:
    from easpcap.tls.prologue.prologue import Prologue  # not loaded where every connection is TLS from its first byte

    return Prologue(starts, tunnel)
