"""CaptureSet: the captures of an analysis as one, in time order. `merging` joins several."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from easpcap.capture.member import Member, identity
from easpcap.limits import WINDOW_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from easpcap.batch import PacketBatch
    from easpcap.capture.capture import Capture
    from easpcap.capture.merging import Merging, TwoPoints
    from easpcap.capture.translations import Translated


class CaptureSet:
    """Captures as one. Iterating reads them once; the attributes are final when the iteration has ended.

    The buffer of a batch is valid until the next batch is read. Raises CaptureError where a capture cannot be read.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        different = list({identity(path): path for path in reversed(paths)}.values())[::-1]
        #: in the order of their first packets
        self.members = [Member(path) for path in different]
        self._merging: Merging | None = None
        if len(self.members) > 1:
            from easpcap.capture.merging import Merging, sorted_members  # a single capture needs nothing of it

            self.members = sorted_members(self.members)
            self._merging = Merging(self.members)
        for number, member in enumerate(self.members):
            member.number = number

    def __iter__(self) -> Iterator[PacketBatch]:
        try:
            if self._merging is not None:
                yield from self._merging
            for member in self.members if self._merging is None else ():
                yield from member.open(1, WINDOW_BYTES)
        finally:
            for member in self.members:
                member.close()

    @property
    def bytes_read(self) -> int:
        """Bytes of all captures read so far."""
        return sum(capture.bytes_read for capture in self.opened)

    @property
    def opened(self) -> list[Capture]:
        """The captures that are read or were read."""
        return [member.capture for member in self.members if member.capture is not None]

    @property
    def numbered(self) -> Iterator[tuple[Member, Capture, int]]:
        """The captures that were read, and for each the number of its first packet in the whole set."""
        first_frames = accumulate((member.packets for member in self.members), initial=1)
        for member, first_frame in zip(self.members, first_frames, strict=False):
            if member.capture is not None:
                yield member, member.capture, first_frame

    @property
    def two_points(self) -> list[TwoPoints]:
        """The captures that recorded the same packets at different times."""
        return self._merging.two_points if self._merging is not None else []

    @property
    def translated(self) -> list[Translated]:
        """The captures that show the same connections under different addresses; frames are final."""
        return self._merging.translated if self._merging is not None else []

    def copies(self, member: Member) -> int:
        """How many packets of a capture were dropped because another one contains them."""
        return self._merging.copies(member) if self._merging is not None else 0

    @property
    def renumbers(self) -> bool:
        """Whether frames of batches and captures are not final: `final_frame` gives the final ones at the end."""
        return self._merging is not None and self._merging.overlap

    def final_frame(self, frame: int) -> int:
        """The number of a packet in the whole set, by the frame in its batch."""
        return self._merging.final_frame(frame) if self._merging is not None else frame
