"""RsaPrefetcher: decrypts RSA key exchanges in another thread before their connections are read.

An RSA operation takes as long as reading a thousand records, and the library releases the interpreter lock meanwhile.
A key exchange that it does not find (after a client certificate, or split over segments) is decrypted when it is read.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

from easpcap.tls.codepoints import CLIENT_KEY_EXCHANGE, HANDSHAKE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from easpcap.batch import PacketBatch
    from easpcap.tls.secrets.keyring import KeyRing

#: For smaller batches, starting a thread takes longer than it saves.
MIN_ROWS = 4096

_HEADERS = 9  # bytes of the record header (RFC 5246 section 6.2.1) and of the handshake header (section 7.4)


class RsaPrefetcher:
    """Starts to decrypt the key exchanges of every large batch before the batch is read."""

    def __init__(self, keyring: KeyRing) -> None:
        self._keyring = keyring
        self._executor: OneThreadExecutor | None = None

    def prefetch(self, batch: PacketBatch) -> None:
        """Start to decrypt the key exchanges of a batch."""
        if len(batch) < MIN_ROWS or not self._keyring.has_private_keys:
            return
        if self._executor is None:
            self._executor = OneThreadExecutor()
        for encrypted in encrypted_premasters(batch):
            self._keyring.start_decrypting(encrypted, self._executor.submit)

    def close(self) -> None:
        """End the thread: nothing more will be read."""
        if self._executor is not None:
            self._executor.shutdown()
            self._executor = None


class OneThreadExecutor:
    """Makes calls one after the other in a thread. Loading concurrent.futures takes as long as 50 RSA operations."""

    def __init__(self) -> None:
        self._futures: SimpleQueue[Future | None] = SimpleQueue()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="easpcap-rsa", daemon=True)
        self._thread.start()

    def submit(self, function: Callable[..., bytes | None], *arguments: object) -> Future:
        """Let the thread call ``function``; return its future result."""
        future = Future(function, arguments)
        self._futures.put(future)
        return future

    def shutdown(self) -> None:
        """Drop the calls that have not begun, and end the thread."""
        self._closing = True
        self._futures.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (future := self._futures.get()) is not None and not self._closing:
            future.run()


class Future:
    """A call that the thread makes."""

    __slots__ = ("_arguments", "_cancelled", "_done", "_error", "_function", "_value")

    def __init__(self, function: Callable[..., bytes | None], arguments: tuple[object, ...]) -> None:
        self._function, self._arguments = function, arguments
        self._value: bytes | None = None
        self._error: Exception | None = None
        self._cancelled = False
        self._done = threading.Lock()
        self._done.acquire()  # held until the call has been made

    def run(self) -> None:
        """Make the call, unless it was cancelled."""
        try:
            if not self._cancelled:
                self._value = self._function(*self._arguments)
        except Exception as error:  # noqa: BLE001  # `result` raises it
            self._error = error
        finally:
            self._done.release()

    def cancel(self) -> None:
        """Do not make the call if it has not begun. Do not call `result` afterwards."""
        self._cancelled = True

    def result(self) -> bytes | None:
        """Wait for the call; return what it returned, or raise what it raised."""
        with self._done:
            if self._error is not None:
                raise self._error
            return self._value


def encrypted_premasters(batch: PacketBatch) -> Iterator[bytes]:
    """The encrypted premaster secrets of segments that begin with a ClientKeyExchange (RFC 5246 section 7.4.7.1)."""
    import numpy as np

    buffer = np.frombuffer(batch.buffer, np.uint8)
    rows = np.flatnonzero(batch.captured > _HEADERS)
    at = batch.payload_at[rows]
    # record type, major version (3: SSL 3.0 and later), handshake type
    found = (buffer[at] == HANDSHAKE) & (buffer[at + 1] == 3) & (buffer[at + 5] == CLIENT_KEY_EXCHANGE)
    view = memoryview(batch.buffer)
    for start, size in zip(at[found].tolist(), batch.captured[rows][found].tolist(), strict=True):
        length = int.from_bytes(view[start + 6 : start + _HEADERS], "big")
        body = bytes(view[start + _HEADERS : start + min(size, _HEADERS + length)])
        if len(body) == length:
            prefixed = int.from_bytes(body[:2], "big") == length - 2  # SSL 3.0 sends no length before the ciphertext
            yield body[2:] if prefixed else body
