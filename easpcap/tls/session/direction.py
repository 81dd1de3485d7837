"""One direction of a TLS session, and what it asks of its keys.

The keys decide how a record is opened, and what a message means for the records after it. Up to TLS 1.2 a direction
changes its keys at a ChangeCipherSpec, and several secrets may have to be tried. In TLS 1.3 every record says that it
is application data, and messages inside end the epoch. The record loop (session.py) is the same for both.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple, Protocol

from easpcap.tls.codepoints import ALERT, APPLICATION_DATA, HANDSHAKE
from easpcap.tls.record.joiner import MessageJoiner
from easpcap.tls.record.reader import Lost, RecordReader
from easpcap.tls.record.records import plain_message_begins

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easpcap.tls.events import Place, TlsEvent
    from easpcap.tls.protection.record_protection import Protection
    from easpcap.tls.record.joiner import Message
    from easpcap.tls.record.records import Record


class Content(NamedTuple):
    """What a record holds: its true content type, the bytes, and whether they were encrypted."""

    content_type: int
    data: bytes
    encrypted: bool


class EpochKeys(Protocol):
    """The keys of both directions, from epoch to epoch."""

    def open(self, reader: Direction, record: Record) -> Content | None:
        """Open one record that is not part of a run of application data.

        None where the record holds nothing for the session to handle; what is to be reported of it was reported.
        """

    def end_of_run(self, reader: Direction, record: Record) -> Content | None:
        """A record ended a run because it did not open as application data. Returns what else it holds.

        None where it holds nothing, or has to be read again by ``open``: then ``reader.lost`` is None. Of ``record``
        only the place is known.
        """

    def take_message(self, reader: Direction, message: Message, place: Place) -> None:
        """Handle one handshake message: yield its facts, and change keys where it says so."""

    def change_cipher_spec(self, reader: Direction, place: Place) -> None:
        """Handle a ChangeCipherSpec."""

    def openers(self, reader: Direction, record: Record) -> Sequence[Protection] | None:
        """What may open a record that was found after lost bytes; empty where this cannot be a record.

        None where nothing could prove a record: then its header has to be believed.
        """

    def reopened(self, reader: Direction, lost: Lost, record: Record, opened: tuple[int, bytes]) -> Content | None:
        """One of the openers opened the record after lost bytes: report how much is missing, return what it holds.

        ``opened``: the number of the opener, and the plaintext.
        """


class Mode(Enum):
    """How the records of a direction are read at present."""

    CLEAR = auto()  # epoch 0: nothing is encrypted yet
    UNPROVEN = auto()  # after ChangeCipherSpec: the first record shows which secret is the right one
    PROTECTED = auto()  # encrypted, and opened
    OPAQUE = auto()  # encrypted, and only the outline of the records can be seen
    SSL2 = auto()  # SSL 2.0, which has no such records


class Direction(RecordReader):
    """The records of one direction, and the keys they are read with.

    ``keys`` decide how records are opened. ``protection`` opens runs of application data; None where each record has to
    be looked at by itself.
    """

    __slots__ = ("closed", "ever_opened", "joiner", "keys", "mode", "opaque_bytes", "protection")

    def __init__(self, direction: int, events: list[TlsEvent], base: int, keys: EpochKeys) -> None:
        super().__init__(direction, events, base)
        self.keys = keys
        self.mode = Mode.CLEAR
        self.protection: Protection | None = None
        self.joiner = MessageJoiner()
        self.closed = False  # close_notify was read, or the stream has ended
        self.ever_opened = False  # some record was opened, or could have been
        self.opaque_bytes = 0  # bytes of application data records that were not opened

    def open_with(self, protection: Protection) -> None:
        """Read on with keys that have proved right."""
        self.mode = Mode.PROTECTED
        self.protection = protection
        self.ever_opened = True

    def leave_epoch(self, mode: Mode) -> None:
        """The present keys are no longer in use."""
        self.mode = mode
        self.protection = None

    def is_in_clear(self, record: Record) -> bool:
        """Whether a record of epoch 0 is in the clear. It is not where the ChangeCipherSpec before it was missed."""
        if record.content_type == HANDSHAKE:
            return plain_message_begins(record.fragment) or len(self.joiner) > 0
        if record.content_type == ALERT:
            return len(record.fragment) == 2
        return record.content_type != APPLICATION_DATA

    def lose(self, end: int) -> None:
        """The bytes from the last whole record to the TCP stream offset ``end`` are missing: search the next record."""
        sequence = self.protection.sequence if self.protection else 0
        self.search_from(end, Lost(self.offset, sequence, self.offset))

    def skip_bad_header(self) -> None:
        """The next bytes cannot be a record header: search one after them."""
        if self.lost is None:
            self.lose(self.offset)
