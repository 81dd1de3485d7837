"""Prologue: searches the clear text of a connection for the place where TLS begins.

It looks for a ClientHello where a side begins to send after the other one, after a command that asks for TLS, and
after lost bytes. It accepts the ClientHello if both sides agreed on TLS in the clear (see starttls), or else when the
other side answers with a ServerHello or an alert. So a captured handshake that is uploaded or mailed stays clear text,
and TLS is found in unknown protocols too. Either end of the TCP connection may be the client, because the roles may be
wrong if the capture begins in mid-connection.
"""

from __future__ import annotations

from typing import NamedTuple

from easpcap.limits import MAX_PROLOGUE_BYTES, MAX_PROLOGUE_HELD_BYTES, MAX_PROLOGUE_WORDS
from easpcap.stream import Data, End, Gap
from easpcap.tls.prologue.hellos import HELLO_BYTES, begins_client_hello, begins_server_answer
from easpcap.tls.prologue.starttls import AGREED, ASKED, NOTHING, TUNNEL, Announcement, announced, command_end

Event = Data | Gap | End

_GAP_COST = 64  # bytes of memory, roughly


class Beginning(NamedTuple):
    """TLS begins: whose ClientHello (a direction), at which TCP stream offsets, and after what ("": not known)."""

    direction: int
    starts: tuple[int, int]
    after: str


class Prologue:
    """Passes clear text on until TLS begins.

    Args:
        starts: the TCP stream offsets of both directions at which the clear text begins.
        tunnel: the protocol that opened the tunnel whose content this is ("": none); TLS may begin at its first byte.
    """

    __slots__ = (
        "_asked", "_left", "_reached", "_speaker", "_trial", "_words", "begins", "held", "tunnel",
    )  # fmt: skip

    def __init__(self, starts: tuple[int, int] = (0, 0), tunnel: str = "") -> None:
        self.begins: Beginning | None = None
        self.held: list[Event] = []  # once TLS begins: its first events
        self.tunnel = tunnel
        self._reached = [*starts]
        self._words = [b"", b""]  # the last bytes of each direction since the other one sent
        self._speaker: int | None = None
        self._asked = False  # the last byte completed a command that asks for TLS
        self._left = MAX_PROLOGUE_BYTES
        self._trial: _Trial | None = None  # whether the held events are TLS

    @property
    def over(self) -> bool:
        """Whether the search has ended, because enough clear text was seen."""
        return self._left <= 0 and self._trial is None

    def feed(self, event: Event) -> list[Event]:
        """Take the next event; returns the events found to be clear text. Once ``begins`` is set, feed no more."""
        if self._trial is not None:
            self.held.append(event)
            return self._try(self._trial, event)
        if isinstance(event, Data):
            return self._read(event)
        if isinstance(event, Gap):
            return self._suspect(_Trial(event.direction, event.offset, lost=True), event)
        return [event]

    def finish(self) -> list[Event]:
        """Decide about the held events, because no more come; returns those found to be clear text."""
        clear: list[Event] = []
        while self._trial is not None and self.begins is None:
            clear += self._unanswered(self._trial)
        return clear

    def _read(self, event: Data) -> list[Event]:
        direction, offset, data = event
        clear: list[Event] = []
        turn = direction != self._speaker
        while True:
            if (turn or self._asked) and begins_client_hello(data) is not False:
                event = Data(direction, offset, data)
                return clear + self._suspect(_Trial(direction, offset, lost=False), event)
            said = b"" if turn else self._words[direction]
            end = command_end(said + data[:MAX_PROLOGUE_BYTES], len(said))
            self._asked = end is not None
            here = len(data) if end is None else end - len(said)
            clear.append(Data(direction, offset, data[:here]))
            self._note(clear[-1])
            if here == len(data):
                return clear
            turn, offset, data = False, offset + here, data[here:]

    def _note(self, event: Event) -> None:
        """Update the state with an event of clear text."""
        direction, offset = event[0], event[1]
        if isinstance(event, Data):
            said = self._words[direction] if direction == self._speaker else b""
            self._words[direction] = (said + event[2])[-MAX_PROLOGUE_WORDS:]
            self._reached[direction] = offset + len(event[2])
            self._left -= len(event[2])
            self._speaker = direction
        elif isinstance(event, Gap):
            self._words[direction] = b""
            self._reached[direction] = offset + event[2]
            self._speaker = None  # the other side may have sent the lost bytes' answer

    # ------------------------------------------------------------------ what may be TLS

    def _suspect(self, trial: _Trial, event: Data | Gap) -> list[Event]:
        """Hold back events from this one on, because it may begin TLS."""
        direction, other = trial.direction, 1 - trial.direction
        trial.other = self._reached[other]
        if self.tunnel and not any(self._words):
            trial.announcement = Announcement(self.tunnel, TUNNEL)
        else:
            answer = self._words[other] if self._speaker != direction else b""
            trial.announcement = announced(self._words[direction], answer)
        self._asked = False
        self._trial = trial
        self.held = [event]
        return self._try(trial, event)

    def _try(self, trial: _Trial, event: Event) -> list[Event]:
        """Decide about the held events, as far as their newest one allows it."""
        level = trial.announcement.level
        if event[0] != trial.direction:
            verdict = trial.add_answer(event[2]) if isinstance(event, Data) else None
            if verdict:
                return self._begin(trial)
            if verdict is False:
                return self._release()
            if not isinstance(event, Data):
                return self._unanswered(trial)
        elif isinstance(event, Data):
            verdict = trial.add_hello(event[1], event[2])
            if verdict and level >= TUNNEL:
                return self._begin(trial)
            if verdict is False and not trial.lost:
                return self._release()
        elif isinstance(event, Gap):
            trial.lose(event.offset + event.length)
            if level == AGREED:
                return self._begin(trial)
        return self._unanswered(trial) if trial.room <= 0 else []

    def _unanswered(self, trial: _Trial) -> list[Event]:
        """Decide by the clear text before, because the other side's answer will not be seen."""
        level = trial.announcement.level
        if level == AGREED or (level >= ASKED and begins_client_hello(trial.hello)):
            return self._begin(trial)
        return self._release()

    def _begin(self, trial: _Trial) -> list[Event]:
        """Set ``begins``; lost bytes before the ClientHello are clear text."""
        direction = trial.direction
        at = trial.hello_at if begins_client_hello(trial.hello) else trial.at
        starts = (trial.other, at) if direction else (at, trial.other)
        after = trial.announcement.name
        if self.tunnel and after != self.tunnel:
            after = f"{self.tunnel}, {after}" if after else self.tunnel
        self.begins = Beginning(direction, starts, after)
        clear = [event for event in self.held if event[0] == direction and event[1] < at]
        self.held = [event for event in self.held if event[0] != direction or event[1] >= at]
        return clear

    def _release(self) -> list[Event]:
        """Release the held events as clear text; only the last sender's bytes may begin TLS again."""
        held, self.held = self.held, []
        self._trial = None
        last = held[-1]
        run = len(held) - 1
        while isinstance(last, Data) and run and isinstance(held[run - 1], Data) and held[run - 1][0] == last.direction:
            run -= 1
        for event in held[:run] or held:
            self._note(event)
        if not run:
            return held
        if isinstance(last, Data):
            said = b"".join(event.data for event in held[run:] if isinstance(event, Data))
            last = Data(last.direction, held[run][1], said)
        return held[:run] + self.feed(last)


