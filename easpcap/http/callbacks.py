"""What the reading of messages calls: where bytes were captured, and who receives the messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from easpcap.http.exchange import Message
    from easpcap.stream import Position


class Locate(Protocol):
    """Where a plaintext byte was captured: the first byte of what brought it, or with ``last`` its last byte."""

    def __call__(self, direction: int, offset: int, last: bool = False, /) -> Position:
        """Position of the byte at ``offset``, which has been delivered."""


class MessageListener(Protocol):
    """Receives what a MessageReader finds; HttpConversation does."""

    def message_begins(self, direction: int, head: bytes, offset: int, whole: bool) -> Message:
        """A head was read. After an unfinished one (not ``whole``) the message is lost, or its direction ends."""

    def message_ended(self, direction: int, message: Message) -> None:
        """The last byte of the message has passed, or lies in a gap whose end is known."""

    def message_lost(self, direction: int, message: Message) -> None:
        """The rest of the message cannot be found: bytes are missing, or its framing is broken."""

    def gap_between_messages(self, direction: int) -> None:
        """Bytes are missing where a message may have begun."""

    def not_a_message(self, direction: int, data: bytes) -> None:
        """``data`` and what follows it do not begin a message."""

    def note(self, code: str, direction: int, offset: int, detail: str) -> None:
        """Report an anomaly at ``offset``."""
