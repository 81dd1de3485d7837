"""MessageReader: finds heads and the ends of bodies in one direction of a connection, without copying bodies.

The state says what stands next in the stream:

    LOST         anything; a message begins only where a Data event begins with the beginning of a head. Also the
                 state before the first byte: the capture may have begun in mid-connection.
    HEAD         a head, or blank lines before it (RFC 9112 section 2.2)
    BODY         ``remaining`` bytes of a body: a Content-Length, or FOREVER until the connection closes
    CHUNK_SIZE   the line with a chunk's size (RFC 9112 section 7.1)
    CHUNK_DATA   ``remaining`` bytes of a chunk
    CHUNK_END    the line end behind a chunk
    TRAILER      trailer fields, to the blank line
    PASSING      bytes that are no HTTP/1.x any more: a tunnel, an upgraded protocol, a direction that has ended

    LOST -> HEAD -> BODY -> HEAD, or HEAD -> CHUNK_SIZE -> CHUNK_DATA -> CHUNK_END -> CHUNK_SIZE ... TRAILER -> HEAD;
    a gap that hides where something ends, and bytes that break the framing, lead back to LOST.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from easpcap.errors import DecodeError
from easpcap.http.framing import parse_chunk_size, skip_chunks
from easpcap.http.head import head_end
from easpcap.limits import MAX_HTTP_CHUNK_LINE, MAX_HTTP_HEAD

if TYPE_CHECKING:
    from collections.abc import Callable

    from easpcap.http.exchange import Message
    from easpcap.http.listener import Listener, Locate

LOST, HEAD, BODY, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER, PASSING = range(8)

#: More bytes than any connection carries.
FOREVER: Final = 2**62

_BLANK: Final = b"\r\n"
_LOOKED_AT: Final = 32  # bytes of what begins no message


class MessageReader:
    """Reads the Data and Gaps of one direction.

    ``starts`` tells the beginning of a head (None: not yet), ``likely`` whether an unfinished one is worth reporting.

    ``remaining`` bytes may pass without being looked at while ``uncertain_bytes`` is 0, so that the caller skips long
    bodies by arithmetic: ``remaining`` falls, ``seen`` grows. ``settle`` carries what passed over into the message.
    """

    __slots__ = (
        "_buffer", "_counted", "_direction", "_expected", "_likely", "_listener", "_locate", "_scanned", "_starts",
        "_state", "_sure", "_then_pass", "head_offset", "in_doubt", "message", "remaining", "seen", "uncertain_bytes",
    )  # fmt: skip

    def __init__(
        self,
        direction: int,
        starts: Callable[[bytes | bytearray, int], bool | None],
        likely: Callable[[bytes], bool],
        locate: Locate,
        listener: Listener,
    ) -> None:
        self.remaining = 0
        self.uncertain_bytes = 0  # how many of the remaining bytes a gap above TLS may have taken already
        self.seen = 0  # offset behind the last byte that was seen
        self.message: Message | None = None  # the one whose body passes
        self.head_offset = 0  # where the head that is being gathered began
        self.in_doubt = False  # a gap or garbage may have hidden a message since the last one began
        self._direction = direction
        self._starts = starts
        self._likely = likely
        self._locate = locate
        self._listener = listener
        self._state = LOST
        self._buffer = bytearray()  # an unfinished head, chunk size or trailer line
        self._sure = False  # the buffered bytes are a head's
        self._expected = False  # a head has to begin here
        self._counted = 0  # ``remaining`` when the message's body_bytes were last brought up to date
        self._scanned = 0  # bytes of a trailer
        self._then_pass = False  # no message follows the one that is passing

    # ------------------------------------------------------------------ what comes in

    def feed(self, offset: int, data: bytes) -> None:
        """Read the bytes at ``offset``."""
        if self.uncertain_bytes and self._starts(data, 0):
            self._end_in_gap(offset)
        position, size, steps = 0, len(data), self._STEPS
        try:
            while position < size:
                position = steps[self._state](self, data, position, offset)
        except DecodeError as error:
            self._listener.note("http-bad-chunk", self._direction, self.seen, str(error))
            self._lose()
        self.seen = offset + size

    def gap(self, offset: int, length: int, most: int) -> None:
        """Between ``length`` and ``most`` bytes are missing at ``offset``."""
        if self._state == PASSING:
            return
        message = self.message
        skips = self._state == BODY or (self._state == CHUNK_DATA and length == most)
        if message is None or not skips or length > self.remaining:
            self._gap_at_boundary(offset, length)
            return
        self.settle()
        if message.framing == "until-close":  # no end that could move
            message.missing += length or 1  # something was lost, even if its least length is nothing
        else:
            message.missing += length
            self.remaining -= length
            self._counted = self.remaining
            self.uncertain_bytes += most - length
        if not self.remaining:
            self._end_of_bytes(offset + length)
            if most > length and self._state == HEAD:  # the gap may hold the beginning of the next message
                self._hole()

    def close(self, *, clean: bool) -> None:
        """This direction has ended; ``clean``: its sender said so, which completes a body without a length."""
        message = self.message
        if self._buffer and self._state in {LOST, HEAD}:
            self._unfinished_head()
        elif message is not None:
            self._end_in_gap(self.seen)
            if self.message is not None and clean and message.framing == "until-close":
                self._finish(message, self.seen)
            elif self.message is not None:
                self.settle()
                message.last = self._locate(self._direction, self.seen - 1, True)
        self.message = None
        self.pass_on()

    def pass_on(self) -> None:
        """What follows is no HTTP/1.x; a message that is passing is still read to its end."""
        if self.message is not None:
            self._then_pass = True
            return
        self._state = PASSING
        self.remaining = FOREVER
        self.uncertain_bytes = 0
        self._buffer.clear()

    # ------------------------------------------------------------------ what is asked

    def settle(self) -> None:
        """Bring the passing message's body_bytes up to date."""
        if self.message is not None:
            self.message.body_bytes += self._counted - self.remaining
            self._counted = self.remaining

    def keep_from(self) -> int:
        """The smallest offset whose position may still be asked for."""
        return self.head_offset if self._buffer and self.message is None else max(self.seen - 1, 0)

    @property
    def gathers_head(self) -> bool:
        """Whether there is an unfinished head that would be reported."""
        return (
            self.message is None
            and bool(self._buffer)
            and (self._sure or self._expected or self._likely(bytes(self._buffer)))
        )

    def next_expected(self) -> None:
        """The peer goes on as one does who has had the whole of the last message of this direction."""
        self._end_in_gap(self.seen)
        if self.message is None:
            self.in_doubt = False

    # ------------------------------------------------------------------ heads

    def _resync(self, data: bytes, position: int, base: int) -> int:
        """LOST: look for a head, but only where the bytes begin."""
        return len(data) if position and not self._buffer else self._read_head(data, position, base)

    def _read_head(self, data: bytes, position: int, base: int) -> int:
        """HEAD: the usual case is a head that lies whole in one piece."""
        if not self._buffer:
            while data[position] in _BLANK:
                position += 1
                if position == len(data):
                    return position
            self.head_offset = base + position
            verdict = self._starts(data, position)
            if verdict:
                end = head_end(data, position)
                if 0 <= end <= position + MAX_HTTP_HEAD:
                    self._take_head(data[position:end], base + end)
                    return end
            elif verdict is False:
                return self._reject(data[position : position + _LOOKED_AT], len(data), base)
        return self._gather(data, position, base)

    def _gather(self, data: bytes, position: int, base: int) -> int:
        """Collect a head that comes in pieces."""
        buffer = self._buffer
        before = len(buffer)
        buffer += data[position : position + MAX_HTTP_HEAD - before]
        self.seen = base + position + len(buffer) - before
        if not self._sure:
            verdict = self._starts(buffer, 0)
            if verdict is False:
                return self._reject(bytes(buffer[:_LOOKED_AT]), len(data), base)
            self._sure = bool(verdict)
        end = head_end(buffer, max(before - 2, 0)) if self._sure else -1
        if end >= 0:
            head = bytes(buffer[:end])
            position += end - before
            self._take_head(head, base + position)
            return position
        if len(buffer) == MAX_HTTP_HEAD:
            told = f"over {MAX_HTTP_HEAD:,} bytes"
            self._listener.note("http-head-too-large", self._direction, self.head_offset, told)
            self._unfinished_head()
            self._lose()
        return len(data)

    def _take_head(self, head: bytes, end: int) -> None:
        """A whole head: its framing says what follows."""
        self.seen = end
        self._buffer.clear()
        self._sure = self.in_doubt = False
        self._state = HEAD
        message = self.message = self._listener.begin(self._direction, head, self.head_offset, True)
        framing, length = message.framing, message.content_length
        if framing == "length" and length:
            self._state = BODY
            self.remaining = self._counted = length
        elif framing == "chunked":
            self._state = CHUNK_SIZE
        elif framing == "until-close":
            self._state = BODY
            self.remaining = self._counted = FOREVER
        else:
            self._finish(message, end)

    def _reject(self, data: bytes, size: int, base: int) -> int:
        """What could have been the beginning of a head is none."""
        expected = self._expected
        self._buffer.clear()
        self._sure = self._expected = False
        self.in_doubt = True
        self._state = LOST
        if expected:
            told = f"{base + size - self.head_offset:,} bytes are neither a message nor the end"
            self._listener.note("http-not-a-message", self._direction, self.head_offset, told)
        else:
            self._listener.garbage(self._direction, data)
        return size

    def _unfinished_head(self) -> None:
        """A head whose end is not in the capture: report what there is of it."""
        head, sure = bytes(self._buffer), self._sure or self._expected
        self._buffer.clear()
        self._sure = False
        if sure or self._likely(head):
            message = self._listener.begin(self._direction, head, self.head_offset, False)
            message.last = self._locate(self._direction, self.head_offset + len(head) - 1, True)
            self.message = message

    # ------------------------------------------------------------------ bodies

    def _read_body(self, data: bytes, position: int, base: int) -> int:
        """BODY and CHUNK_DATA."""
        size, end = len(data), position + self.remaining
        if size < end:
            self.remaining = end - size
            return size
        self.remaining = 0
        self.seen = base + end
        self._end_of_bytes(self.seen)
        return end

    def _end_of_bytes(self, end: int) -> None:
        """A body, or a chunk of it, has passed."""
        if self._state == CHUNK_DATA:
            self.settle()
            self._state = CHUNK_END
        elif self.message is not None:
            self._finish(self.message, end)

    def _read_chunk_size(self, data: bytes, position: int, base: int) -> int:
        message = self.message
        if message is not None and not self._buffer:
            position, passed, ended = skip_chunks(data, position)
            message.body_bytes += passed
            if ended:
                self.seen = base + position
                self._finish(message, self.seen)
            if ended or position == len(data):
                return position
        line, position = self._line(data, position, base)
        if line is not None:
            self.remaining = self._counted = parse_chunk_size(line)
            self._state = CHUNK_DATA if self.remaining else TRAILER
            self._scanned = 0
        return position

    def _read_chunk_end(self, data: bytes, position: int, base: int) -> int:
        line, position = self._line(data, position, base)
        if line is not None:
            if line.strip():
                raise DecodeError("a chunk is longer than its size says")
            self._state = CHUNK_SIZE
        return position

    def _read_trailer(self, data: bytes, position: int, base: int) -> int:
        line, position = self._line(data, position, base)
        if line is not None:
            self._scanned += len(line)
            if self._scanned > MAX_HTTP_HEAD:
                raise DecodeError("the trailer is larger than any head")
            if not line.strip(_BLANK) and self.message is not None:
                self._finish(self.message, self.seen)
        return position

    def _line(self, data: bytes, position: int, base: int) -> tuple[bytes | bytearray | None, int]:
        """The line that begins or goes on at ``position``, None while its end is not here; and where to read on."""
        buffer = self._buffer
        end = data.find(b"\n", position) + 1
        piece = data[position : end or None]
        self.seen = base + position + len(piece)
        if len(buffer) + len(piece) > MAX_HTTP_CHUNK_LINE:
            raise DecodeError("a line of the chunked coding does not end")
        if not end:
            buffer += piece
            return None, len(data)
        if buffer:
            piece = bytes(buffer) + piece
            buffer.clear()
        return piece, end

    # ------------------------------------------------------------------ ends

    def _end_in_gap(self, end: int) -> None:
        """End the passing message at ``end``, if what remains of it may have been in a gap."""
        if self.message is not None and self.uncertain_bytes and self.remaining <= self.uncertain_bytes:
            self._finish(self.message, end)

    def _finish(self, message: Message, end: int) -> None:
        """The passing message ends at ``end``."""
        message.body_bytes += self._counted - self.remaining
        if self.remaining and message.framing == "length":
            message.missing += self.remaining  # where the end lies in a gap
        message.end_offset = end
        message.last = self._locate(self._direction, self.seen - 1, True)
        self.message = None
        self.remaining = self._counted = self.uncertain_bytes = 0
        self._state = HEAD
        self._expected = True
        if self._then_pass:
            self.pass_on()
        self._listener.end(self._direction, message)

    def _gap_at_boundary(self, offset: int, length: int) -> None:
        """A gap that is not inside a body: what it hides cannot be told from its length."""
        message = self.message
        if message is not None and self._state == BODY:  # its end lies in the gap
            length -= self.remaining
            self._finish(message, offset + self.remaining)
        elif self._buffer and message is None:
            self._unfinished_head()
        if self.message is not None:
            self.message.missing += length
            self._lose()
        elif self._state != PASSING:
            self._hole()

    def _hole(self) -> None:
        self._state = LOST
        self._expected = False
        self.in_doubt = True
        self._listener.gap_at_boundary(self._direction)

    def _lose(self) -> None:
        """The framing is lost; only the beginning of another message helps."""
        message = self.message
        self._buffer.clear()
        self._expected = False
        self.in_doubt = True
        self._state = LOST
        if message is not None:
            self.settle()
            message.last = self._locate(self._direction, self.seen - 1, True)
            self.message = None
            self.remaining = self._counted = self.uncertain_bytes = 0
            if self._then_pass:
                self.pass_on()
            self._listener.cut(self._direction, message)

    def _pass(self, data: bytes, position: int, base: int) -> int:  # noqa: ARG002  # one signature for all steps
        return len(data)

    #: What each state does with the next bytes, by its number.
    _STEPS: ClassVar = (
        _resync, _read_head, _read_body, _read_chunk_size, _read_body, _read_chunk_end, _read_trailer, _pass,
    )  # fmt: skip
