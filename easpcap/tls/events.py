"""What a TLS session yields beside plaintext: facts seen in the handshake layer, and the outline of opaque records."""

from __future__ import annotations

from typing import Any, NamedTuple

from easpcap.stream import Anomaly, Data, End, Gap


class Seen(NamedTuple):
    """A fact of the TLS layer, and where it stood.

    ``kind``: client-hello, server-hello, certificate, certificate-request, client-certificate, client-key-exchange,
    change-cipher-spec, handshake-done, hello-request, alert, close-notify. ``offset`` and ``end``: the TCP stream
    offsets of the record or records that hold it. ``plain_offset``: application bytes of its own direction before it.
    ``data`` always has "encrypted"; the rest depends on the kind.
    """

    kind: str
    direction: int
    offset: int
    end: int
    plain_offset: int
    detail: str
    data: dict[str, Any]


class Records(NamedTuple):
    """Consecutive records of one type that could not be opened: all that an opaque connection shows.

    ``offset`` and ``end`` are TCP stream offsets; ``bytes`` sums the fragments, without headers.
    """

    content_type: int
    direction: int
    offset: int
    end: int
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody asks of these
    bytes: int
    last_fragment_size: int
    version: int


TlsEvent = Data | Gap | End | Seen | Records | Anomaly


class Place(NamedTuple):
    """Where a handshake message, an alert or a ChangeCipherSpec stood; the fields are those of Seen."""

    direction: int
    offset: int
    end: int
    plain_offset: int
    encrypted: bool

    def seen(self, kind: str, detail: str, data: dict[str, Any] | None = None) -> Seen:
        """The fact that ``kind`` happened here."""
        direction, offset, end, plain_offset, encrypted = self
        known = {"encrypted": encrypted, **data} if data else {"encrypted": encrypted}
        return Seen(kind, direction, offset, end, plain_offset, detail, known)

    def anomaly(self, code: str, detail: str) -> Anomaly:
        """Something odd that happened here."""
        return Anomaly(code, self.direction, self.offset, detail)
