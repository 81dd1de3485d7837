"""UndecryptedTracker: finds the first record of a connection that was not decrypted although records before it were."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.results import FirstUndecrypted

if TYPE_CHECKING:
    from collections.abc import Callable

    from easpcap.stream import Position


class UndecryptedTracker:
    """Follows one TLS connection; call it for what was decrypted and what was not, in the order of the stream.

    ``first`` is None until a record is not decrypted although application data before it was. ``decrypted_later`` says
    whether application data of the same direction was decrypted after that record.
    """

    __slots__ = ("_any_decrypted", "_locate", "decrypted_later", "first")

    def __init__(self, locate: Callable[[int, int], Position]) -> None:
        self.first: FirstUndecrypted | None = None
        self.decrypted_later = False
        self._any_decrypted = False
        self._locate = locate

    def decrypted(self, direction: int) -> None:
        """Application data of this direction was decrypted."""
        self._any_decrypted = True
        if self.first is not None and direction == self.first.direction:
            self.decrypted_later = True

    def not_decrypted(self, direction: int, offset: int) -> None:
        """The record that begins at ``offset`` of this TCP stream was not decrypted."""
        if self.first is None and self._any_decrypted:
            self.first = FirstUndecrypted(direction, offset, self._locate(direction, offset).frame)
