"""Goes on where a scanner is stuck: at another capture that begins there, or at the next records that are certain."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from easpcap.capture.formats import capture_inside, find_capture
from easpcap.capture.pcapng import PcapngScanner
from easpcap.capture.records import RecordScanner
from easpcap.capture.resync import CHAIN, Search, prove, search
from easpcap.capture.source import MAGIC_BYTES
from easpcap.limits import MAX_LIKELY_PACKET_BYTES

if TYPE_CHECKING:
    from collections.abc import Generator

    from easpcap.capture.packets import Packets, Scanner
    from easpcap.capture.window import Window


class Recovered(NamedTuple):
    """How reading goes on after damage, or at another capture."""

    scanner: Scanner | None  # None where nothing more can be read
    damage: str = ""  # what is wrong, and what it cost; empty where nothing is
    skipped: int = 0  # bytes that were not read
    another: str = ""  # the format of another capture that begins here; empty where the same one goes on


def recover(window: Window, scanner: Scanner) -> Generator[Packets, None, Recovered]:
    """Find where to go on; yields the packet before the place where ``scanner`` is stuck, if that packet is whole."""
    if not isinstance(scanner, RecordScanner):
        another = _capture_at(window, 0)
        if another and not isinstance(another[1], PcapngScanner):  # a section is damaged where a scanner is stuck at it
            return _switch(scanner, another)
        return (yield from _search_onward(window, scanner))
    another = _capture_at(window, scanner.held_bytes)
    if not another:
        if _is_only_unusual(window, scanner):
            scanner.accept()
            return Recovered(scanner)
        inside = _search_in_held(window, scanner)
        if inside is not None and not scanner.has_lost_its_beginning(window, inside):
            return (yield from _cut_held(window, scanner, inside))
    if scanner.held_bytes:
        yield scanner.take_held(window)
    return _switch(scanner, another) if another else (yield from _search_onward(window, scanner))


def recover_rest(window: Window, scanner: Scanner) -> Recovered:
    """Find packets in what is left at the end of a file, where the last record claims more bytes than there are."""
    found = _earliest(window, scanner, window.start + 1, window.end).place
    return Recovered(None) if found is None else _go_on(window, scanner, found - window.start)


def _capture_at(window: Window, distance: int) -> tuple[str, Scanner] | None:
    """The format and scanner of a capture ``distance`` bytes after the window's start; None where none begins."""
    while window.end - window.start < distance + MAGIC_BYTES and window.refill():
        pass
    place = window.start + distance
    return capture_inside(bytes(window.buffer[place : min(place + MAGIC_BYTES, window.end)]))


def _switch(scanner: Scanner, another: tuple[str, Scanner], damage: str = "", skipped: int = 0) -> Recovered:
    """Go on with another capture; a further section of a pcapng file is part of the same one."""
    name, new = another
    if isinstance(scanner, PcapngScanner) and isinstance(new, PcapngScanner):
        scanner.resume()
        return Recovered(scanner, damage, skipped)
    return Recovered(new, damage, skipped, name)


def _is_only_unusual(window: Window, scanner: RecordScanner) -> bool:
    """Whether the record that looks odd is one: those after it are where it says they are."""
    while True:
        place = np.array([window.start + scanner.held_bytes])
        found = prove(scanner.lenient_layout, window, place)
        if found.final or not _more(window):
            return found.final and found.place is not None


def _search_in_held(window: Window, scanner: RecordScanner) -> int | None:
    """The distance to a record inside the packet before the damage: its length is wrong, or it was cut off."""
    while scanner.held_bytes:
        start = window.start
        found = _earliest(window, scanner, start + 1, start + scanner.held_bytes)
        if found.final or not _more(window):
            return found.place - start if found.final and found.place is not None else None
    return None


def _cut_held(window: Window, scanner: RecordScanner, following: int) -> Generator[Packets, None, Recovered]:
    """Go on ``following`` bytes after a record whose length is wrong; keep that record if it can be repaired."""
    length = scanner.repaired_length(window, window.start + following)
    if length is None:
        return _go_on(window, scanner, following)
    yield scanner.take_held(window, length)
    return _go_on(window, scanner, 0)


def _search_onward(window: Window, scanner: Scanner) -> Generator[Packets, None, Recovered]:
    """Skip what is no record, from the window's start on; keep the record there if only its length is wrong."""
    skipped, first = 0, window.start + 1
    while True:
        found = _earliest(window, scanner, first, window.end)
        if found.final and found.place is not None:
            if isinstance(scanner, RecordScanner) and not skipped:
                return (yield from _cut_held(window, scanner, found.place - window.start))
            return _go_on(window, scanner, found.place - window.start, skipped)
        may_repair = not skipped and window.end - window.start < KEPT_BYTES
        if may_repair and not window.ended and _more(window):
            first = window.start + 1
            continue
        keep_from = window.end if found.place is None else found.place
        skipped += keep_from - window.start
        window.start = keep_from
        if window.ended:
            return Recovered(None, f"the remaining {skipped:,} bytes cannot be read", skipped)
        first = window.start if _more(window) else window.start + 1


def _go_on(window: Window, scanner: Scanner, distance: int, skipped: int = 0) -> Recovered:
    """Go on with the record or the capture ``distance`` bytes after the window's start."""
    window.start += distance
    skipped += distance
    damage = f"{skipped:,} bytes that are no packets were skipped" if skipped else WRONG_LENGTH
    another = _capture_at(window, 0)
    if another:
        return _switch(scanner, another, damage, skipped)
    scanner.resume()
    return Recovered(scanner, damage, skipped)


#: Bytes after damage that are kept until what follows is judged: a chain of the greatest likely packets.
KEPT_BYTES = (CHAIN + 1) * MAX_LIKELY_PACKET_BYTES
#: Damage that cost no bytes.
WRONG_LENGTH = "the stored length of a packet is wrong; its length on the wire was used"


def _more(window: Window) -> bool:
    """Read on; False where the window is full. At the end of the file everything can be judged."""
    return window.refill() or window.ended


def _earliest(window: Window, scanner: Scanner, first: int, stop: int) -> Search:
    """The first record or capture in ``first`` up to ``stop`` that proves itself; see `Search`."""
    record = search(scanner.layout, window, first, stop)
    capture = find_capture(window, first, stop if record.place is None else min(record.place, stop))
    return record if capture.place is None else capture
