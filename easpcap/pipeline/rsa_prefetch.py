"""Looks ahead for RSA key exchanges, so that they are decrypted beside the reading instead of in its way.

An RSA operation takes as long as a thousand records, and the library lets other threads run meanwhile. What is not
found here (a key exchange behind a client certificate, or split over segments) is decrypted when its turn comes.
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

#: Smaller batches are over before a thread is worth its start.
LEAST_ROWS = 4096

_HEADERS = 9  # of the record (RFC 5246 section 6.2.1) and of the handshake message (section 7.4)


class RsaPrefetcher:
    """Hands the key exchanges of every large batch to a thread of its own."""

    def __init__(self, keyring: KeyRing) -> None:
        self._keyring = keyring
        self._worker: Worker | None = None

    def look(self, batch: PacketBatch) -> None:
        """Begin to decrypt the key exchanges of a batch."""
        if len(batch) < LEAST_ROWS or not self._keyring.has_private_keys:
            return
        if self._worker is None:
            self._worker = Worker()
        for encrypted in key_exchanges(batch):
            self._keyring.start_decrypting(encrypted, self._worker.submit)

    def close(self) -> None:
        """Nothing more will be read."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None


class Worker:
    """A thread that does one thing after the other; to load concurrent.futures takes as long as 50 RSA operations."""

    def __init__(self) -> None:
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="easpcap-rsa", daemon=True)
        self._thread.start()

    def submit(self, function: Callable[..., bytes | None], *arguments: object) -> Task:
        """Have ``function`` called some time."""
        task = Task(function, arguments)
        self._tasks.put(task)
        return task

    def close(self) -> None:
        """Leave undone what has not begun, and end."""
        self._closing = True
        self._tasks.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None and not self._closing:
            task.run()


class Task:
    """A call that another thread makes."""

    __slots__ = ("_arguments", "_done", "_error", "_function", "_given_up", "_value")

    def __init__(self, function: Callable[..., bytes | None], arguments: tuple[object, ...]) -> None:
        self._function, self._arguments = function, arguments
        self._value: bytes | None = None
        self._error: Exception | None = None
        self._given_up = False
        self._done = threading.Lock()
        self._done.acquire()  # held until the call has been made

    def run(self) -> None:
        """Make the call, unless nobody wants its result any more."""
        try:
            if not self._given_up:
                self._value = self._function(*self._arguments)
        except Exception as error:  # noqa: BLE001  # it is raised where the result is asked for
            self._error = error
        finally:
            self._done.release()

    def cancel(self) -> None:
        """Nobody will ask for the result."""
        self._given_up = True

    def result(self) -> bytes | None:
        """What the call gave, as soon as it has; or what it raised."""
        with self._done:
            if self._error is not None:
                raise self._error
            return self._value


def key_exchanges(batch: PacketBatch) -> Iterator[bytes]:
    """The encrypted premaster secrets of segments that begin with a ClientKeyExchange (RFC 5246 section 7.4.7.1)."""
    import numpy as np

    buffer = np.frombuffer(batch.buffer, np.uint8)
    rows = np.flatnonzero(batch.captured > _HEADERS)
    at = batch.payload_at[rows]
    found = (buffer[at] == HANDSHAKE) & (buffer[at + 1] == 3) & (buffer[at + 5] == CLIENT_KEY_EXCHANGE)  # 3: SSL 3.0 on
    view = memoryview(batch.buffer)
    for start, size in zip(at[found].tolist(), batch.captured[rows][found].tolist(), strict=True):
        length = int.from_bytes(view[start + 6 : start + _HEADERS], "big")
        body = bytes(view[start + _HEADERS : start + min(size, _HEADERS + length)])
        if len(body) == length:
            prefixed = int.from_bytes(body[:2], "big") == length - 2  # SSL 3.0 has no length here
            yield body[2:] if prefixed else body
