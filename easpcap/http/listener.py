"""What a MessageReader needs of its surroundings: places of bytes, and somebody to tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from easpcap.http.exchange import Message
    from easpcap.stream import Position


class Locate(Protocol):
    """Where a plaintext byte was captured: the first byte of what brought it, or with ``last`` its last byte."""

    def __call__(self, direction: int, offset: int, last: bool = False, /) -> Position:
        """Position of the byte at ``offset``, which has been delivered."""


class Listener(Protocol):
    """Who is told of messages; the conversation."""

    def begin(self, direction: int, head: bytes, offset: int, whole: bool) -> Message:
        """A head was read; an unfinished one (not ``whole``) is followed by cut() or by the direction's end."""

    def end(self, direction: int, message: Message) -> None:
        """The message has come to its end."""

    def cut(self, direction: int, message: Message) -> None:
        """How the message goes on cannot be known: bytes are missing, or its framing is broken."""

    def gap_at_boundary(self, direction: int) -> None:
        """Bytes are missing where a message may have begun."""

    def garbage(self, direction: int, data: bytes) -> None:
        """``data`` and what follows it are not the beginning of a message."""

    def note(self, code: str, direction: int, offset: int, detail: str) -> None:
        """Something odd."""
