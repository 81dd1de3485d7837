"""What a TLS session yields besides plaintext: facts, and type and size of the records it could not decrypt."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from easpcap.stream import Anomaly, Data, End, Gap

if TYPE_CHECKING:
    from easpcap.facts import TlsOccurrence


class Seen(NamedTuple):
    """A fact of the TLS layer, and where it happened.

    ``offset`` and ``end`` are the TCP stream offsets of the record or records that hold it. ``plain_offset`` counts the
    application bytes of its direction before it.
    """

    what: TlsOccurrence
    direction: int
    offset: int
    end: int
    plain_offset: int
    encrypted: bool

    @property
    def kind(self) -> str:
        """The stable name of the fact, such as "client-hello"."""
        return self.what.kind


class Records(NamedTuple):
    """Consecutive records of one type that could not be decrypted.

    ``offset`` and ``end`` are TCP stream offsets; ``bytes`` sums the fragments, without headers.
    """

    content_type: int
    direction: int
    offset: int
    end: int
    count: int  # type: ignore[assignment]  # hides tuple.count, which is never called on these
    bytes: int
    last_fragment_size: int
    version: int


TlsEvent = Data | Gap | End | Seen | Records | Anomaly


class Place(NamedTuple):
    """The place of a handshake message, an alert or a ChangeCipherSpec; the fields are those of Seen."""

    direction: int
    offset: int
    end: int
    plain_offset: int
    encrypted: bool

    def seen(self, what: TlsOccurrence) -> Seen:
        """The fact that ``what`` happened here."""
        return Seen(what, *self)

    def anomaly(self, code: str, detail: str) -> Anomaly:
        """An anomaly here."""
        return Anomaly(code, self.direction, self.offset, detail)
