"""Joins the fragments of handshake records into handshake messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from easpcap.errors import DecodeError
from easpcap.limits import MAX_HANDSHAKE_MESSAGE
from easpcap.tls.codepoints import MESSAGE_HEADER_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator


class Message(NamedTuple):
    """One handshake message.

    ``raw`` includes the message header. ``start`` and ``end`` are the TCP stream offsets at which the first record that
    holds a part of it begins and the last one ends.
    """

    message_type: int
    raw: bytes
    start: int
    end: int

    @property
    def body(self) -> bytes:
        """The message without its header."""
        return self.raw[MESSAGE_HEADER_SIZE:]


class MessageJoiner:
    """Turns the handshake records of one direction into messages.

    A record may hold several messages, and a message may span several records (RFC 5246 section 6.2.1).
    """

    __slots__ = ("_buffer", "_needed", "_start")

    def __init__(self) -> None:
        self._buffer = bytearray()  # the beginning of an unfinished message
        self._needed = 0  # the size of that message, or of its header where that is incomplete
        self._start = 0  # TCP stream offset of the record in which it begins

    def __len__(self) -> int:
        """Bytes held of an unfinished message."""
        return len(self._buffer)

    def feed(self, fragment: bytes, start: int, end: int) -> Iterator[Message]:
        """Yield the messages that this fragment completes. ``start`` and ``end``: its record in the TCP stream.

        Raises DecodeError for a message longer than MAX_HANDSHAKE_MESSAGE.
        """
        data, buffer, begin = fragment, self._buffer, start
        if buffer:
            buffer += fragment
            if len(buffer) < self._needed:
                return
            data, begin = bytes(buffer), self._start
            buffer.clear()
        at, size = 0, len(data)
        needed = MESSAGE_HEADER_SIZE
        while at + MESSAGE_HEADER_SIZE <= size:
            needed = MESSAGE_HEADER_SIZE + int.from_bytes(data[at + 1 : at + MESSAGE_HEADER_SIZE], "big")
            if needed > MAX_HANDSHAKE_MESSAGE:
                msg = f"a handshake message of {needed} bytes"
                raise DecodeError(msg)
            if at + needed > size:
                break
            yield Message(data[at], data[at : at + needed], begin, end)
            at += needed
            begin, needed = start, MESSAGE_HEADER_SIZE
        if at < size:
            buffer += data[at:]
            self._start, self._needed = begin, needed

    def clear(self) -> int:
        """Drop an unfinished message. Returns how many bytes of it were held."""
        size = len(self._buffer)
        self._buffer.clear()
        return size
