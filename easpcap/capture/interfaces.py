"""pcapng interfaces: the link type of their packets and the unit of their times."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from easpcap.capture.packets import UNKNOWN_LINK_TYPE
from easpcap.limits import MAX_INTERFACES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

SECOND: Final = 10**9
END_OF_OPTIONS, IF_TSRESOL, IF_TSOFFSET = 0, 9, 14
ISB_DROPS: Final = (5, 7)  # isb_ifdrop, isb_osdrop
#: Microseconds, where the block has no if_tsresol (pcapng section 4.2).
USUAL_RESOLUTION: Final = 6
NO_SNAP: Final = 2**32
MASK: Final = 2**64 - 1


class Interface(NamedTuple):
    """One Interface Description Block."""

    link_type: int
    snap: int  # bytes kept of a packet; NO_SNAP where unlimited
    resolution: int  # the if_tsresol byte: 10^-n, with the highest bit set 2^-n of a second
    offset_ns: int  # added to every time; wrapped to 64 bits


UNKNOWN: Final = Interface(UNKNOWN_LINK_TYPE, NO_SNAP, USUAL_RESOLUTION, 0)


def parse_interface(body: bytes, order: str) -> Interface:
    """Parse the body of an Interface Description Block; fields that are cut off or invalid count as absent."""
    if len(body) < 8:
        return UNKNOWN
    link_type, _, snap = struct.unpack_from(order + "HHI", body)
    resolution, offset = USUAL_RESOLUTION, 0
    for code, value in _options(body, order, 8):
        if code == IF_TSRESOL and len(value) == 1:
            resolution = value[0]
        elif code == IF_TSOFFSET and len(value) == 8:
            offset = struct.unpack(order + "q", value)[0]
    return Interface(link_type, snap or NO_SNAP, resolution, (offset * SECOND) & MASK)


def parse_dropped(body: bytes, order: str) -> dict[int, int]:
    """The packets that an interface dropped, by its number, of an Interface Statistics Block; none where it is silent.

    The interface and the operating system count different ones (pcapng section 4.6).
    """
    counts = dict(_options(body, order, 12))
    dropped = [struct.unpack(order + "Q", counts[code])[0] for code in ISB_DROPS if len(counts.get(code, b"")) == 8]
    return {struct.unpack_from(order + "I", body)[0]: sum(dropped)} if dropped and len(body) >= 4 else {}


def _options(body: bytes, order: str, position: int) -> Iterator[tuple[int, bytes]]:
    """The options of a block from ``position`` on."""
    while position + 4 <= len(body):
        code, size = struct.unpack_from(order + "HH", body, position)
        if code == END_OF_OPTIONS:
            return
        yield code, body[position + 4 : position + 4 + size]
        position += 4 + (size + 3 & ~3)


class Interfaces:
    """The interfaces of the sections in a window; each section numbers its own from 0.

    All are in one table that ends with UNKNOWN, so that packets of many sections are looked up at once.
    """

    def __init__(self) -> None:
        self._table: list[Interface] = []
        self._base = 0
        self._columns: NDArray[np.uint64] | None = None

    def add(self, interface: Interface) -> bool:
        """Append to the current section; False where it has MAX_INTERFACES already and drops this one."""
        if len(self._table) - self._base >= MAX_INTERFACES:
            return False
        self._table.append(interface)
        self._columns = None
        return True

    def begin_section(self) -> int:
        """Begin a section with interface 0; return the index of that interface in the table."""
        self._base = len(self._table)
        return self._base

    def forget_past_sections(self) -> None:
        """Keep only the current section, whose base becomes 0."""
        if self._base:
            self._table = self._table[self._base :]
            self._base = 0
            self._columns = None

    def mark(self) -> tuple[int, int]:
        """A state to which `rewind` returns."""
        return len(self._table), self._base

    def rewind(self, mark: tuple[int, int]) -> None:
        """Drop the interfaces that were added after ``mark``."""
        size, self._base = mark
        del self._table[size:]
        self._columns = None

    def rows(self, numbers: NDArray[np.int64], bases: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
        """Table rows of ``numbers`` in sections whose interfaces are at ``bases`` up to ``ends``."""
        rows = bases + numbers
        return np.where(rows < ends, rows, len(self._table))

    @property
    def end(self) -> int:
        """The index after the last interface."""
        return len(self._table)

    def columns(self) -> NDArray[np.uint64]:
        """Link type, snap, resolution and offset of every interface and of UNKNOWN, one row each."""
        if self._columns is None:
            rows = [[value & MASK for value in interface] for interface in (*self._table, UNKNOWN)]
            self._columns = np.array(rows, dtype=np.uint64).T
        return self._columns


def ticks_to_ns(ticks: NDArray[np.uint64], resolution: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Exact nanoseconds, rounded down; times beyond 64 bits, which only a hostile file has, wrap."""
    found = np.unique(resolution).tolist()
    if len(found) == 1:
        return _convert(ticks, found[0])
    result = np.zeros_like(ticks)
    for value in found:
        chosen = resolution == value
        result[chosen] = _convert(ticks[chosen], value)
    return result


def _convert(ticks: NDArray[np.uint64], resolution: int) -> NDArray[np.uint64]:
    power = resolution & 0x7F
    if resolution & 0x80:  # powers of 2 are rare, and Python's integers are exact
        return np.array([(tick * SECOND >> power) & MASK for tick in ticks.tolist()], dtype=np.uint64)
    if power <= 9:
        return ticks * np.uint64(10 ** (9 - power))
    if power <= 28:
        return ticks // np.uint64(10 ** (power - 9))
    return np.zeros_like(ticks)
