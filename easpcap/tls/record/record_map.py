"""The map between the plaintext of one direction and the records that carried it."""

from __future__ import annotations

from bisect import bisect_right

from easpcap.limits import MAX_RECORD_SPANS


class RecordMap:
    """Parallel columns, one row per record of application data; read_application appends to them directly.

    ``plain_ends``: plaintext offset after the record. ``starts``, ``ends``: its TCP stream offsets, header included.
    """

    __slots__ = ("_before", "ends", "plain_ends", "starts")

    def __init__(self) -> None:
        self.plain_ends: list[int] = []
        self.starts: list[int] = []
        self.ends: list[int] = []
        self._before = 0  # plaintext offset after the last record that was dropped

    def plain_offset(self, cipher_offset: int) -> int:
        """The plaintext offset reached by the complete records that end at or before ``cipher_offset``."""
        row = bisect_right(self.ends, cipher_offset)
        return self.plain_ends[row - 1] if row else self._before

    def cipher_offset(self, plain_offset: int, *, last: bool = False) -> int | None:
        """The first byte, or the last, of the record that holds a plaintext byte; at the very end the last one.

        None: there was no record yet.
        """
        ends = self.plain_ends
        row = bisect_right(ends, plain_offset)
        if row == len(ends):
            if not row:
                return None
            row -= 1
        return self.ends[row] - 1 if last else self.starts[row]

    def prune(self, cipher_offset: int) -> None:
        """Forget the records that end before ``cipher_offset``; the last one always stays."""
        self._drop(min(bisect_right(self.ends, cipher_offset), len(self.ends) - 1))

    def bound(self) -> None:
        """Forget the older half where nobody prunes."""
        if len(self.ends) > MAX_RECORD_SPANS:
            self._drop(len(self.ends) // 2)

    def _drop(self, rows: int) -> None:
        if rows <= 0:
            return
        self._before = self.plain_ends[rows - 1]
        del self.plain_ends[:rows], self.starts[:rows], self.ends[:rows]
