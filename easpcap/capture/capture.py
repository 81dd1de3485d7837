"""Capture: one capture file, read once, as batches of TCP rows, and the facts about the file itself."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from easpcap.capture.clock import ClockWatch
from easpcap.capture.columns import Decoder
from easpcap.capture.formats import open_stream
from easpcap.capture.layers.numbers import link_type_name
from easpcap.capture.packets import NO_TIME
from easpcap.capture.source import Source
from easpcap.capture.window import Window
from easpcap.errors import CaptureError
from easpcap.limits import MAX_DAMAGED_PLACES, WINDOW_BYTES

if TYPE_CHECKING:
    import os
    from collections import Counter
    from collections.abc import Iterator
    from types import TracebackType
    from typing import BinaryIO, Self

    from easpcap.batch import PacketBatch
    from easpcap.capture.packets import Packets, Scanner
    from easpcap.capture.recovery import Recovered

#: Bytes of the payload of a jumbo frame.
LARGEST_ON_WIRE: Final = 9000

#: The window where only the first packet is read.
PEEK_BYTES: Final = 64 * 2**10


class Head(NamedTuple):
    """The first packets of a capture: when they were captured, and those that carry TCP.

    The times are None where the first packets have none. ``rows`` are valid until the capture is read on.
    """

    first_time: int | None
    last_time: int | None
    rows: PacketBatch | None


class Capture:
    """One capture. Iterating reads it once, from front to end; the attributes are final when the iteration has ended.

    The buffer of a batch is valid until the next batch is read. The iteration raises CaptureError where the disk
    fails. Damage only costs the packets in it; ``truncated``, ``unread_bytes`` and ``anomalies`` tell of it.
    """

    def __init__(self, source: Source, *, first_frame: int, window_bytes: int) -> None:
        opened = open_stream(source)
        self._source = source
        self._stream = opened.stream
        self._scanner = opened.scanner
        self._past_scanners: list[Scanner] = []  # of captures before another one in the same file
        self.format = opened.name
        self._window = Window(opened.stream, window_bytes)
        self._found = self._windows()
        self._held: Packets | None = None
        self._read = False
        self._previous_time = 0
        #: where the times of its packets go back
        self.clock = ClockWatch()
        self.path = source.path
        #: the number of the first packet; may be set until the iteration begins
        self.first_frame = first_frame
        #: packets so far, TCP or not
        self.packets = 0
        #: nanoseconds since 1970 UTC of the earliest and the latest packet; None where no packet has a time
        self.first_time: int | None = None
        self.last_time: int | None = None
        #: whether the last packet is cut off, or the bytes after it cannot be read
        self.truncated = False
        #: bytes that were skipped or left unread because the file is damaged
        self.unread_bytes = 0
        #: places at which the file is damaged
        self.damaged_places = 0
        #: segments larger than any frame: captured before the network card divided them, or after it joined them
        self.large_segments = 0
        #: whether another capture goes on with its unfinished IP datagrams
        self.is_followed = False
        self._decoder = Decoder()
        self._anomalies: list[tuple[str, int, str]] = []  # with the number of the packet in the file, from 0

    @property
    def anomalies(self) -> list[tuple[str, int, str]]:
        """Anomalies of the file: code, frame, detail."""
        return [(code, self.first_frame + number, detail) for code, number, detail in self._anomalies]

    @property
    def dropped(self) -> int | None:
        """Packets that the capturing machine says it dropped; None where the file does not say."""
        said = [getattr(scanner, "dropped", None) for scanner in (*self._past_scanners, self._scanner)]
        return sum(count or 0 for count in said) if any(count is not None for count in said) else None

    @property
    def ignored(self) -> Counter[str]:
        """Packets so far that yielded no row, by reason."""
        return self._decoder.ignored

    @property
    def link_types(self) -> list[str]:
        """Display names of the interfaces' link types so far, in order of appearance."""
        scanners = [*self._past_scanners, self._scanner]
        link_types = [link_type for scanner in scanners for link_type in scanner.link_types]
        return list(dict.fromkeys(link_type_name(link_type) for link_type in link_types))

    @property
    def secrets(self) -> list[bytes]:
        """Key logs embedded in the part of the capture read so far."""
        return [secrets for scanner in (*self._past_scanners, self._scanner) for secrets in scanner.secrets]

    @property
    def sha256(self) -> str:
        """SHA-256 of the whole file as stored, in hex; empty before the iteration has ended."""
        return self._source.sha256

    @property
    def size(self) -> int | None:
        """Bytes of the file as stored; None for a pipe."""
        return self._source.size

    @property
    def bytes_read(self) -> int:
        """Bytes of the stored file read so far."""
        return self._source.bytes_read

    def follow(self, earlier: Capture) -> None:
        """Go on with the unfinished IP datagrams of a capture that ends where this one begins."""
        self._decoder.take_over(earlier._decoder)

    def finish(self) -> None:
        """No capture follows: count the packets of unfinished IP datagrams as ignored."""
        self._decoder.finish()

    def packets_as_captured(self) -> Iterator[tuple[bytes | bytearray, Packets]]:
        """Every packet, TCP or not, with its link-layer header. Call it instead of iterating.

        Yields (buffer, packets), of which the buffer is valid until the next pair is read.
        """
        self._begin()
        try:
            for found in self._all_windows():
                yield self._window.buffer, self._dated(found)
            self._source.drain()
        finally:
            self._stream.close()

    def _begin(self) -> None:
        if self._read:
            msg = "a Capture is read once; open it again"
            raise RuntimeError(msg)
        self._read = True

    def __iter__(self) -> Iterator[PacketBatch]:
        self._begin()
        try:
            yield from self._batches()
            self._source.drain()
        finally:
            self._stream.close()
            self._window.buffer = bytearray()  # the attributes outlive it

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; for captures that are not iterated to their end."""
        self._stream.close()

    def peek(self) -> Head:
        """The first packets. Iterating still yields them."""
        held = self._held = next(self._found, None)
        if held is None or not (known := held.time_ns[held.time_ns != NO_TIME]).size:
            return Head(None, None, None)
        rows = Decoder().decode(self._window.buffer, held, 1) if known.size == held.at.size else None
        return Head(int(known[0]), int(known.max()), rows)

    def _batches(self) -> Iterator[PacketBatch]:
        for found in self._all_windows():
            packets = self._dated(found)
            first_frame = self.first_frame + self.packets
            self.packets += len(packets.at)
            batch = self._decoder.decode(self._window.buffer, packets, first_frame)
            if batch is not None:
                self.large_segments += int(np.count_nonzero(batch.on_wire > LARGEST_ON_WIRE))
                yield batch
        if not self.is_followed:
            self.finish()
        self._note_end()

    def _all_windows(self) -> Iterator[Packets]:
        """`_windows`, from the first one on even after a look at it."""
        held, self._held = self._held, None
        return self._found if held is None else chain([held], self._found)

    def _windows(self) -> Iterator[Packets]:
        """The packets of one window after the other, until nothing is left or the rest cannot be read."""
        window = self._window
        at_end = False  # the scanner knows that nothing follows
        while True:
            before = window.start
            packets = self._scanner.scan(window)
            if len(packets.at):
                yield packets
            elif self._scanner.stuck:
                from easpcap.capture.recovery import recover  # loaded for damaged files only

                recovered = yield from recover(window, self._scanner)
                if not self._go_on(recovered):
                    return
            elif window.start == before and not window.refill():
                if at_end and not self._go_on_with_rest():
                    return
                at_end = True

    def _go_on_with_rest(self) -> bool:
        """Find packets in what is left at the end of the file."""
        if self._window.end == self._window.start:
            return False
        from easpcap.capture.recovery import recover_rest

        return self._go_on(recover_rest(self._window, self._scanner))

    def _go_on(self, recovered: Recovered) -> bool:
        """Record what was wrong, and go on as ``recovered`` says; return False where nothing more can be read."""
        if recovered.damage:
            self.unread_bytes += recovered.skipped
            self._note_damage(recovered.damage)
        if recovered.another:
            self._note("capture-appended", f"another capture ({recovered.another}) begins after this packet")
            self._past_scanners.append(self._scanner)
        if recovered.scanner is None:
            self.truncated = True
            return False
        self._scanner = recovered.scanner
        if self.damaged_places + len(self._past_scanners) < MAX_DAMAGED_PLACES:
            return True
        self.truncated = True
        self.unread_bytes += self._window.end - self._window.start
        self._window.start = self._window.end
        self._note_damage(f"{MAX_DAMAGED_PLACES:,} places are damaged; what follows the last one was not read")
        return False

    def _dated(self, packets: Packets) -> Packets:
        """Give packets without a time that of the packet before them; record the earliest and the latest time."""
        times = packets.time_ns
        known = times != NO_TIME
        if not known.all():
            latest = np.maximum.accumulate(np.where(known, np.arange(len(times)), -1))
            times = np.where(latest < 0, self._previous_time, times[latest])
        if known.any():
            earliest, latest_time = int(times[known].min()), int(times[known].max())
            self.first_time = earliest if self.first_time is None else min(self.first_time, earliest)
            self.last_time = latest_time if self.last_time is None else max(self.last_time, latest_time)
        self._previous_time = int(times[-1])
        self.clock.read(times)
        return packets._replace(time_ns=times)

    def _note_end(self) -> None:
        """Record the part that could not be read, with the last frame before it."""
        left = self._window.end - self._window.start
        if self._stream.damage:
            self.truncated = True
            self._note_damage(self._stream.damage)
        elif left:
            self.truncated = True
            self._note("capture-truncated", f"the last packet is cut: {left} bytes of it are left")
        if getattr(self._stream, "local_time", False):  # of a Network Monitor file
            self._note("capture-local-time", "the capture has the local time of its machine, without a time zone")

    def _note_damage(self, detail: str) -> None:
        self.damaged_places += 1
        self._note("capture-damaged", detail)

    def _note(self, code: str, detail: str) -> None:
        """Add an anomaly at the last frame so far."""
        self._anomalies.append((code, max(self.packets - 1, 0), detail))


def open_capture(
    path: str | os.PathLike[str] | BinaryIO, *, first_frame: int = 1, window_bytes: int = WINDOW_BYTES
) -> Capture:
    """Open a capture in any format of `easpcap.capture.formats`, compressed or not; ``"-"`` is standard input.

    ``first_frame`` is the number of its first packet; ``window_bytes`` is how much is read at a time.
    Raises CaptureError, with one line that says what to do, where the file cannot be opened or is not a capture.
    """
    return _open(Source(path), first_frame, window_bytes)


def open_head(path: str) -> Capture:
    """Open a capture only to look at its first packets: a small window, and no hash."""
    return _open(Source(path, hashed=False), 1, PEEK_BYTES)


def _open(source: Source, first_frame: int, window_bytes: int) -> Capture:
    try:
        return Capture(source, first_frame=first_frame, window_bytes=window_bytes)
    except CaptureError:
        source.close()
        raise
