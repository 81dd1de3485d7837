"""Captures made of records: a header of fixed size with the packet's length, then the packet (pcap, snoop).

A record is used when the header after it has been seen: a header that cannot be one proves that the file is damaged
at it, or that the length before it is wrong, and then both are examined.
"""

from __future__ import annotations

import struct
from itertools import repeat
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from easpcap.capture.chains import follow_chains
from easpcap.capture.packets import BATCH_PACKETS, Packets, gather
from easpcap.capture.resync import NO, UNKNOWN, YES
from easpcap.limits import MAX_CHECKED_RECORDS, MAX_LIKELY_PACKET_BYTES, MAX_PACKET_BYTES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from easpcap.capture.resync import Offsets, Verdicts
    from easpcap.capture.window import Window

SECOND: Final = 10**9
DAY_S: Final = 86_400
#: snoop pads records to four bytes, some programs to eight.
MOST_PADDING: Final = 64
#: Where the headers must have the packet's length to be found by `follow_chains`.
CHAINED_SIZE_AT: Final = 8
#: A record that is so much older or younger than the one before it is examined.
FAR_S: Final = 400 * DAY_S


class RecordFormat(NamedTuple):
    """How the records of one file are laid out."""

    order: str  # struct's sign
    fields: tuple[str, ...]  # the 32-bit fields of a header, in order
    header_bytes: int
    size_at: int  # offset in a header of the field that gives its distance to the next one ...
    step: int  # ... minus these bytes
    fraction_ns: int  # nanoseconds per unit of the field "fraction"
    link_type: int

    @property
    def dtype(self) -> np.dtype[np.void]:
        """The fields of a header."""
        return np.dtype([(name, self.order + "u4") for name in self.fields])


class RecordLayout:
    """What a plausible record header looks like; ``lenient`` accepts headers that some programs write."""

    def __init__(self, record: RecordFormat, *, lenient: bool = False) -> None:
        self._record = record
        self._dtype = record.dtype
        self._word = np.dtype(record.order + "u4")
        self._lenient = lenient
        self.least_at_end = 1 if lenient else 2

    def judge(self, buffer: bytearray, at: Offsets, end: int, before: Offsets | None) -> Verdicts:
        """NO, YES or UNKNOWN for every place."""
        verdicts = np.full(len(at), UNKNOWN, np.int8)
        fits = np.flatnonzero(at + self._record.header_bytes <= end)
        if not len(fits):
            return verdicts
        verdicts[fits] = NO
        near = fits[self._near(buffer, at[fits], None if before is None else before[fits])]
        fields = gather(buffer, at[near], self._dtype)
        verdicts[near[self._plausible(fields)]] = YES
        return verdicts

    def following(self, buffer: bytearray, at: Offsets) -> Offsets:
        """Where the records at ``at`` end."""
        sizes = gather(buffer, at + self._record.size_at, self._word)
        return at + sizes.astype(np.int64) + self._record.step

    def _near(self, buffer: bytearray, at: Offsets, before: Offsets | None) -> NDArray[np.bool_]:
        """Whether the times are near those of the records before."""
        place = 4 * self._record.fields.index("seconds")
        seconds = gather(buffer, at + place, self._word).astype(np.int64)
        if before is not None:
            return np.abs(seconds - gather(buffer, before + place, self._word).astype(np.int64)) <= DAY_S
        return np.ones(len(at), np.bool_) if self._lenient else seconds > 0

    def _plausible(self, fields: NDArray[np.void]) -> NDArray[np.bool_]:
        captured, original = fields["captured"], fields["original"]
        likely = ~impossible_fields(fields, self._record)
        likely &= captured <= MAX_LIKELY_PACKET_BYTES
        if self._lenient:
            likely &= (fields["seconds"] | fields["fraction"] | captured | original) > 0  # a file filled up with zeros
        else:
            likely &= (original <= MAX_LIKELY_PACKET_BYTES) & ~odd_fields(fields, self._record)
        return likely


