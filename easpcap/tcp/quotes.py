"""Quotes: connections that an ICMP error quotes. Wireshark numbers them like those with packets of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.batch import ACK, SYN
from easpcap.limits import MAX_QUOTED_CONNECTIONS
from easpcap.stream import Position
from easpcap.tcp.flows import end_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easpcap.batch import PacketBatch, Quote
    from easpcap.tcp.flows import FlowKey
    from easpcap.tcp.table import FlowTable


class Quotes:
    """The quoted connections of which no packet was seen yet, with their numbers and where they were quoted."""

    def __init__(self) -> None:
        self._waiting: dict[FlowKey, tuple[int, Position]] = {}
        self._unread: list[Quote] = []
        self._opened: set[FlowKey] = set()

    def begin(self, batch: PacketBatch) -> None:
        """The quotes of the next batch, which `read` takes in."""
        self._unread = list(reversed(batch.quoted))
        self._opened.clear()

    def read(self, table: FlowTable, frame: int) -> None:
        """Give numbers to the connections quoted before ``frame`` that are not known."""
        while self._unread and self._unread[-1].frame < frame:
            quote = self._unread.pop()
            source, target = end_of(*quote.source), end_of(*quote.target)
            key = (source, target) if source < target else (target, source)
            if self._is_new(table, key, int(source > target), quote) and len(self._waiting) < MAX_QUOTED_CONNECTIONS:
                self._waiting[key] = table.next_number(), Position(0, quote.frame, quote.time_ns, None)

    def take(self, key: FlowKey) -> tuple[int, Position] | None:
        """A connection of this flow opens: its number and first position if it was quoted before."""
        self._opened.add(key)
        return self._waiting.pop(key, None)

    def frames(self) -> Sequence[int]:
        """The frames of the quotes whose connections were never seen."""
        return [position.frame for _, position in self._waiting.values()]

    def _is_new(self, table: FlowTable, key: FlowKey, side: int, quote: Quote) -> bool:
        if key in self._waiting or key in self._opened:
            return False
        known = table.find(key)
        opens = quote.flags & (SYN | ACK) == SYN
        return known is None or (opens and known.first_number(side) not in (-1, quote.seq))