class _Trial:
    """What is known about bytes that may be TLS."""

    __slots__ = ("_answer", "announcement", "at", "direction", "hello", "hello_at", "lost", "other", "room")

    def __init__(self, direction: int, at: int, *, lost: bool) -> None:
        self.direction = direction  # of the ClientHello
        self.at = at  # offset of the first byte held
        self.other = 0  # offset that the other direction had reached
        self.announcement = Announcement("", NOTHING)
        self.hello = b""  # its first HELLO_BYTES bytes
        self.hello_at = at
        self.lost = lost  # bytes of the ClientHello may be missing
        self.room = MAX_PROLOGUE_HELD_BYTES
        self._answer = b""

    def add_hello(self, offset: int, data: bytes) -> bool | None:
        """Take bytes of the ClientHello's side; whether they are a ClientHello (None: too few to decide)."""
        self.room -= len(data)
        if offset == self.hello_at + len(self.hello):
            self.hello += data[: HELLO_BYTES - len(self.hello)]
        return begins_client_hello(self.hello)

    def add_answer(self, data: bytes) -> bool | None:
        """Take bytes of the other side; whether they answer a ClientHello (None: too few to decide)."""
        self.room -= len(data)
        self._answer += data[: HELLO_BYTES - len(self._answer)]
        return begins_server_answer(self._answer)

    def lose(self, end: int) -> None:
        """Note that bytes up to ``end`` are missing on the ClientHello's side."""
        self.room -= _GAP_COST
        self.lost = True
        if not self.hello:
            self.hello_at = end
