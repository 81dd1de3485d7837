"""Finds connections that two captures show under different addresses, on both sides of an address translation."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from easpcap.capture.duplicates import alike_in_several_files
from easpcap.capture.segments import mixed
from easpcap.limits import MAX_TRANSLATIONS

if TYPE_CHECKING:
    from easpcap.batch import PacketBatch
    from easpcap.capture.duplicates import Candidates
    from easpcap.capture.segments import Segments

#: So many packets with data must have the same numbers, lengths and bytes.
LEAST_PACKETS = 3


class Translated(NamedTuple):
    """Connections of one capture that another shows under other addresses; the frames are those of one such packet."""

    first_file: int
    second_file: int
    connections: int
    first_frame: int
    second_frame: int


class Translations:
    """Compares packets whose addresses differ, by sequence numbers, lengths and a sum of their bytes."""

    def __init__(self) -> None:
        # by the two captures and the connection in each: how many packets, and the frames of the first of them
        self._found: dict[tuple[int, int, int, int], tuple[int, int, int]] = {}

    def compare(self, batch: PacketBatch, segments: Segments, candidates: Candidates) -> None:
        """Read packets of several captures, in any order."""
        data = np.flatnonzero((candidates.captured > 0) & (candidates.content >= 0))
        if not len(data):
            return
        rows = candidates.where(data)
        numbers = batch.seq[data].astype(np.uint64) << np.uint64(32) | batch.ack[data]
        size, content = batch.on_wire[data].astype(np.uint64), rows.content.astype(np.uint64)
        chosen, group = alike_in_several_files(rows._replace(alike=mixed(numbers, size, content)))
        flow, file = segments.flow[data[chosen]], rows.file[chosen]
        pairs = np.flatnonzero((group[1:] == group[:-1]) & (file[1:] != file[:-1]) & (flow[1:] != flow[:-1]))
        frame = batch.frame[data[chosen]]
        for place in pairs[:MAX_TRANSLATIONS].tolist():
            first, second = sorted((place, place + 1), key=lambda row: int(file[row]))
            self._add((file[first], file[second], flow[first], flow[second]), int(frame[first]), int(frame[second]))

    def _add(self, where: tuple[np.int64, np.int64, np.uint64, np.uint64], first: int, second: int) -> None:
        key = (int(where[0]), int(where[1]), int(where[2]), int(where[3]))
        if key in self._found or len(self._found) < MAX_TRANSLATIONS:
            packets, *frames = self._found.get(key, (0, first, second))
            self._found[key] = (packets + 1, frames[0], frames[1])

    @property
    def found(self) -> list[Translated]:
        """One for each pair of captures."""
        by_files: dict[tuple[int, int], Translated] = {}
        for (first, second, *_), (packets, *frames) in self._found.items():
            if packets >= LEAST_PACKETS:
                known = by_files.get((first, second)) or Translated(first, second, 0, frames[0], frames[1])
                by_files[first, second] = known._replace(connections=known.connections + 1)
        return [by_files[files] for files in sorted(by_files)]
