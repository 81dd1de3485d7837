"""Finds the record headers of a pcap window by following many chains in parallel; each proves the next.

A record begins where the one before it ends, so headers must be found one after the other. This module guesses places
all over the window that look like headers, and follows a chain of records from each. A chain that arrives exactly where
the next one began proves the next guess; the caller reads what follows the first chain that does not.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Bytes of the window per chain, and the most headers that one chain finds.
SPACING: Final = 16 * 2**10
MOST_STEPS: Final = 1024
#: Steps between two checks whether all chains have arrived.
STEPS_AT_ONCE: Final = 16
#: With fewer chains than this, reading header by header is faster.
LEAST_CHAINS: Final = 16
#: A guess is rejected where it claims a packet larger than this.
LIKELY_BYTES: Final = 256 * 2**10


def follow_chains(
    buffer: bytearray, start: int, end: int, order: str, header_bytes: int
) -> tuple[NDArray[np.int64], int]:
    """The offsets of the first headers of whole packets in ``buffer[start:end]``, and that of the header after them.

    The first header is at ``start``; ``order`` is the byte-order sign of struct. The buffer extends beyond ``end``.
    """
    guesses = np.array(_guesses(buffer, start, end, order, header_bytes), dtype=np.int64)
    if len(guesses) < LEAST_CHAINS:
        return guesses[:0], start
    at, bounds = guesses[:-1], guesses[1:]
    captured = np.ndarray((len(buffer) - 3,), order + "u4", buffer, 0, (1,))
    header = np.int64(header_bytes)
    steps = [at]
    while (at < bounds).any() and len(steps) < MOST_STEPS:
        for _ in range(STEPS_AT_ONCE):
            at = np.minimum(at + captured[at + 8] + header, end)
            steps.append(at)
    places = np.array(steps).T
    astray = np.flatnonzero(~(places == bounds[:, None]).any(axis=1))
    proven = int(astray[0]) + 1 if len(astray) else len(bounds)
    offsets = places[:proven][places[:proven] < bounds[:proven, None]]
    if len(astray):  # the last packet found may be cut, or claim too much
        return offsets[:-1], int(offsets[-1])
    return offsets, int(bounds[-1])


def _guesses(buffer: bytearray, start: int, end: int, order: str, header_bytes: int) -> list[int]:
    """Places that look like headers: the high bytes of the seconds equal the first packet's, also in the next one."""
    shift = 1 if order == "<" else 0
    likely = bytes(buffer[start + shift : start + shift + 3])
    sizes = struct.Struct(order + "II").unpack_from
    guesses = [start]
    for place in range(start + SPACING, end - SPACING, SPACING):
        at = buffer.find(likely, place, place + SPACING) - shift
        if at < place:
            continue
        captured, original = sizes(buffer, at + 8)
        following = at + header_bytes + captured + shift
        if captured <= min(original, LIKELY_BYTES) and buffer.startswith(likely, following):
            guesses.append(at)
    return guesses
