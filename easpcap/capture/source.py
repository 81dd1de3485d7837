"""Source: the stored bytes of a capture, from a path, standard input or an open file; hashed and counted."""

from __future__ import annotations

import hashlib
import os
import queue
import select
import stat
import sys
import threading
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from easpcap.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

#: Enough to recognise every format by its magic, and less than the smallest capture with a whole packet.
MAGIC_BYTES: Final = 64
#: Bytes read at a time where they are only hashed.
DRAIN_BYTES: Final = 256 * 2**10
#: The usual capacity of a pipe.
PIPE_BYTES: Final = 64 * 2**10
#: A window is handed on when a pipe has been quiet for this long ...
QUIET_MS: Final = 20
#: ... or this long after its first byte, so that a slow steady writer is not held back either.
LONGEST_FILL_S: Final = 0.2


class Stream(Protocol):
    """The bytes of a capture from front to end, as stored, decompressed or converted."""

    @property
    def damage(self) -> str:
        """Why the stream ended too early; empty where it did not."""

    def peek(self) -> bytes:
        """The first bytes; they can still be read."""

    def read_into(self, view: memoryview) -> int:
        """Fill ``view``; return the bytes read: fewer than its size where a pipe pauses or ends, 0 only at the end."""

    def begin_window(self) -> None:
        """Prepare for the bytes of earlier calls to be overwritten; a pipe may pause again from here on."""

    def more_comes(self) -> bool:
        """Whether to read on before the bytes read so far are used: False where a pipe pauses."""

    def close(self) -> None:
        """Release what the stream holds."""


class Hasher:
    """SHA-256 in a second thread, so that it costs no wall time (hashlib releases the interpreter lock)."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._pieces: queue.Queue[bytes | memoryview | None] = queue.Queue(maxsize=4)
        self._thread = threading.Thread(target=self._run, name="sha256", daemon=True)
        self._thread.start()

    def update(self, piece: bytes | memoryview) -> None:
        """Hash ``piece``, which must not change before `wait` has returned."""
        self._pieces.put(piece)

    def wait(self) -> None:
        """Return when all pieces so far are hashed."""
        self._pieces.join()

    def finish(self) -> str:
        """End the thread; return the digest in hex."""
        self._pieces.put(None)
        self._thread.join()
        return self._digest.hexdigest()

    def _run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            self._digest.update(piece)
            self._pieces.task_done()


class Source:
    """Stored bytes, read once from front to end, hashed and counted. Raises CaptureError where reading fails.

    Reading from a pipe waits only for the first byte, and returns when the writer pauses. A regular file yields as much
    as is requested.
    """

    damage = ""

    def __init__(self, file: str | os.PathLike[str] | BinaryIO, *, hashed: bool = True) -> None:
        self.path, self._file, self._owned = _open(file)
        self.size = _stored_size(self._file)
        self._pipe = None if self.size is not None else _descriptor(self._file)
        self._read_some = _reader(self._file, is_pipe=self._pipe is not None)
        self._deadline: float | None = None
        self.bytes_read = 0
        self.sha256 = ""
        self._hasher = Hasher() if hashed else None
        self._front = b""

    def peek(self) -> bytes:
        """The first bytes; they can still be read."""
        while len(self._front) < MAGIC_BYTES and (piece := self._read_piece(MAGIC_BYTES - len(self._front))):
            self._front += piece
        return self._front

    def _read_piece(self, size: int) -> bytes:
        front, self._front = self._front, b""
        piece = self.read(size)
        self._front = front
        return piece

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; fewer where a pipe pauses, none only at the end."""
        view = memoryview(bytearray(size))
        return bytes(view[: self.read_into(view)])

    def read_into(self, view: memoryview) -> int:
        """Fill ``view``; return the bytes read: fewer than its size where a pipe pauses or ends, 0 only at the end.

        The hash thread may still read them: call `begin_window` before overwriting them.
        """
        start = done = min(len(self._front), len(view))
        view[:done] = self._front[:done]
        self._front = self._front[done:]
        try:
            while done < len(view) and (not done or self.more_comes()) and (size := self._read_some(view[done:])):
                done += size
        except OSError as error:
            msg = f"{self.path}: reading failed ({error.strerror or error}); copy it to a local disk and try again"
            raise CaptureError(msg) from error
        self.bytes_read += done - start
        if self._hasher and done > start:
            self._hasher.update(view[start:done])
        return done

    def begin_window(self) -> None:
        """Wait until all bytes read so far are hashed; a pipe then has LONGEST_FILL_S from its next byte on."""
        self._deadline = None
        if self._hasher:
            self._hasher.wait()

    def more_comes(self) -> bool:
        """Whether to read on before the bytes read so far are used: False where a pipe pauses."""
        if self._pipe is None:
            return True
        now = monotonic()
        if self._deadline is None:
            self._deadline = now + LONGEST_FILL_S
        return now < self._deadline and _readable(self._pipe, QUIET_MS)

    def drain(self) -> None:
        """Read to the end, only for the hash."""
        self._front = b""
        while self.read(DRAIN_BYTES):
            pass
        self.sha256 = self._end_hash()

    @property
    def reopenable(self) -> bool:
        """Whether this is a regular file that was opened by its name, so that it can be opened again."""
        return self.size is not None and self._owned

    def close(self) -> None:
        """End the hash thread, and close the file if it was opened here."""
        self._end_hash()
        if self._owned:
            self._file.close()

    def _end_hash(self) -> str:
        hasher, self._hasher = self._hasher, None
        return hasher.finish() if hasher else ""


