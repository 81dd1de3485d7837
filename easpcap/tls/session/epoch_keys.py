"""What the record loop asks of the keys: how a record is opened, and what a message means for the records after it.

Up to TLS 1.2 a direction changes its keys at a ChangeCipherSpec, and several secrets may have to be tried. In TLS 1.3
every record says that it is application data, and messages inside end the epoch. The loop is the same for both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easpcap.tls.events import Place
    from easpcap.tls.protection.record_protection import Protection
    from easpcap.tls.record.joiner import Message
    from easpcap.tls.record.reader import Lost
    from easpcap.tls.record.records import Record
    from easpcap.tls.session.direction import Direction


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
