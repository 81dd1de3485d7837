"""The interface through which the record layer decrypts records."""

from __future__ import annotations

from typing import Protocol


class Protection(Protocol):
    """Decrypts the records of one direction in one epoch. Only the thread that made it may use it (scratch buffer).

    ``sequence`` is the number of the next record (RFC 5246 section 6.1).
    """

    sequence: int

    def open(self, content_type: int, version: int, fragment: bytes | memoryview) -> bytes | None:
        """The plaintext of the next record; None if MAC, tag or padding is wrong or the fragment is too short.

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
        """The plaintext of the first record found after a gap; ``open`` then continues with the next one.

        None if MAC or tag is wrong with every sequence number tried: the state is unchanged, try a later record.
        ``lost_bytes``: stream bytes (headers and fragments of the lost records) between the last record opened and
        this record's header. ``before``: up to limits.RESYNC_CONTEXT_BYTES ciphertext bytes directly before this
        record's header; SSL 3.0 and TLS 1.0 take their IV from them (16 suffice unless MACs are outside the
        encryption). ``tries`` limits the sequence numbers tried (never more than limits.MAX_RESYNC_TRIES).
        """
