"""Reads the records of one direction: framing, the run of application data, and the way back after lost bytes."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from easpcap.errors import DecodeError
from easpcap.limits import MAX_RECORD_SPANS, MAX_RESYNC_RECORDS, MAX_RESYNC_TRIES, RESYNC_CONTEXT_BYTES
from easpcap.stream import Data
from easpcap.tls.codepoints import ALERT, APPLICATION_DATA, HANDSHAKE, MAX_FRAGMENT, RECORD_HEADER_SIZE
from easpcap.tls.events import Records
from easpcap.tls.handshake.messages import MessageJoiner
from easpcap.tls.record.record_map import RecordMap
from easpcap.tls.record.records import (
    HEADER,
    Record,
    find_record,
    looks_like_ssl2,
    plain_message_begins,
    plausible_header,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easpcap.tls.events import TlsEvent
    from easpcap.tls.handshake.negotiation import Candidate
    from easpcap.tls.protection.record_protection import Protection


class Mode(Enum):
    """How the records of a direction are read at present."""

    PLAIN = auto()  # epoch 0
    UNPROVEN = auto()  # the first record of an epoch will show which candidate is right
    OPEN = auto()  # under proven keys
    INNER = auto()  # TLS 1.3: types stand inside the records
    OPAQUE = auto()  # only their outline can be seen
    FOREIGN = auto()  # no records at all: SSL 2.0


class Lost(NamedTuple):
    """Bytes that could not be read: where they begin, the record number that was due, where the last record ended."""

    start: int
    sequence: int
    behind: int


class DirectionReader:
    """The records of one direction.

    ``base``: TCP stream offset at which TLS begins. ``offset``: that of the first byte that is not part of a finished
    record. ``plain``: plaintext offset.
    """

    __slots__ = (
        "_at",
        "_before",
        "_buffer",
        "_needed",
        "_pieces",
        "_size",
        "_tries_left",
        "base",
        "candidates",
        "closed",
        "direction",
        "ever_open",
        "joiner",
        "lost",
        "map",
        "mode",
        "offset",
        "opaque_since",
        "plain",
        "protection",
        "records",
        "version",
    )

    def __init__(self, direction: int, base: int = 0) -> None:
        self.direction = direction
        self.base = self.offset = base
        self.plain = 0
        self.mode = Mode.PLAIN
        self.version = 0  # of the records to be expected; 0: any
        self.protection: Protection | None = None  # in mode OPEN
        self.candidates: list[tuple[Candidate, Protection]] = []  # in mode UNPROVEN
        self.map = RecordMap()
        self.joiner = MessageJoiner()
        self.lost: Lost | None = None  # set while the next record is searched
        self.closed = False  # close_notify or the end came
        self.ever_open = False
        self.opaque_since = 0  # application bytes that were not opened after some were
        self.records = 0  # whole records seen
        self._pieces: list[bytes] = []  # bytes of a record that is not whole yet
        self._size = 0
        self._needed = RECORD_HEADER_SIZE
        self._buffer = b""
        self._at = 0
        self._before = b""  # ciphertext before the record that is searched
        self._tries_left = 0

    # -- bytes in and out ------------------------------------------------------------------------------------------

    def add(self, data: bytes) -> bool:
        """Take bytes in; False where they do not complete what is waiting."""
        if self._pieces:
            self._pieces.append(data)
            self._size += len(data)
            if self._size < self._needed:
                return False
            data = b"".join(self._pieces)
            self._pieces.clear()
        self._buffer, self._at = data, 0
        return True

    def keep_remainder(self) -> None:
        """Keep what is left of the buffer until more comes."""
        rest = self._buffer[self._at :]
        self._buffer = b""
        self._at = 0
        if rest:
            self._pieces.append(rest)
            self._size = len(rest)

    @property
    def spent(self) -> bool:
        """Whether nothing is left of the bytes taken in."""
        return self._at == len(self._buffer)

    @property
    def waiting(self) -> int:
        """Bytes of an unfinished record."""
        return self._size if self._pieces else 0

    def peek(self, size: int) -> bytes:
        """The next bytes, which stay; empty where fewer are there, and then more are waited for."""
        found = self._buffer[self._at : self._at + size]
        self._needed = size
        return found if len(found) == size else b""

    def drop(self) -> int:
        """Forget the bytes not read yet, and count them."""
        dropped = self.waiting + len(self._buffer) - self._at
        self._pieces.clear()
        self._buffer = b""
        self._at = 0
        self.offset += dropped
        return dropped

    def take_ssl2_hello(self) -> bytes | None:
        """The hello in SSLv2 format that TLS begins with; b"" where it has none, None where bytes lack."""
        data = self._buffer[self._at :]
        if not data or self.offset != self.base or not data[0] & 0x80:
            return b""
        known = looks_like_ssl2(data)
        if known is False:
            return b""
        size = 2 + (int.from_bytes(data[:2], "big") & 0x7FFF) if known else len(data) + 1
        if len(data) < size:
            self._needed = size
            return None
        self._at += size
        self.offset += size
        self.records += 1
        return data[:size]

    # -- records -----------------------------------------------------------------------------------------------------

    def next_record(self) -> Record | None:
        """The next whole record; None where it is not there yet. Raises DecodeError where no record can stand here."""
        buffer, at = self._buffer, self._at
        if len(buffer) - at < RECORD_HEADER_SIZE:
            self._needed = RECORD_HEADER_SIZE
            return None
        content_type, version, length = HEADER.unpack_from(buffer, at)
        if not plausible_header(content_type, version, length):
            msg = f"type {content_type}, version {version:#06x}, length {length} is no record header"
            raise DecodeError(msg)
        end = at + RECORD_HEADER_SIZE + length
        if end > len(buffer):
            self._needed = RECORD_HEADER_SIZE + length
            return None
        start = self.offset
        self._at = end
        self.offset = start + RECORD_HEADER_SIZE + length
        self.records += 1
        return Record(content_type, version, buffer[at + RECORD_HEADER_SIZE : end], start, self.offset)

    def read_application(self, protection: Protection, events: list[TlsEvent]) -> tuple[int, int]:
        """Open the run of application data that stands next; how many records, and bytes in them.

        Stops before anything else. A record that does not open ends the run too; ``lost`` then tells of it.
        """
        buffer, at = self._buffer, self._at
        size = len(buffer)
        view = memoryview(buffer)
        base = self.offset - at
        unpack, open_record = HEADER.unpack_from, protection.open
        plain = self.plain
        parts: list[bytes] = []
        columns = self.map
        add_plain, add_start, add_end = columns.plain_ends.append, columns.starts.append, columns.ends.append
        count = 0
        while at + RECORD_HEADER_SIZE <= size:
            content_type, version, length = unpack(buffer, at)
            body = at + RECORD_HEADER_SIZE
            end = body + length
            if content_type != APPLICATION_DATA or end > size or length > MAX_FRAGMENT or version >> 8 != 3:
                break
            data = open_record(APPLICATION_DATA, version, view[body:end])
            if data is None:
                self.lost = Lost(base + at, protection.sequence - 1, base + end)
                self._before = buffer[max(end - RESYNC_CONTEXT_BYTES, body) : end]
                self._tries_left = MAX_RESYNC_RECORDS
                at = end
                break
            count += 1
            if data:
                plain += len(data)
                parts.append(data)
                add_plain(plain)
                add_start(base + at)
                add_end(base + end)
            at = end
        self._at, self.offset = at, base + at
        self.records += count
        if not parts:
            return count, 0
        before, self.plain = self.plain, plain
        events.append(Data(self.direction, before, parts[0] if len(parts) == 1 else b"".join(parts)))
        if len(columns.ends) > MAX_RECORD_SPANS:
            columns.bound()
        return count, plain - before

    def put_plain(self, record: Record, data: bytes, events: list[TlsEvent]) -> None:
        """One record of application data that was opened outside the run."""
        if data:
            events.append(Data(self.direction, self.plain, data))
            self.plain += len(data)
            self.map.plain_ends.append(self.plain)
            self.map.starts.append(record.start)
            self.map.ends.append(record.end)

    def read_opaque(self, events: list[TlsEvent]) -> tuple[int, int]:
        """Outline the whole records that stand next; how many application data records, and bytes in them.

        Stops, like next_record, where a record is not whole or cannot be one.
        """
        buffer, at, size = self._buffer, self._at, len(self._buffer)
        base = self.offset - at
        known: list[int] = []  # type, version, start, count, bytes, last size, end
        application = total = 0
        while size - at >= RECORD_HEADER_SIZE:
            content_type, version, length = HEADER.unpack_from(buffer, at)
            end = at + RECORD_HEADER_SIZE + length
            if end > size or not plausible_header(content_type, version, length):
                break
            if known and known[0] == content_type:
                known[3] += 1
                known[4] += length
                known[5], known[6] = length, base + end
            else:
                self._outline(known, events)
                known = [content_type, version, base + at, 1, length, length, base + end]
            if content_type == APPLICATION_DATA:
                application += 1
                total += length
            self.records += 1
            at = end
        self._outline(known, events)
        self._at, self.offset = at, base + at
        return application, total

    def _outline(self, known: Sequence[int], events: list[TlsEvent]) -> None:
        if known:
            content_type, version, start, count, total, last, end = known
            events.append(Records(content_type, self.direction, start, end, count, total, last, version))

    def outline(self, record: Record, events: list[TlsEvent]) -> tuple[int, int]:
        """Tell of a record that was not opened; how many application data records, and bytes in them."""
        size = len(record.fragment)
        known = (record.content_type, record.version, record.start, 1, size, size, record.end)
        self._outline(known, events)
        return (1, size) if record.content_type == APPLICATION_DATA else (0, 0)

    def plain_here(self, record: Record) -> bool:
        """Whether a record of epoch 0 is what it says; where the end of the handshake was missed it is not."""
        if record.content_type == HANDSHAKE:
            return plain_message_begins(record.fragment) or len(self.joiner) > 0
        if record.content_type == ALERT:
            return len(record.fragment) == 2
        return record.content_type != APPLICATION_DATA

    # -- epochs ------------------------------------------------------------------------------------------------------

    def open_with(self, protection: Protection) -> None:
        """Read on under proven keys."""
        self.mode = Mode.OPEN
        self.protection = protection
        self.candidates = []
        self.ever_open = True

    def close_epoch(self, mode: Mode) -> None:
        """Leave the present keys."""
        self.mode = mode
        self.protection = None
        self.candidates = []

    # -- after lost bytes ----------------------------------------------------------------------------------------------

    def lose(self, start: int, offset: int) -> None:
        """Bytes from ``start`` are missing or unreadable; search the next record from the TCP stream ``offset`` on."""
        if self.lost is None:
            sequence = self.protection.sequence if self.protection else 0
            self.lost = Lost(start, sequence, start)
        self._pieces.clear()
        self._before = b""
        self._tries_left = MAX_RESYNC_RECORDS
        self.offset = offset

    def doubt(self) -> None:
        """What stands next is no record header; search one behind it."""
        if self.lost is None:
            self.lose(self.offset, self.offset)

    def cut_application_data(self) -> bool:
        """Whether the unfinished record is one of application data."""
        return bool(self._pieces) and self._pieces[0][0] == APPLICATION_DATA

    def bad_record(self, record: Record, sequence: int) -> Lost:
        """A record, the ``sequence``-th of its epoch, did not open; the next one must prove its number."""
        self.lost = Lost(record.start, sequence, record.end)
        self._before = record.fragment[-RESYNC_CONTEXT_BYTES:]
        self._tries_left = MAX_RESYNC_RECORDS
        return self.lost

    def unread(self, lost: Lost) -> None:
        """Go back before the record that ended a run."""
        self._at -= lost.behind - lost.start
        self.offset = lost.start
        self.lost = None

    def search(self) -> Record | None:
        """The next place that may be a record, as one; None where more bytes are needed."""
        at, needed = find_record(self._buffer, self._at, self.version)
        self._skip(at)
        if len(self._buffer) - at < needed:
            self._needed = needed
            return None
        content_type, version, length = HEADER.unpack_from(self._buffer, at)
        fragment = self._buffer[at + RECORD_HEADER_SIZE : at + RECORD_HEADER_SIZE + length]
        return Record(content_type, version, fragment, self.offset, self.offset + RECORD_HEADER_SIZE + length)

    def reopen(self, record: Record, lost: Lost, ways: list[Protection]) -> tuple[int, bytes] | None:
        """Try a record found by search: (which of the ways opened it, its plaintext)."""
        self._tries_left -= 1
        lost_bytes = record.start - lost.behind
        # All of the context or none: in a short piece nothing tells the chained block from a MAC behind it (RFC 7366).
        before = self._before if len(self._before) >= RESYNC_CONTEXT_BYTES else b""
        for number, way in enumerate(ways):
            data = way.reopen(
                record.content_type, record.version, record.fragment, before, lost_bytes, MAX_RESYNC_TRIES
            )
            if data is not None:
                return number, data
        return None

    @property
    def hopeless(self) -> bool:
        """Whether enough records were tried."""
        return self._tries_left <= 0

    def accept(self, record: Record) -> None:
        """The record found is a true one: read on behind it."""
        self.lost = None
        self._skip(self._at + record.end - record.start)
        self._before = b""
        self.records += 1

    def reject(self) -> None:
        """The place found is no record, or cannot be opened: search on behind its first byte."""
        self._skip(self._at + 1)

    def _skip(self, at: int) -> None:
        """Go on at this place of the buffer, keeping the ciphertext before it in mind."""
        if at != self._at:
            passed = self._buffer[max(self._at, at - RESYNC_CONTEXT_BYTES) : at]
            self._before = (self._before + passed)[-RESYNC_CONTEXT_BYTES:]
            self.offset += at - self._at
            self._at = at
