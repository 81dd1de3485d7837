"""Sessions seen so far: connections that resume them are decrypted, or get the reason why they cannot be."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from easpcap.limits import MAX_TLS_SESSIONS

if TYPE_CHECKING:
    from collections.abc import Hashable

    from easpcap.tls.handshake.verdict import Reason


class Origin(NamedTuple):
    """Where a resumed session began: its master secret and the key that gave it, or the reason why it is not known."""

    master: bytes | None
    source: int | None
    reason: Reason | None

    def __repr__(self) -> str:
        return f"Origin(known={self.master is not None}, reason={self.reason!r})"


class SessionCache:
    """Origins by server and session id, and by ticket; the least recently used one is dropped first."""

    def __init__(self, limit: int = MAX_TLS_SESSIONS) -> None:
        self._limit = limit
        self._origins: OrderedDict[Hashable, Origin] = OrderedDict()

    def __len__(self) -> int:
        return len(self._origins)

    def store_id(self, server: Hashable, session_id: bytes, origin: Origin) -> None:
        """Store a session under the id that ``server`` gave it."""
        if session_id:
            self._store((server, session_id), origin)

    def store_ticket(self, ticket: bytes, origin: Origin) -> None:
        """Store a session under the ticket that a server issued for it."""
        if ticket:
            self._store(_digest(ticket), origin)

    def by_id(self, server: Hashable, session_id: bytes) -> Origin | None:
        """The session with this id; None if its first handshake was not seen."""
        return self._find((server, session_id)) if session_id else None

    def by_ticket(self, ticket: bytes) -> Origin | None:
        """The session of this ticket; None if its first handshake was not seen."""
        return self._find(_digest(ticket)) if ticket else None

    def merge(self, other: SessionCache) -> None:
        """Add the sessions of another cache."""
        for key, origin in other._origins.items():
            self._store(key, origin)

    def _store(self, key: Hashable, origin: Origin) -> None:
        known = self._origins.get(key)
        if known is None or known.master is None or origin.master is not None:
            self._origins[key] = origin
        self._origins.move_to_end(key)
        if len(self._origins) > self._limit:
            self._origins.popitem(last=False)

    def _find(self, key: Hashable) -> Origin | None:
        origin = self._origins.get(key)
        if origin is not None:
            self._origins.move_to_end(key)
        return origin


def _digest(ticket: bytes) -> bytes:
    """A short key for a ticket, which may be long: it can hold certificate chains."""
    return blake2b(ticket, digest_size=16).digest()
