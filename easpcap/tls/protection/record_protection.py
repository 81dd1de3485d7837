"""What every way to protect records has in common: the interface that the record layer reads through."""

from __future__ import annotations

from typing import Protocol


class Protection(Protocol):
    """The reading state of one direction in one epoch. It belongs to the thread that made it (scratch buffer).

    ``sequence`` is the number of the next record (RFC 5246 section 6.1).
    """

    sequence: int

    def open(self, content_type: int, version: int, fragment: bytes | memoryview) -> bytes | None:
        """The plaintext of the next record; None where MAC, tag or padding is wrong or the fragment is too short.

        ``version`` is the one in the record's header. The sequence number advances in any case.
        """

    def reopen(
        self,
        content_type: int,
        version: int,
        fragment: bytes | memoryview,
        before: bytes,
        lost_bytes: int,
        tries: int,
        /,
    ) -> bytes | None:
        """The plaintext of the first record found after a gap; reading goes on after it.

        None where no sequence number makes MAC or tag hold: the state is then as before, a later record can be tried.
        ``lost_bytes``: stream bytes (headers and fragments of the lost records) between the last record opened and
        this record's header. ``before``: up to limits.RESYNC_CONTEXT_BYTES ciphertext bytes that stand directly
        before this record's header; SSL 3.0 and TLS 1.0 chain their IV through them (16 suffice unless MACs are
        outside the encryption). ``tries`` bounds the sequence numbers tried (never more than
        limits.MAX_RESYNC_TRIES).
        """
