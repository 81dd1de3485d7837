"""Fragments: puts the fragments of IP datagrams together (RFC 791 section 3.2, RFC 8200 section 4.5)."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Final, NamedTuple

from easpcap.limits import FRAGMENT_TIMEOUT_NS, MAX_FRAGMENT_BYTES, MAX_FRAGMENTED_DATAGRAMS

INCOMPLETE: Final = "incomplete IP datagram"
CONFLICT: Final = "conflicting IP fragments"
DUPLICATE: Final = "duplicate IP fragment"
MALFORMED: Final = "malformed"

#: The longest datagram without its header, and the unit of fragment offsets.
MOST_BYTES: Final = 65_535
UNIT: Final = 8
#: What a datagram costs beside its bytes, about.
OVERHEAD: Final = 1024

#: What fragments of one datagram have in common: addresses, number, and in IPv4 the protocol.
Key = tuple[object, ...]


class Datagram(NamedTuple):
    """A complete datagram. ``payload`` is shorter than ``size`` where the snap length cut a fragment."""

    payload: bytes
    size: int
    protocol: int
    packets: int  # fragments that it came in


class _Pieces:
    """What was seen of one datagram."""

    __slots__ = (
        "captured",
        "complete",
        "conflict",
        "data",
        "first_ns",
        "have",
        "missing",
        "packets",
        "protocol",
        "size",
    )

    def __init__(self, time_ns: int) -> None:
        self.first_ns = time_ns
        self.data = bytearray()
        self.have = bytearray()  # one byte per unit, 1 where it was on the wire
        self.missing = 0  # units before the end of ``have`` that are not there
        self.captured = MOST_BYTES  # bytes before the first that the snap length cut
        self.size = -1  # known from the last fragment
        self.protocol = -1  # known from the first
        self.packets = 0
        self.complete = False
        self.conflict = False

    def cost(self) -> int:
        """Bytes of memory, about."""
        return len(self.data) + len(self.have) + OVERHEAD

    def has(self, offset: int, payload: bytes, size: int) -> bool:
        """Whether this fragment was seen before: the same bytes at the same place."""
        units = self.have[offset // UNIT : -(-(offset + size) // UNIT)]
        return bool(units) and all(units) and offset + size <= len(self.data) and self._agrees(offset, payload)

    def agrees(self, offset: int, payload: bytes, size: int, *, more: bool) -> bool:
        """Whether no byte and no end contradicts what was seen before."""
        end = offset + size
        if self.size >= 0 and (end > self.size or (not more and end != self.size)):
            return False
        if not more and len(self.data) > end:
            return False
        return self._agrees(offset, payload)

    def _agrees(self, offset: int, payload: bytes) -> bool:
        known = bytes(self.data[offset : min(offset + len(payload), self.captured)])
        units = self.have[offset // UNIT : -(-(offset + len(known)) // UNIT)]
        if not any(units):
            return True
        if all(units):
            return payload.startswith(known)
        starts = range(0, len(known), UNIT)
        return not any(
            unit and known[at : at + UNIT] != payload[at : at + UNIT][: len(known) - at]
            for unit, at in zip(units, starts, strict=True)
        )

    def put(self, offset: int, payload: bytes, size: int, *, more: bool) -> None:
        """Add a fragment that agrees with the others."""
        end = offset + size
        first, after = offset // UNIT, -(-end // UNIT)
        if len(self.data) < end:
            self.missing += after - len(self.have)
            self.have.extend(bytes(after - len(self.have)))
            self.data.extend(bytes(end - len(self.data)))
        self.data[offset : offset + len(payload)] = payload
        self.missing -= self.have.count(0, first, after)
        self.have[first:after] = b"\1" * (after - first)
        if len(payload) < size:
            self.captured = min(self.captured, offset + len(payload))
        if not more:
            self.size = end


class Fragments:
    """Datagrams of which fragments were seen.

    A datagram whose fragments contradict each other is dropped, as receivers do (RFC 5722).
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[Key, _Pieces] = OrderedDict()
        self._cost = 0
        self._lost: Counter[str] = Counter()

    def add(
        self, key: Key, time_ns: int, offset: int, payload: bytes, size: int, protocol: int, packets: int, *, more: bool
    ) -> Datagram | None:
        """The datagram that this fragment completes; None where it does not.

        Args:
            key: what the fragments of this datagram have in common.
            time_ns: when it was captured.
            offset: of its bytes in the datagram.
            payload: its bytes, as far as they were captured.
            size: its bytes on the wire.
            protocol: what the datagram contains, by this fragment.
            packets: captured packets that this fragment came in: more than one if it was in fragments itself.
            more: whether others follow.
        """
        if size <= 0 or offset + size > MOST_BYTES or (more and size % UNIT):
            self._lost[MALFORMED] += packets
            return None
        pieces = self._pieces(key, time_ns, offset, payload, size)
        if pieces is None:
            self._lost[DUPLICATE] += packets
            return None
        pieces.packets += packets
        if pieces.conflict or not pieces.agrees(offset, payload, size, more=more):
            self._drop_content(pieces)
            return None
        before = pieces.cost()
        pieces.put(offset, payload, size, more=more)
        if offset == 0:
            pieces.protocol = protocol
        self._cost += pieces.cost() - before
        done = pieces.size >= 0 and not pieces.missing
        datagram = self._complete(pieces) if done else None
        self._make_room()
        return datagram

    def finish(self) -> None:
        """No more packets: the rest stays incomplete."""
        while self._seen:
            self._drop_oldest()

    def take_lost(self) -> list[tuple[str, int]]:
        """How many packets were lost since the last call, by reason."""
        lost = list(self._lost.items())
        self._lost.clear()
        return lost

    def _pieces(self, key: Key, time_ns: int, offset: int, payload: bytes, size: int) -> _Pieces | None:
        """What was seen of the datagram so far; None where it is complete and this fragment a copy."""
        while self._seen and time_ns - next(iter(self._seen.values())).first_ns > FRAGMENT_TIMEOUT_NS:
            self._drop_oldest()
        pieces = self._seen.get(key)
        if pieces is not None and pieces.complete:
            if pieces.has(offset, payload, size):
                return None
            self._drop(key)  # the number is used again
            pieces = None
        if pieces is None:
            pieces = self._seen[key] = _Pieces(time_ns)
            self._cost += pieces.cost()
        return pieces

    @staticmethod
    def _complete(pieces: _Pieces) -> Datagram:
        datagram = Datagram(bytes(pieces.data[: pieces.captured]), pieces.size, pieces.protocol, pieces.packets)
        pieces.complete = True
        pieces.packets = 0
        return datagram

    def _drop_content(self, pieces: _Pieces) -> None:
        """Two fragments contradict each other: forget the bytes, remember the datagram for its further fragments."""
        self._cost -= len(pieces.data) + len(pieces.have)
        pieces.data, pieces.have = bytearray(), bytearray()
        pieces.conflict = True

    def _make_room(self) -> None:
        while self._cost > MAX_FRAGMENT_BYTES or len(self._seen) > MAX_FRAGMENTED_DATAGRAMS:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._drop(next(iter(self._seen)))

    def _drop(self, key: Key) -> None:
        pieces = self._seen.pop(key)
        self._cost -= pieces.cost()
        if pieces.packets:
            self._lost[CONFLICT if pieces.conflict else INCOMPLETE] += pieces.packets
