"""One direction of a TLS session: its records, its handshake messages, and how it is read at present."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from easpcap.tls.codepoints import ALERT, APPLICATION_DATA, HANDSHAKE
from easpcap.tls.record.joiner import MessageJoiner
from easpcap.tls.record.reader import Lost, RecordReader
from easpcap.tls.record.records import plain_message_begins

if TYPE_CHECKING:
    from easpcap.tls.events import TlsEvent
    from easpcap.tls.protection.record_protection import Protection
    from easpcap.tls.record.records import Record
    from easpcap.tls.session.epoch_keys import EpochKeys


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
