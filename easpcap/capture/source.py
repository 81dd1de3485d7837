"""Where a capture's bytes come from: a path, standard input or an open file; hashed and counted as they pass."""

from __future__ import annotations

import hashlib
import os
import queue
import stat
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from easpcap.errors import CaptureError

if TYPE_CHECKING:
    from typing import BinaryIO

#: Enough to recognise every format by its magic.
MAGIC_BYTES: Final = 64
#: Bytes read at a time where they are only hashed.
DRAIN_BYTES: Final = 256 * 2**10


class Stream(Protocol):
    """Bytes of a capture, uncompressed, from front to end."""

    @property
    def torn(self) -> str:
        """Why the stream ended too early; empty where it did not."""

    def peek(self) -> bytes:
        """The first bytes, which stay to be read."""

    def read_into(self, view: memoryview) -> int:
        """Fill ``view``; the number of bytes, fewer than its size only at the end."""


class Hasher:
    """SHA-256 in a thread of its own, so that it costs no wall time (hashlib releases the interpreter lock)."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._pieces: queue.Queue[bytes | memoryview | None] = queue.Queue(maxsize=4)
        self._thread = threading.Thread(target=self._run, name="sha256", daemon=True)
        self._thread.start()

    def update(self, piece: bytes | memoryview) -> None:
        """Hash ``piece``, which must not change before `wait` has returned."""
        self._pieces.put(piece)

    def wait(self) -> None:
        """Return when everything given so far is hashed."""
        self._pieces.join()

    def finish(self) -> str:
        """End the thread; the digest in hex."""
        self._pieces.put(None)
        self._thread.join()
        return self._digest.hexdigest()

    def _run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            self._digest.update(piece)
            self._pieces.task_done()


class Source:
    """Stored bytes, read once from front to end, hashed and counted. Raises CaptureError where reading fails."""

    torn = ""

    def __init__(self, file: str | os.PathLike[str] | BinaryIO, *, hashed: bool = True) -> None:
        self.path, self._file, self._owned = _open(file)
        self.size = _stored_size(self._file)
        self.bytes_read = 0
        self.sha256 = ""
        self._hasher = Hasher() if hashed else None
        self._front = b""

    def peek(self) -> bytes:
        """The first bytes, which stay to be read."""
        if not self._front:
            self._front = self.read(MAGIC_BYTES)
        return self._front

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; fewer only at the end."""
        view = memoryview(bytearray(size))
        return bytes(view[: self.read_into(view)])

    def read_into(self, view: memoryview) -> int:
        """Fill ``view``; the number of bytes, fewer than its size only at the end.

        The hash of what was read into it may still be running: `settle` before it is overwritten.
        """
        start = done = min(len(self._front), len(view))
        view[:done] = self._front[:done]
        self._front = self._front[done:]
        try:
            while done < len(view) and (size := _read_some(self._file, view[done:])):
                done += size
        except OSError as error:
            msg = f"{self.path}: reading failed ({error.strerror or error}); copy it to a local disk and try again"
            raise CaptureError(msg) from error
        self.bytes_read += done - start
        if self._hasher and done > start:
            self._hasher.update(view[start:done])
        return done

    def settle(self) -> None:
        """Return when nothing that was read is needed unchanged any more."""
        if self._hasher:
            self._hasher.wait()

    def drain(self) -> None:
        """Read to the end, for the hash alone."""
        self._front = b""
        while self.read(DRAIN_BYTES):
            pass
        self.sha256 = self._end_hash()

    def close(self) -> None:
        """End the hash's thread and let go of a file that was opened here."""
        self._end_hash()
        if self._owned:
            self._file.close()

    def _end_hash(self) -> str:
        hasher, self._hasher = self._hasher, None
        return hasher.finish() if hasher else ""


def _open(file: str | os.PathLike[str] | BinaryIO) -> tuple[str, BinaryIO, bool]:
    """Display name, open file, and whether it must be closed here."""
    if not isinstance(file, str | os.PathLike):
        return str(getattr(file, "name", "(stream)")), file, False
    path = os.fspath(file)
    if path == "-":
        return "-", sys.stdin.buffer, False
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


def _read_some(file: BinaryIO, view: memoryview) -> int:
    read_into = getattr(file, "readinto", None)
    if read_into is not None:
        return int(read_into(view) or 0)
    data = file.read(len(view))
    view[: len(data)] = data
    return len(data)
