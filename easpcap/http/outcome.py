"""How an exchange without an ordinary response ended: who gave up first, and what became of a late response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from easpcap.stream import TO_CLIENT, TO_SERVER

if TYPE_CHECKING:
    from easpcap.http.exchange import Exchange
    from easpcap.stream import Position

_SIDES: Final = ("client", "server")  # the sender of each direction


class Closing(NamedTuple):
    """A side that ended its direction of the connection."""

    direction: int  # whose sender it was
    cause: str  # fin, rst, close-notify, alert
    position: Position | None


class Endings:
    """What ended a connection: the first sign of each side, their order, and whether the client reset it."""

    __slots__ = ("_client_reset", "_first")

    def __init__(self) -> None:
        self._first: dict[int, Closing] = {}  # by direction, in the order in which they came
        self._client_reset: Closing | None = None

    def add(self, closing: Closing) -> None:
        """Note a sign that a side has ended its direction."""
        self._first.setdefault(closing.direction, closing)
        if closing.direction == TO_SERVER and closing.cause == "rst" and self._client_reset is None:
            self._client_reset = closing

    def cause(self, direction: int) -> str | None:
        """How the sender of ``direction`` first ended it."""
        closing = self._first.get(direction)
        return closing.cause if closing else None

    def judge(self, exchange: Exchange, *, late: bool, lost: bool) -> None:
        """Set the outcome of an exchange whose connection is over.

        Args:
            exchange: one without a complete final response, or with a late one.
            late: its response began after the client had given up.
            lost: bytes towards the client are missing, so a response may be.
        """
        response = exchange.response
        complete = response is not None and response.end_offset is not None
        if late and self._client_reset is not None:
            exchange.too_late = True
            self._blame(exchange, self._first[TO_SERVER])
        elif response.missing if response is not None else (lost or exchange.gap_before_response):
            exchange.outcome = "interrupted"
        elif complete:
            exchange.outcome = "completed"
        else:
            # A client that was gone and yet let the response come has only closed its own half.
            closing = self._first.get(TO_CLIENT) if late else next(iter(self._first.values()), None)
            if closing is not None:
                self._blame(exchange, closing)

    def _blame(self, exchange: Exchange, closing: Closing) -> None:
        side = _SIDES[closing.direction]
        exchange.outcome = f"abandoned-by-{side}"
        exchange.ended = closing.position
        exchange.ended_by = f"{side}-{closing.cause}"