def impossible_fields(fields: NDArray[np.void], record: RecordFormat) -> NDArray[np.bool_]:
    """Whether a header leads nowhere: a packet that is too great, or a record that does not contain its packet."""
    impossible = fields["captured"] > MAX_PACKET_BYTES
    if "size" in record.fields:  # snoop: the length of the whole record, rounded up
        padding = fields["size"].astype(np.int64) - fields["captured"] - record.header_bytes
        impossible |= (padding < 0) | (padding > MOST_PADDING)
    return np.asarray(impossible)


def odd_fields(fields: NDArray[np.void], record: RecordFormat) -> NDArray[np.bool_]:
    """Whether the fields of headers contradict each other, or the packet is empty."""
    odd = (fields["captured"] > fields["original"]) | (fields["original"] > MAX_PACKET_BYTES)
    odd |= fields["captured"] == 0
    odd |= fields["fraction"] >= SECOND // record.fraction_ns
    return np.asarray(odd)


class RecordScanner:
    """Finds the packets of a capture made of records, the first of which is ``file_header_bytes`` into the file."""

    def __init__(self, record: RecordFormat, file_header_bytes: int) -> None:
        self.link_types = [record.link_type]
        self.secrets: list[bytes] = []  # these formats cannot contain any
        self.stuck = ""
        self.held_bytes = 0
        self._skip = file_header_bytes
        self._accepted_at = -1  # place of a record that may look odd, relative to the window's start
        self._accepted = 0
        self._seconds: int | None = None  # of the last record before the window's start
        self._set_record(record)

    def _set_record(self, record: RecordFormat) -> None:
        self._record = record
        self._dtype = record.dtype
        self._size = struct.Struct(record.order + "I")
        self._layout = RecordLayout(record)
        self.lenient_layout = RecordLayout(record, lenient=True)

    @property
    def layout(self) -> RecordLayout:
        """What a record looks like, to find one in a damaged file."""
        return self._layout

    def scan(self, window: Window) -> Packets:
        """The next whole packets; moves ``window.start`` past them."""
        if self._skip:
            if window.end - window.start < self._skip:
                return self.no_packets()
            window.start += self._skip
            self._skip = 0
        begin = window.start
        heads, after = self._heads(window)
        next_is_seen = after + self._record.header_bytes <= window.end
        examined = np.append(heads, after) if next_is_seen else heads
        fields = gather(window.buffer, examined, self._dtype)
        odd = self._first_odd(examined, fields, begin)
        if odd is not None:
            used = max(odd - 1, 0)
            if not used:
                self._stop(int(examined[0]), int(examined[odd]))
        else:
            used = len(heads) - (not next_is_seen and not window.idle and len(heads) > 0)
        window.start = int(examined[used]) if used < len(examined) else after
        self._accepted_at -= window.start - begin
        if used:
            self._seconds = int(fields["seconds"][used - 1])
        return self._packets(heads[:used], fields[:used])

    def no_packets(self) -> Packets:
        """What `scan` returns where more bytes are needed."""
        return self._packets(np.empty(0, np.int64), np.empty(0, self._dtype))

    def take_held(self, window: Window, captured: int | None = None) -> Packets:
        """The record before the place where scanning is stuck; ``captured``: its true length, where the header lies."""
        head = np.array([window.start], np.int64)
        packets = self._packets(head, gather(window.buffer, head, self._dtype))
        if captured is None:
            window.start += self.held_bytes
        else:
            packets = packets._replace(captured=np.array([captured], np.int64))
            window.start += self._record.header_bytes + captured
        self.held_bytes = 0
        return packets

    def repaired_length(self, window: Window, following: int) -> int | None:
        """The length of the held packet that ends at ``following``, where its length on the wire agrees; else None."""
        fields = gather(window.buffer, np.array([window.start]), self._dtype)
        captured = following - window.start - self._record.header_bytes
        return captured if int(fields["original"][0]) == captured <= MAX_LIKELY_PACKET_BYTES else None

    def has_lost_its_beginning(self, window: Window, place: int) -> bool:
        """Whether a header that seems to begin in the last bytes of the held packet has lost its own first bytes.

        Then its time is made of bytes of that packet, and is not between those of its neighbours. If not, the packet
        has lost bytes, and the header is where it seems to be.
        """
        size = self._record.header_bytes
        if place + size <= self.held_bytes:
            return False
        held, found = gather(window.buffer, window.start + np.array([0, place]), self._dtype)
        following = window.start + place + size + int(found["captured"])
        if int(held["original"]) != int(held["captured"]) or following + size > window.end:
            return False
        after = gather(window.buffer, np.array([following]), self._dtype)[0]
        return not int(held["seconds"]) <= int(found["seconds"]) <= int(after["seconds"])

    def accept(self) -> None:
        """Use the record at which scanning is stuck although it looks odd."""
        self._accepted_at, self.held_bytes, self.stuck = self.held_bytes, 0, ""
        self._accepted += 1

    def resume(self) -> None:
        """Go on with the record at the window's start."""
        self.held_bytes, self.stuck, self._seconds = 0, "", None

    def _stop(self, first: int, bad: int) -> None:
        self.held_bytes = bad - first
        self.stuck = "no packet begins where the one before ends"

    def _first_odd(self, examined: Offsets, fields: NDArray[np.void], begin: int) -> int | None:
        """Index of the first record that cannot be one, or that is unusual and not yet accepted."""
        odd = impossible_fields(fields, self._record)
        if self._accepted < MAX_CHECKED_RECORDS:
            odd |= odd_fields(fields, self._record) | self._far_in_time(fields)
        if not odd.any():
            return None
        odd &= examined > begin + self._accepted_at
        return int(odd.argmax()) if odd.any() else None

    def _far_in_time(self, fields: NDArray[np.void]) -> NDArray[np.bool_]:
        """Whether records are much older or younger than the ones before them."""
        seconds = fields["seconds"].astype(np.int64)
        first = seconds[:1] if self._seconds is None else [self._seconds]
        return np.abs(np.diff(seconds, prepend=first)) > FAR_S

    def _packets(self, heads: Offsets, fields: NDArray[np.void]) -> Packets:
        times = fields["seconds"].astype(np.int64) * SECOND
        times += fields["fraction"].astype(np.int64) * self._record.fraction_ns
        return Packets(
            at=heads + self._record.header_bytes,
            captured=fields["captured"].astype(np.int64),
            original=fields["original"].astype(np.int64),
            time_ns=times,
            link_type=np.broadcast_to(np.int64(self._record.link_type), heads.shape),
        )

    def _heads(self, window: Window) -> tuple[Offsets, int]:
        """The offsets of the headers of whole packets, and the place after the last one."""
        record, start = self._record, window.start
        chained = np.empty(0, np.int64)
        if record.size_at == CHAINED_SIZE_AT and record.fields[0] == "seconds":
            chained, start = follow_chains(window.buffer, start, window.end, record.order, record.header_bytes)
            if len(chained) > BATCH_PACKETS:
                return chained[:BATCH_PACKETS], int(chained[BATCH_PACKETS])
        heads, after = self._one_by_one(window, start, BATCH_PACKETS - len(chained))
        return np.append(chained, np.array(heads, np.int64)), after

    def _one_by_one(self, window: Window, position: int, most: int) -> tuple[list[int], int]:
        """The offsets of at most ``most`` further headers, read one by one. Hot: reads only the packet sizes."""
        buffer, end = window.buffer, window.end
        at, step, unpack = self._record.size_at, self._record.step, self._size.unpack_from
        last = end - self._record.header_bytes
        heads: list[int] = []
        append = heads.append
        for _ in repeat(None, most):
            if position > last:
                break
            after = position + step + unpack(buffer, position + at)[0]
            if after > end or after <= position:
                break
            append(position)
            position = after
        return heads, position
