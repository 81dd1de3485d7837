"""The door for bodies: who reads a body is chosen when its head is known, and is then given the body as it passes.

Most bodies have no reader and are skipped without a look. A sink sees no framing: the chunked coding is removed, and
pieces come in order whatever segments, records and chunks carried them. Content codings are left in place; wrap the
sink with ``coding.decode`` to have them removed.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from easpcap.http.exchange import Exchange, Request, Response


class BodyEnd(Enum):
    """How much of a body its sink was given."""

    WHOLE = "whole"  # all of it, perhaps no bytes
    CUT = "cut"  # its beginning: the sender or the capture stopped before the end, or a limit was reached
    DAMAGED = "damaged"  # what came before missing bytes, or before bytes that break its coding


class BodySink(Protocol):
    """Reads one body."""

    def write(self, data: bytes, /) -> bool:
        """Take the next bytes of the body. False: no more are wanted, and no method is called any more."""

    def finish(self, end: BodyEnd, /) -> None:
        """No more bytes will come. Called once, unless write returned False; no method is called after it."""


class ChooseSink(Protocol):
    """Chooses who reads a body."""

    def __call__(self, exchange: Exchange, message: Request | Response, /) -> BodySink | None:
        """The sink for the body of ``message``, whose head is complete; None if nobody reads it.

        Called once for every request and every final response, also for those without a body. ``message`` is the
        request or the response of ``exchange``; a response may have no request, where that is not in the capture.
        """


class Tee:
    """Gives one body to several sinks."""

    __slots__ = ("_sinks",)

    def __init__(self, sinks: list[BodySink]) -> None:
        self._sinks = sinks

    def write(self, data: bytes, /) -> bool:
        """Write to every sink that wants more."""
        self._sinks = [sink for sink in self._sinks if sink.write(data)]
        return bool(self._sinks)

    def finish(self, end: BodyEnd, /) -> None:
        """Tell every sink that wanted more."""
        for sink in self._sinks:
            sink.finish(end)


def choose_all(*choosers: ChooseSink) -> ChooseSink:
    """A chooser that gives a body to the sinks of all ``choosers``."""

    def choose(exchange: Exchange, message: Request | Response, /) -> BodySink | None:
        sinks = [sink for chooser in choosers if (sink := chooser(exchange, message)) is not None]
        return Tee(sinks) if len(sinks) > 1 else next(iter(sinks), None)

    return choose
