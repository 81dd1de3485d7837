"""Packets: the columns that every scanner yields, before any link-layer header is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections import Counter

    from numpy.typing import NDArray

    from easpcap.capture.resync import Layout
    from easpcap.capture.window import Window

#: The most packets in one batch: its columns must not need more memory than the window that they describe.
BATCH_PACKETS: Final = 128 * 2**10

#: Distinct reasons under which ignored packets are counted.
MOST_REASONS: Final = 64

#: A TCP header without options.
LEAST_TCP: Final = 20

#: The time of a packet whose format stores none.
NO_TIME: Final = -(2**63)


#: The link types of a packet whose own is not known, and of a frame in which no packet is.
UNKNOWN_LINK_TYPE: Final = -1
NO_PACKET: Final = -2


class Packets(NamedTuple):
    """One row per captured packet, in file order. Offsets point into the window's buffer."""

    at: NDArray[np.int64]
    captured: NDArray[np.int64]  # bytes present
    original: NDArray[np.int64]  # bytes that were on the wire
    time_ns: NDArray[np.int64]  # since 1970 UTC; NO_TIME where the format stores none
    link_type: NDArray[np.int64]  # LINKTYPE_ value, UNKNOWN_LINK_TYPE or NO_PACKET


class Scanner(Protocol):
    """Finds the packets of one capture format in a window. Nothing is raised.

    ``link_types`` are the LINKTYPE_ values of the interfaces so far, in order of appearance, ``secrets`` the key logs
    so far. ``stuck`` says why no record begins at the window's start, and is empty while scanning goes on.
    """

    link_types: list[int]
    secrets: list[bytes]
    stuck: str

    @property
    def layout(self) -> Layout:
        """What a record looks like, to find one in a damaged file."""

    def scan(self, window: Window) -> Packets:
        """The next whole packets, at most BATCH_PACKETS; none where more bytes are needed. Moves ``window.start``."""

    def resume(self) -> None:
        """Go on with the record at the window's start, after `stuck`."""


class Skipped:
    """The packets that are not plain: counted by reason if they have no TCP inside, else kept to be walked."""

    def __init__(self, ignored: Counter[str]) -> None:
        self._ignored = ignored
        self._rows: list[NDArray[np.int64]] = []

    def count(self, reason: str, packets: int) -> None:
        """Count packets that are not read; there are at most about MOST_REASONS reasons."""
        if packets:
            if reason not in self._ignored and len(self._ignored) >= MOST_REASONS:
                reason = "other reasons"
            self._ignored[reason] += packets

    def walk(self, rows: NDArray[np.int64]) -> None:
        """Keep packets that `walk` must read one by one."""
        self._rows.append(rows)

    def rows(self) -> list[int]:
        """The packets to be walked, in file order."""
        rows: list[int] = np.sort(np.concatenate(self._rows)).tolist() if self._rows else []
        return rows


def gather(buffer: bytes | bytearray, offsets: NDArray[np.int64], dtype: np.dtype[Any]) -> NDArray[Any]:
    """A value of ``dtype`` from every offset; each value must be within the buffer.

    A view with a stride of one byte lets one indexing operation read unaligned structures at any offset.
    """
    opaque = np.dtype((np.void, dtype.itemsize))
    values = np.ndarray((len(buffer) - dtype.itemsize + 1,), opaque, buffer, 0, (1,))
    return values[offsets].view(dtype)