def _open(file: str | os.PathLike[str] | BinaryIO) -> tuple[str, BinaryIO, bool]:
    """The display name, the open file, and whether `Source.close` must close it."""
    if not isinstance(file, str | os.PathLike):
        return str(getattr(file, "name", "(stream)")), file, False
    path = os.fspath(file)
    if path == "-":
        stdin = sys.stdin.buffer
        return "-", getattr(stdin, "raw", stdin), False
    try:
        return path, Path(path).open("rb", buffering=0), True
    except IsADirectoryError as error:
        msg = f"{path}: this is a folder; name the capture files in it"
        raise CaptureError(msg) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        msg = f"{path}: cannot be opened ({reason}); check the name and your rights"
        raise CaptureError(msg) from error


def _stored_size(file: BinaryIO) -> int | None:
    """Size of a regular file in bytes; None for a pipe or for something that has no descriptor."""
    try:
        status = os.fstat(file.fileno())
    except (AttributeError, OSError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _descriptor(file: BinaryIO) -> int | None:
    """The descriptor of an open file; None where it has none, such as a BytesIO."""
    try:
        return file.fileno()
    except (AttributeError, OSError):
        return None


def _readable(descriptor: int, wait_ms: int | None) -> bool:
    """Whether bytes, or the end, can be read within ``wait_ms`` (None: wait without a limit)."""
    if not hasattr(select, "poll"):  # on Windows: every piece of a pipe is used at once
        return False
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(wait_ms))


def _reader(file: BinaryIO, *, is_pipe: bool) -> Callable[[memoryview], int]:
    """A function that reads into a view and returns the number of bytes, 0 at the end; it does not wait to fill it."""
    read_into = getattr(file, "readinto", None)
    read = getattr(file, "read1", None) if is_pipe else None  # readinto of a BufferedReader waits for the whole view

    def read_some(view: memoryview) -> int:
        if read is not None or read_into is None:
            data = read(min(len(view), PIPE_BYTES)) if read is not None else file.read(len(view))
            view[: len(data)] = data
            return len(data)
        size = read_into(view)
        while size is None and is_pipe and _readable(file.fileno(), None):  # a non-blocking pipe
            size = read_into(view)
        return int(size or 0)

    return read_some
