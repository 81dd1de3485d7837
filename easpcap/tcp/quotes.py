"""Quotes: connections that ICMP errors quote. Wireshark numbers them like those with packets of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.limits import MAX_QUOTED_CONNECTIONS
from easpcap.stream import Position
from easpcap.tcp.flows import end_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from easpcap.batch import Quote
    from easpcap.tcp.flows import FlowKey


class Quotes:
    """The quoted connections without a packet so far, and where each was quoted first."""

    def __init__(self) -> None:
        self._quoted: dict[FlowKey, Position] = {}

    def add(self, quotes: Iterable[Quote], is_known: Callable[[FlowKey], object]) -> None:
        """Remember the quoted connections that are not known; packets of the same batch may still open them."""
        for quote in quotes:
            source, target = end_of(*quote.source), end_of(*quote.target)
            key = (source, target) if source < target else (target, source)
            if len(self._quoted) < MAX_QUOTED_CONNECTIONS and not is_known(key):
                self._quoted.setdefault(key, Position(0, quote.frame, quote.time_ns, None))

    def first(self, key: FlowKey, position: Position) -> Position:
        """Where a connection begins whose first packet is at ``position``: there, or where it was quoted before."""
        quoted = self._quoted.pop(key, position)
        return min(quoted, position, key=lambda place: place.frame)

    def frames(self) -> list[int]:
        """The frames that quote connections without a packet."""
        return [position.frame for position in self._quoted.values()]
