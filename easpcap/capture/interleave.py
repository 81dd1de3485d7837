"""Joins rows of several captures into one batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from easpcap.batch import PacketBatch
from easpcap.capture.clock import STEP_NS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: The columns of a batch.
_COLUMNS = tuple(name for name in PacketBatch.__match_args__ if name not in {"buffer", "quoted"})


def take(batch: PacketBatch, rows: slice | NDArray[Any]) -> PacketBatch:
    """Some rows of a batch, in the same buffer."""
    return batch.replaced(**{name: getattr(batch, name)[rows] for name in _COLUMNS})


def in_time_order(batch: PacketBatch) -> PacketBatch:
    """The rows in the order of their times; where those go back by a step of the clock, its rows stay after it."""
    later = np.diff(batch.time_ns)
    if not (later < 0).any():
        return batch
    epochs = np.concatenate([[0], np.cumsum(later < -STEP_NS)])
    return take(batch, np.lexsort((batch.time_ns, epochs)))


def join(batches: Sequence[PacketBatch]) -> PacketBatch:
    """The rows of one batch after the other, with a copy of their options and payloads in one buffer."""
    pieces: list[memoryview | bytes] = []
    places: list[NDArray[np.int64]] = []
    size = 0
    for batch in batches:
        piece, at = _bytes_of(batch)
        pieces.append(piece)
        places.append(at + size)
        size += len(piece)
    pieces.append(b"\0")  # an offset after the last byte must be within the buffer
    columns = {name: np.concatenate([getattr(batch, name) for batch in batches]) for name in _COLUMNS}
    quoted = tuple(quote for batch in batches for quote in batch.quoted)
    return PacketBatch(b"".join(pieces), **columns | {"payload_at": np.concatenate(places)}, quoted=quoted)


def _bytes_of(batch: PacketBatch) -> tuple[memoryview, NDArray[np.int64]]:
    """The part of the buffer with all options and payloads, and where in it each payload begins."""
    first = int((batch.payload_at - np.maximum(batch.options, 0)).min())
    last = int((batch.payload_at + batch.captured).max())
    return memoryview(batch.buffer)[first:last], batch.payload_at - first
