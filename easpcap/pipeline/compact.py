"""ExchangeCompactor: reduces a final exchange to the parts that are read later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.limits import MAX_SHARED_HEADERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easpcap.http.exchange import Exchange

Headers = tuple[tuple[str, str], ...]

#: Header fields that diagnosis, activesync or a report reads; the others would cost a kilobyte for each exchange.
KEPT_HEADERS = frozenset(
    {
        "authorization",
        "connection",
        "expect",
        "host",
        "ms-asprotocolversion",
        "server",
        "user-agent",
        "via",
        "www-authenticate",
        "x-ms-policykey",
    }
)


class ExchangeCompactor:
    """Removes the header fields that nothing reads, and keeps one copy of equal header lists and request targets.

    Devices repeat themselves: the exchanges of a large capture share a few hundred header lists and targets. When more
    than ``limit`` different values have been seen, the compactor forgets them and starts to collect again.
    """

    __slots__ = ("_headers", "_limit", "_targets")

    def __init__(self, limit: int = MAX_SHARED_HEADERS) -> None:
        self._limit = limit
        self._headers: dict[Headers, Headers] = {}
        self._targets: dict[str, str] = {}

    @property
    def shared(self) -> int:
        """The number of header lists and targets that are shared at present."""
        return len(self._headers) + len(self._targets)

    def compact(self, exchange: Exchange) -> None:
        """Reduce an exchange, in place, to the parts that are read later."""
        request, response = exchange.request, exchange.response
        if request is not None:
            request.headers = self._shared_headers(request.headers)
            request.target = self._targets.setdefault(request.target, request.target)
            if len(self._targets) > self._limit:
                self._targets.clear()
        if response is not None:
            response.headers = self._shared_headers(response.headers)

    def _shared_headers(self, headers: Sequence[tuple[str, str]]) -> Headers:
        kept = tuple([field for field in headers if field[0] in KEPT_HEADERS])
        shared = self._headers.setdefault(kept, kept)
        if len(self._headers) > self._limit:
            self._headers.clear()
        return shared
