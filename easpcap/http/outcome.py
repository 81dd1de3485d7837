"""The outcome of an exchange without an ordinary response: who gave up first, and whether a response came too late.

A response is late if it began after the client had closed its direction. What the client did with it then decides:
a client that only half-closed the connection accepts the response, a client that answers it with RST does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from easpcap.stream import TO_CLIENT, TO_SERVER

if TYPE_CHECKING:
    from easpcap.http.exchange import Exchange, Response
    from easpcap.stream import Position

_SIDES: Final = ("client", "server")  # the sender of each direction

#: An offset after every stream.
_NEVER: Final = 2**63


class Closing(NamedTuple):
    """A side closed its direction of the connection."""

    direction: int  # the one it sends
    cause: str  # fin, rst, close-notify, alert
    position: Position | None


def response_was_lost(exchange: Exchange, request: Position) -> bool:
    """Whether a gap hides the response: its client got some bytes, and has sent another request, at ``request``."""
    if exchange.response is not None or exchange.request is None:
        return False
    had, has = exchange.request.first.acked, request.acked
    return exchange.gap_before_response and (had is None or has is None or has > had)


class Endings:
    """How both sides ended a connection: the first sign of each side, their order, and whether the client reset it."""

    __slots__ = ("_client_closed_at", "_client_reset", "_first")

    def __init__(self) -> None:
        self._first: dict[int, Closing] = {}  # by direction, in the order in which they came
        self._client_closed_at = _NEVER  # offset of the server's stream that had been read then
        self._client_reset = False

    def add(self, closing: Closing, response_offset: int) -> None:
        """Note that a side has closed its direction, when the server's stream had been read to ``response_offset``."""
        if closing.direction == TO_SERVER:
            if TO_SERVER not in self._first:
                self._client_closed_at = response_offset
            self._client_reset |= closing.cause == "rst"
        self._first.setdefault(closing.direction, closing)

    def withdraw(self, direction: int) -> None:
        """The RST of ``direction`` did not count: its sender went on."""
        closing = self._first.get(direction)
        if closing is not None and closing.cause == "rst":
            del self._first[direction]
            if direction == TO_SERVER:
                self._client_closed_at = _NEVER
        if direction == TO_SERVER:
            self._client_reset = False

    def is_late(self, response: Response) -> bool:
        """Whether a response began after the client had closed its direction."""
        return response.head_offset >= self._client_closed_at

    def cause(self, direction: int) -> str | None:
        """How the sender of ``direction`` first closed it; None if it did not."""
        closing = self._first.get(direction)
        return closing.cause if closing else None

    def judge(self, exchange: Exchange, *, lost: bool) -> None:
        """Set the outcome of an exchange whose connection is over.

        Args:
            exchange: one without a complete final response, or with a late one.
            lost: bytes are missing where the response may have been.
        """
        response = exchange.response
        late = response is not None and self.is_late(response)
        if late and self._client_reset:
            exchange.too_late = True
            self._blame(exchange, self._first[TO_SERVER])
        elif response.missing if response is not None else (lost or exchange.gap_before_response):
            exchange.outcome = "interrupted"
        elif response is not None and response.end_offset is not None:
            exchange.outcome = "completed"
        else:
            # A client that closed before a response came has only half-closed, so the server ended such an exchange.
            closing = self._first.get(TO_CLIENT) if late else next(iter(self._first.values()), None)
            if closing is not None:
                self._blame(exchange, closing)

    def _blame(self, exchange: Exchange, closing: Closing) -> None:
        side = _SIDES[closing.direction]
        exchange.outcome = f"abandoned-by-{side}"
        exchange.ended = closing.position
        exchange.ended_by = f"{side}-{closing.cause}"
