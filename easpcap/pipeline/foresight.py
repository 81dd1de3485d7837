"""Looks ahead for RSA key exchanges, so that they are decrypted beside the reading instead of in its way.

An RSA operation takes as long as a thousand records, and the library lets other threads run meanwhile. What is not
found here (a key exchange behind a client certificate, or split over segments) is decrypted when its turn comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

    from easpcap.batch import PacketBatch
    from easpcap.tls.keys import KeyRing

#: Smaller batches are over before a thread is worth its start.
LEAST_ROWS = 4096

_HEADERS = 9  # of the record (RFC 5246 section 6.2.1) and of the handshake message (section 7.4)


class Foresight:
    """Hands the key exchanges of every large batch to a thread of its own."""

    def __init__(self, keyring: KeyRing) -> None:
        self._keyring = keyring
        self._executor: Executor | None = None

    def look(self, batch: PacketBatch) -> None:
        """Begin to decrypt the key exchanges of a batch."""
        if len(batch) < LEAST_ROWS or not self._keyring.has_private_keys:
            return
        if self._executor is None:
            from concurrent.futures import ThreadPoolExecutor

            self._executor = ThreadPoolExecutor(1, thread_name_prefix="easpcap-rsa")
        for encrypted in key_exchanges(batch):
            self._keyring.foresee(encrypted, self._executor)

    def close(self) -> None:
        """Nothing more will be read."""
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)
            self._executor = None


def key_exchanges(batch: PacketBatch) -> Iterator[bytes]:
    """The encrypted premaster secrets of segments that begin with a ClientKeyExchange (RFC 5246 section 7.4.7.1)."""
    import numpy as np

    buffer = np.frombuffer(batch.buffer, np.uint8)
    rows = np.flatnonzero(batch.captured > _HEADERS)
    at = batch.payload_at[rows]
    found = (buffer[at] == 22) & (buffer[at + 1] == 3) & (buffer[at + 5] == 16)  # handshake, SSL 3.0 on, its type
    view = memoryview(batch.buffer)
    for start, size in zip(at[found].tolist(), batch.captured[rows][found].tolist(), strict=True):
        length = int.from_bytes(view[start + 6 : start + _HEADERS], "big")
        body = bytes(view[start + _HEADERS : start + min(size, _HEADERS + length)])
        if len(body) == length:
            prefixed = int.from_bytes(body[:2], "big") == length - 2  # SSL 3.0 has no length here
            yield body[2:] if prefixed else body
