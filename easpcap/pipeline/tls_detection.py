"""TlsDetector: finds where TLS begins on a connection, if it has any."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.http.start import starts_request, starts_response
from easpcap.limits import MAX_UNDECIDED_BYTES
from easpcap.stream import TO_CLIENT, TO_SERVER, Data, End, Gap
from easpcap.tls.session.session import looks_like_tls

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from easpcap.http.conversation import HttpConversation
    from easpcap.tls.prologue.prologue import Beginning, Prologue

Event = Data | Gap | End


class TlsDetector:
    """Distinguishes TLS from clear text by the first bytes, and watches clear text for TLS that begins later.

    TLS may begin with the first byte, after another protocol's clear text (STARTTLS and the like), or in a tunnel that
    HTTP opened. Clear text is passed to ``read``, and so to ``http``, as soon as it is certain to be clear text.

    ``done`` means that no more events are needed, because TLS has begun or will not begin. Once TLS has begun,
    ``starts`` are the TCP stream offsets of both directions at which it begins, ``held`` are its first events, and
    ``begins`` is set where clear text came before it.
    """

    __slots__ = ("_http", "_prologue", "_read", "_undecided", "begins", "done", "held", "starts")

    def __init__(self, http: HttpConversation, read: Callable[[Event], None]) -> None:
        self.done = False
        self.starts: tuple[int, int] | None = None
        self.begins: Beginning | None = None
        self.held: list[Event] = []
        self._http = http
        self._read = read
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
            self._decide(is_tls=False)
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
        verdict = looks_like_tls(b"".join(piece.data for piece in pieces if piece.direction == direction))
        if verdict is None and sum(len(piece.data) for piece in pieces) >= MAX_UNDECIDED_BYTES:
            return False
        return verdict

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
