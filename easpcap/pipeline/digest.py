"""Digest: the size and hash of the application data of each direction."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from easpcap.stream import TO_CLIENT, TO_SERVER

if TYPE_CHECKING:
    from easpcap.stream import Data


class Digest:
    """Counts and hashes (SHA-256) the application data of a connection; gaps are left out."""

    __slots__ = ("_hashes", "_sizes")

    def __init__(self) -> None:
        self._hashes = (hashlib.sha256(), hashlib.sha256())
        self._sizes = [0, 0]

    def add(self, data: Data) -> None:
        """Add the next bytes of a direction."""
        self._hashes[data.direction].update(data.data)
        self._sizes[data.direction] += len(data.data)

    def result(self) -> tuple[tuple[int, str], tuple[int, str]]:
        """(bytes, SHA-256 in hex) to the server and to the client."""
        to_server, to_client = (each.hexdigest() for each in self._hashes)
        return (self._sizes[TO_SERVER], to_server), (self._sizes[TO_CLIENT], to_client)
