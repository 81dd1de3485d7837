"""The events that every layer yields: ordered bytes of one direction, what is missing, and how it ended.

TLS reads and yields the same three values, so http works the same with and without TLS.
Offsets count the bytes of one direction of one connection from 0. A Position says which frame brought a byte.
"""

from __future__ import annotations

from typing import Final, NamedTuple

#: The two directions of a connection; plain integers, since they index pairs on hot paths.
TO_SERVER: Final = 0
TO_CLIENT: Final = 1

DIRECTION_NAMES: Final = ("to_server", "to_client")

#: All times are in nanoseconds: this many are a second.
NANOSECONDS: Final = 1_000_000_000


class Data(NamedTuple):
    """Bytes that follow each other without a gap, beginning at ``offset`` of their direction."""

    direction: int
    offset: int
    data: bytes


class Gap(NamedTuple):
    """Bytes the capture lacks.

    Below TLS the length is exact and ``most == length``. Above it only bounds are known (headers, MAC and padding of
    the lost records are unknown): ``length`` is the least, ``most`` the greatest. What follows begins at
    ``offset + length``.
    """

    direction: int
    offset: int
    length: int
    most: int


class End(NamedTuple):
    """The end of one direction. It comes at most once per direction, and after all Data and Gap of that direction.

    ``cause``: fin, rst (sent by this direction's sender), reset-by-peer (the other side's RST ended it),
    close-notify (TLS said so), capture-end (nothing ended it but the capture).
    """

    direction: int
    offset: int
    cause: str


class Position(NamedTuple):
    """Where and when a byte of a stream was captured.

    ``stamp`` grows with the causal order inside one connection; ``frame`` is 1-based over the merged captures;
    ``time_ns`` is nanoseconds since 1970 UTC; ``acked`` is the offset of the other direction that this byte's segment
    acknowledged, i.e. what its sender had received (None: no ACK flag).
    """

    stamp: int
    frame: int
    time_ns: int
    acked: int | None


class Endpoint(NamedTuple):
    """An address and a port. The address is in canonical text form (RFC 5952 for IPv6)."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


class Anomaly(NamedTuple):
    """Something a peer did that its protocol forbids, or that the capture hides.

    ``code`` is stable, ``detail`` is a sentence for people. Direction and offset lead to frame and time.
    """

    code: str
    direction: int
    offset: int
    detail: str
