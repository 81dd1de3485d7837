"""MessageReader: finds heads and the ends of bodies in one direction of a connection, without copying bodies.

Its state says what comes next in the stream:

    LOST         anything; a message begins only where a Data event begins with a head. Also the state before the
                 first byte, because the capture may have begun in the middle of the connection.
    HEAD         a head, or blank lines before it (RFC 9112 section 2.2)
    BODY         ``remaining`` bytes of a body: a Content-Length, or FOREVER until the connection closes
    CHUNK_SIZE   the line with a chunk's size (RFC 9112 section 7.1)
    CHUNK_DATA   ``remaining`` bytes of a chunk
    CHUNK_END    the line end after a chunk
    TRAILER      trailer fields, to the blank line
    NOT_HTTP     bytes that are not HTTP/1.x: a tunnel, an upgraded protocol; or nothing, after the direction has ended

    LOST -> HEAD -> BODY -> HEAD, or HEAD -> CHUNK_SIZE -> CHUNK_DATA -> CHUNK_END -> CHUNK_SIZE ... TRAILER -> HEAD.
    A gap that hides where something ends, and bytes that break the framing, lead back to LOST.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from easpcap.errors import DecodeError
from easpcap.http.body import BodyEnd
from easpcap.http.framing import parse_chunk_size, skip_chunks
from easpcap.http.head_collector import COMPLETE, NO_HEAD, TOO_LARGE, HeadCollector
from easpcap.limits import MAX_HTTP_CHUNK_LINE, MAX_HTTP_HEAD

if TYPE_CHECKING:
    from collections.abc import Callable

    from easpcap.http.body import BodySink
    from easpcap.http.callbacks import Locate, MessageListener
    from easpcap.http.exchange import Message

LOST, HEAD, BODY, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER, NOT_HTTP = range(8)

#: More bytes than any connection carries.
FOREVER: Final = 2**62

_LINE_END: Final = b"\r\n"


class MessageReader:
    """Reads the Data and Gaps of one direction.

    The next ``remaining`` bytes need no look while ``uncertain_bytes`` is 0: the caller may skip them by lowering
    ``remaining`` and raising ``next_offset``. ``count_body`` then adds the skipped bytes to the message. Where a
    ``sink`` reads the body, the caller gives them to ``write_body``.

    Args:
        direction: which one.
        starts: whether a head begins at a place in some bytes; None while too few bytes are there.
        likely: whether the bytes of an unfinished head are worth reporting.
        locate: where a byte was captured; called at the ends of messages.
        listener: receives the messages.
    """

    __slots__ = (
        "_counted_to", "_direction", "_head", "_head_expected", "_line", "_listener", "_locate", "_state",
        "_stop_after_message", "_trailer_bytes", "message", "message_may_be_lost", "next_offset", "remaining", "sink",
        "uncertain_bytes",
    )  # fmt: skip

    def __init__(
        self,
        direction: int,
        starts: Callable[[bytes | bytearray, int], bool | None],
        likely: Callable[[bytes], bool],
        locate: Locate,
        listener: MessageListener,
    ) -> None:
        self.remaining = 0
        self.uncertain_bytes = 0  # how many of the remaining bytes may lie in a gap above TLS, whose length is unknown
        self.next_offset = 0  # stream offset after the last byte that was read
        self.message: Message | None = None  # the one whose body passes
        self.message_may_be_lost = False  # in a gap, or among bytes that are no message, since the last one began
        self.sink: BodySink | None = None  # reads the body that passes; set by the listener when a message begins
        self._direction = direction
        self._locate = locate
        self._listener = listener
        self._head = HeadCollector(starts, likely)
        self._state = LOST
        self._head_expected = False  # only a head can come next
        self._line = bytearray()  # an unfinished line of the chunked coding
        self._counted_to = 0  # ``remaining`` when the message's body_bytes were last brought up to date
        self._trailer_bytes = 0
        self._stop_after_message = False  # what follows the message that passes is not HTTP/1.x

    # ------------------------------------------------------------------ what comes in

    def feed(self, offset: int, data: bytes) -> None:
        """Read the bytes at ``offset``."""
        if self.uncertain_bytes and self._head.begins(data):
            self._end_in_gap(offset)
        position, size, steps = 0, len(data), self._STEPS
        try:
            while position < size:
                position = steps[self._state](self, data, position, offset)
        except DecodeError as error:
            self._listener.note("http-bad-chunk", self._direction, self.next_offset, str(error))
            self._lose()
        self.next_offset = offset + size

    def gap(self, offset: int, length: int, most: int) -> None:
        """Between ``length`` and ``most`` bytes are missing at ``offset``."""
        if self._state == NOT_HTTP:
            return
        self._finish_sink(BodyEnd.DAMAGED)
        message = self.message
        skips = self._state == BODY or (self._state == CHUNK_DATA and length == most)
        if message is None or not skips or length > self.remaining:
            self._gap_at_boundary(offset, length)
            return
        self.count_body()
        if message.framing == "until-close":  # no end that could move
            message.missing += length or 1  # something was lost, even if its least length is nothing
        else:
            message.missing += length
            self.remaining -= length
            self._counted_to = self.remaining
            self.uncertain_bytes += most - length
        if not self.remaining:
            self._end_of_bytes(offset + length)
            if most > length and self._state == HEAD:  # the gap may hold the beginning of the next message
                self._miss_message()

    def close(self, *, clean: bool) -> None:
        """This direction has ended; ``clean``: its sender said so, which completes a body without a length."""
        message = self.message
        if message is None:
            self._report_unfinished_head()
        else:
            self._end_in_gap(self.next_offset)
            if self.message is not None and clean and message.framing == "until-close":
                self._finish(message, self.next_offset)
            elif self.message is not None:
                self._finish_sink(BodyEnd.CUT)
                self._note_progress(message)
        self.message = None
        self.stop()

    def stop(self) -> None:
        """What follows is not HTTP/1.x; a message that passes is still read to its end."""
        if self.message is not None:
            self._stop_after_message = True
            return
        self._state = NOT_HTTP
        self.remaining = FOREVER
        self.uncertain_bytes = 0
        self._head.clear()

    def write_body(self, data: bytes) -> None:
        """Give bytes of the passing body to its sink."""
        if self.sink is not None and not self.sink.write(data):
            self.sink = None

    # ------------------------------------------------------------------ what is asked

    @property
    def head_offset(self) -> int:
        """Stream offset of the present head's first byte, or of the last one's."""
        return self._head.offset

    @property
    def has_unfinished_head(self) -> bool:
        """Whether there is an unfinished head that would be reported."""
        return self._head.is_reportable(self._head_expected)

    def count_body(self) -> None:
        """Bring body_bytes of the passing message up to date."""
        if self.message is not None:
            self.message.body_bytes += self._counted_to - self.remaining
            self._counted_to = self.remaining

    def keep_from(self) -> int:
        """The smallest offset whose position may still be asked for."""
        return self._head.offset if self._head.begun else max(self.next_offset - 1, 0)

    def expect_next_message(self) -> None:
        """The peer's next message shows that it has received the whole last message of this direction."""
        self._end_in_gap(self.next_offset)
        if self.message is None:
            self.message_may_be_lost = False

    # ------------------------------------------------------------------ heads

    def _read_when_lost(self, data: bytes, position: int, base: int) -> int:
        """LOST: look for a head, but only where a Data event begins."""
        return len(data) if position and not self._head.begun else self._read_head(data, position, base)

    def _read_head(self, data: bytes, position: int, base: int) -> int:
        """HEAD."""
        found, head, position = self._head.read(data, position, base)
        self.next_offset = base + position
        if found == COMPLETE:
            self._begin_message(head)
        elif found == NO_HEAD:
            self._skip_unknown(head)
        elif found == TOO_LARGE:
            detail = f"over {MAX_HTTP_HEAD:,} bytes"
            self._listener.note("http-head-too-large", self._direction, self._head.offset, detail)
            self._report_unfinished_head()
            self._lose()
        return position

    def _begin_message(self, head: bytes) -> None:
        """A whole head was read; its framing says what follows."""
        self.message_may_be_lost = False
        self._state = HEAD
        message = self.message = self._listener.message_begins(self._direction, head, self._head.offset, True)
        framing, length = message.framing, message.content_length
        if framing == "length" and length:
            self._state = BODY
            self.remaining = self._counted_to = length
        elif framing == "chunked":
            self._state = CHUNK_SIZE
        elif framing == "until-close":
            self._state = BODY
            self.remaining = self._counted_to = FOREVER
        else:
            self._finish(message, self.next_offset)

    def _skip_unknown(self, data: bytes) -> None:
        """The bytes up to ``next_offset`` are no message; ``data`` are the first of them."""
        expected, self._head_expected = self._head_expected, False
        self.message_may_be_lost = True
        self._state = LOST
        if expected:
            detail = "the bytes here are neither a message nor the end"
            self._listener.note("http-not-a-message", self._direction, self._head.offset, detail)
        else:
            self._listener.not_a_message(self._direction, data)

    def _report_unfinished_head(self) -> None:
        """Report what there is of a head whose end is not in the capture, if that is enough."""
        head, offset = self._head.take_unfinished(self._head_expected), self._head.offset
        if head:
            message = self._listener.message_begins(self._direction, head, offset, False)
            message.last = self._locate(self._direction, offset + len(head) - 1, True)
            self.message = message

    # ------------------------------------------------------------------ bodies

    def _read_body(self, data: bytes, position: int, base: int) -> int:
        """BODY and CHUNK_DATA."""
        size, end = len(data), position + self.remaining
        if self.sink is not None:
            self.write_body(data[position:end])
        if size < end:
            self.remaining = end - size
            return size
        self.remaining = 0
        self.next_offset = base + end
        self._end_of_bytes(self.next_offset)
        return end

    def _end_of_bytes(self, end: int) -> None:
        """A body, or a chunk of it, has passed."""
        if self._state == CHUNK_DATA:
            self.count_body()
            self._state = CHUNK_END
        elif self.message is not None:
            self._finish(self.message, end)

    def _read_chunk_size(self, data: bytes, position: int, base: int) -> int:
        message = self.message
        if message is not None and self.sink is None and not self._line:
            position, passed, ended = skip_chunks(data, position)
            message.body_bytes += passed
            if ended:
                self.next_offset = base + position
                self._finish(message, self.next_offset)
            if ended or position == len(data):
                return position
        line, position = self._read_line(data, position, base)
        if line is not None:
            self.remaining = self._counted_to = parse_chunk_size(line)
            self._state = CHUNK_DATA
            if not self.remaining:
                self._state = TRAILER
                self._trailer_bytes = 0
                self._finish_sink(BodyEnd.WHOLE)  # whatever becomes of the trailer
        return position

    def _read_chunk_end(self, data: bytes, position: int, base: int) -> int:
        line, position = self._read_line(data, position, base)
        if line is not None:
            if line.strip():
                raise DecodeError("a chunk is longer than its size says")
            self._state = CHUNK_SIZE
        return position

    def _read_trailer(self, data: bytes, position: int, base: int) -> int:
        line, position = self._read_line(data, position, base)
        if line is not None:
            self._trailer_bytes += len(line)
            if self._trailer_bytes > MAX_HTTP_HEAD:
                raise DecodeError("the trailer is larger than any head")
            if not line.strip(_LINE_END) and self.message is not None:
                self._finish(self.message, self.next_offset)
        return position

    def _read_line(self, data: bytes, position: int, base: int) -> tuple[bytes | bytearray | None, int]:
        """The line that begins or goes on at ``position``, None while its end is not here; and where to read on."""
        line = self._line
        end = data.find(b"\n", position) + 1
        piece = data[position : end or None]
        self.next_offset = base + position + len(piece)
        if len(line) + len(piece) > MAX_HTTP_CHUNK_LINE:
            raise DecodeError("a line of the chunked coding does not end")
        if not end:
            line += piece
            return None, len(data)
        if line:
            piece = bytes(line) + piece
            line.clear()
        return piece, end

    # ------------------------------------------------------------------ ends

    def _end_in_gap(self, end: int) -> None:
        """End the passing message at ``end``, if what remains of it may have been in a gap."""
        if self.message is not None and self.uncertain_bytes and self.remaining <= self.uncertain_bytes:
            self._finish(self.message, end)

    def _finish(self, message: Message, end: int) -> None:
        """The passing message ends at ``end``."""
        if self.sink is not None:
            self._finish_sink(BodyEnd.WHOLE)
        message.body_bytes += self._counted_to - self.remaining
        if self.remaining and message.framing == "length":
            message.missing += self.remaining  # where the end lies in a gap
        message.end_offset = end
        message.last = self._locate(self._direction, self.next_offset - 1, True)
        self.message = None
        self.remaining = self._counted_to = self.uncertain_bytes = 0
        self._state = HEAD
        self._head_expected = True
        if self._stop_after_message:
            self.stop()
        self._listener.message_ended(self._direction, message)

    def _gap_at_boundary(self, offset: int, length: int) -> None:
        """A gap that is not inside a body: its length does not say what it hides."""
        message = self.message
        if message is not None and self._state == BODY:  # its end lies in the gap
            length -= self.remaining
            self._finish(message, offset + self.remaining)
        elif message is None:
            self._report_unfinished_head()
        if self.message is not None:
            self.message.missing += length
            self._lose()
        elif self._state != NOT_HTTP:
            self._miss_message()

    def _miss_message(self) -> None:
        """A gap may hold the beginning of a message."""
        self._state = LOST
        self._head_expected = False
        self.message_may_be_lost = True
        self._listener.gap_between_messages(self._direction)

    def _lose(self) -> None:
        """The framing is lost; only the beginning of another message helps."""
        message = self.message
        self._head.clear()
        self._line.clear()
        self._head_expected = False
        self.message_may_be_lost = True
        self._state = LOST
        if message is not None:
            self._finish_sink(BodyEnd.DAMAGED)
            self._note_progress(message)
            self.message = None
            self.remaining = self._counted_to = self.uncertain_bytes = 0
            if self._stop_after_message:
                self.stop()
            self._listener.message_lost(self._direction, message)

    def _finish_sink(self, end: BodyEnd) -> None:
        """The sink of the passing body gets no more bytes."""
        if self.sink is not None:
            sink, self.sink = self.sink, None
            sink.finish(end)

    def _note_progress(self, message: Message) -> None:
        """Bring the passing message's numbers up to date with the last byte that was read."""
        self.count_body()
        message.last = self._locate(self._direction, self.next_offset - 1, True)

    def _ignore(self, data: bytes, position: int, base: int) -> int:  # noqa: ARG002  # one signature for all steps
        return len(data)

    #: What reads the next bytes in each state, by its number.
    _STEPS: ClassVar = (
        _read_when_lost, _read_head, _read_body, _read_chunk_size, _read_body, _read_chunk_end, _read_trailer, _ignore,
    )  # fmt: skip
