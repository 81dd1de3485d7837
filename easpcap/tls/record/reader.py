"""Cuts the bytes of one direction into records, opens runs of application data, and searches after lost bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from easpcap.errors import DecodeError
from easpcap.limits import MAX_RECORD_SPANS, MAX_RESYNC_RECORDS, MAX_RESYNC_TRIES, RESYNC_CONTEXT_BYTES
from easpcap.stream import Data
from easpcap.tls.codepoints import APPLICATION_DATA, MAX_FRAGMENT, RECORD_HEADER_SIZE
from easpcap.tls.events import Records
from easpcap.tls.record.record_map import RecordMap
from easpcap.tls.record.records import HEADER, Record, find_record, looks_like_ssl2, plausible_header

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easpcap.tls.events import TlsEvent
    from easpcap.tls.protection.record_protection import Protection


class Lost(NamedTuple):
    """Bytes that could not be read, while the next record is searched.

    ``start``: the TCP stream offset at which they begin. ``sequence``: the number of the first record among them.
    ``expected_at``: the TCP stream offset at which the next record of the protection's count was due; after a record
    that did not open this is its end. ``message``: such a record says that it holds no application data.
    """

    start: int
    sequence: int
    expected_at: int
    message: bool = False


class RecordReader:
    """The records of one direction.

    Events go to the list ``events``. ``base``: the TCP stream offset at which TLS begins. ``offset``: that of the first
    byte that is not part of a finished record. ``plain``: the plaintext offset. ``map``: from one to the other.
    """

    __slots__ = (
        "_at",
        "_before",
        "_buffer",
        "_events",
        "_needed",
        "_pieces",
        "_size",
        "_tries_left",
        "base",
        "direction",
        "lost",
        "map",
        "offset",
        "plain",
        "records",
        "version",
    )

    def __init__(self, direction: int, events: list[TlsEvent], base: int = 0) -> None:
        self.direction = direction
        self.base = self.offset = base
        self.plain = 0
        self.version = 0  # of the records to be expected; 0: any
        self.map = RecordMap()
        self.lost: Lost | None = None  # set while the next record is searched
        self.records = 0  # whole records seen
        self._events = events
        self._pieces: list[bytes] = []  # bytes of an unfinished record
        self._size = 0
        self._needed = RECORD_HEADER_SIZE
        self._buffer = b""
        self._at = 0
        self._before = b""  # the last ciphertext before the record that is searched
        self._tries_left = 0

    # -- bytes in and out ------------------------------------------------------------------------------------------

    def add(self, data: bytes) -> bool:
        """Take bytes in. Returns False where they do not yet complete the unfinished record."""
        if self._pieces:
            self._pieces.append(data)
            self._size += len(data)
            if self._size < self._needed:
                return False
            data = b"".join(self._pieces)
            self._pieces.clear()
        self._buffer, self._at = data, 0
        return True

    def add_remainder(self) -> None:
        """Offer the bytes of the unfinished record again, although it is not complete."""
        self._needed = 0
        self.add(b"")

    def keep_remainder(self) -> None:
        """Keep the unread bytes until more come."""
        rest = self._buffer[self._at :]
        self._buffer = b""
        self._at = 0
        if rest:
            self._pieces.append(rest)
            self._size = len(rest)

    @property
    def all_read(self) -> bool:
        """Whether no unread bytes are left."""
        return self._at == len(self._buffer)

    @property
    def waiting(self) -> int:
        """Bytes of an unfinished record."""
        return self._size if self._pieces else 0

    def peek(self, size: int) -> bytes:
        """The next bytes, without reading them. Empty where there are fewer: then wait for more."""
        found = self._buffer[self._at : self._at + size]
        self._needed = size
        return found if len(found) == size else b""

    def drop(self) -> int:
        """Drop the unread bytes. Returns how many there were."""
        dropped = self.waiting + len(self._buffer) - self._at
        self._pieces.clear()
        self._buffer = b""
        self._at = 0
        self.offset += dropped
        return dropped

    def take_ssl2_hello(self) -> bytes | None:
        """Read the hello in SSLv2 format at the very beginning (RFC 5246 appendix E.2).

        Returns b"" where there is none, and None where more bytes are needed to decide.
        """
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
        """Read the next record; None where it is incomplete.

        Raises DecodeError where the next bytes cannot be a record header.
        """
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

    def read_application(self, protection: Protection) -> tuple[int, int]:
        """Open the run of application data records that comes next, as one Data event.

        The run ends before any other record, and after a record that did not open: ``lost`` is then set. Returns how
        many records were opened, and how many bytes of plaintext they held. One call handles a run, because a call per
        record would cost more than the decryption of a small one.
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
        self._events.append(Data(self.direction, before, parts[0] if len(parts) == 1 else b"".join(parts)))
        if len(columns.ends) > MAX_RECORD_SPANS:
            columns.bound()
        return count, plain - before

    def add_application_data(self, record: Record, data: bytes) -> None:
        """Yield the plaintext of one application data record that was opened outside of a run."""
        if data:
            self._events.append(Data(self.direction, self.plain, data))
            self.plain += len(data)
            self.map.plain_ends.append(self.plain)
            self.map.starts.append(record.start)
            self.map.ends.append(record.end)

    def read_opaque(self) -> tuple[int, int]:
        """Yield the outline of the whole records that come next, without opening them.

        Stops, like next_record, at an incomplete record and at a header that cannot be one. Returns how many
        application data records there were, and the bytes of their fragments.
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
                self._add_outline(known)
                known = [content_type, version, base + at, 1, length, length, base + end]
            if content_type == APPLICATION_DATA:
                application += 1
                total += length
            self.records += 1
            at = end
        self._add_outline(known)
        self._at, self.offset = at, base + at
        return application, total

    def _add_outline(self, known: Sequence[int]) -> None:
        if known:
            content_type, version, start, count, total, last, end = known
            self._events.append(Records(content_type, self.direction, start, end, count, total, last, version))

    def outline(self, record: Record) -> tuple[int, int]:
        """Yield the outline of one record that was not opened; the result is that of read_opaque."""
        size = len(record.fragment)
        self._add_outline((record.content_type, record.version, record.start, 1, size, size, record.end))
        return (1, size) if record.content_type == APPLICATION_DATA else (0, 0)

    # -- after lost bytes ----------------------------------------------------------------------------------------------

    def search_from(self, offset: int, lost: Lost) -> None:
        """Search the next record from the TCP stream offset ``offset`` on: the bytes of ``lost`` cannot be read."""
        if self.lost is None:
            self.lost = lost
        self._pieces.clear()
        self._before = b""
        self._tries_left = MAX_RESYNC_RECORDS
        self.offset = offset

    def search_after(self, record: Record, sequence: int) -> None:
        """Search the next record after one that did not open, the ``sequence``-th of its epoch."""
        self.lost = Lost(record.start, sequence, record.end, record.content_type != APPLICATION_DATA)
        self._before = record.fragment[-RESYNC_CONTEXT_BYTES:]
        self._tries_left = MAX_RESYNC_RECORDS

    def unread(self, record: Record) -> None:
        """Go back to before the record that ended a run of application data."""
        self._at -= record.end - record.start
        self.offset = record.start
        self.lost = None

    @property
    def application_data_begun(self) -> bool:
        """Whether there is an unfinished record, and it is application data."""
        return bool(self._pieces) and self._pieces[0][0] == APPLICATION_DATA

    def search(self) -> Record | None:
        """The next bytes that may be a record, which are not read yet; None where more are needed."""
        at, needed = find_record(self._buffer, self._at, self.version)
        self._skip(at)
        if len(self._buffer) - at < needed:
            self._needed = needed
            return None
        content_type, version, length = HEADER.unpack_from(self._buffer, at)
        fragment = self._buffer[at + RECORD_HEADER_SIZE : at + RECORD_HEADER_SIZE + length]
        return Record(content_type, version, fragment, self.offset, self.offset + RECORD_HEADER_SIZE + length)

    def reopen(self, record: Record, lost: Lost, protections: Sequence[Protection]) -> tuple[int, bytes] | None:
        """Open a record found by search. Returns the number of the protection that opened it, and the plaintext."""
        self._tries_left -= 1
        lost_bytes = record.start - lost.expected_at
        # All of the context or none: in less, the block that a record is chained to cannot be told from a MAC after it
        # (RFC 7366).
        before = self._before if len(self._before) >= RESYNC_CONTEXT_BYTES else b""
        for number, protection in enumerate(protections):
            data = protection.reopen(
                record.content_type, record.version, record.fragment, before, lost_bytes, MAX_RESYNC_TRIES
            )
            if data is not None:
                return number, data
        return None

    @property
    def tries_exhausted(self) -> bool:
        """Whether so many records were tried after lost bytes that another one is not worth it."""
        return self._tries_left <= 0

    def resume_after(self, record: Record) -> None:
        """The record found by search was opened: read on after it."""
        self.lost = None
        self._skip(self._at + record.end - record.start)
        self._before = b""
        self.records += 1

    def search_on(self) -> None:
        """The record found by search is none, or does not open: search on from its second byte."""
        self._skip(self._at + 1)

    def _skip(self, at: int) -> None:
        """Continue at index ``at`` of the buffer, and remember the last ciphertext before it."""
        if at != self._at:
            passed = self._buffer[max(self._at, at - RESYNC_CONTEXT_BYTES) : at]
            self._before = (self._before + passed)[-RESYNC_CONTEXT_BYTES:]
            self.offset += at - self._at
            self._at = at
