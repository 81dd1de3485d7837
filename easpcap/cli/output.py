"""Writes the data: to standard output as UTF-8, or to a file that appears complete or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from easpcap.errors import EaspcapError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import IO

#: Errors of writing to a pipe whose reader has gone; on Windows it can be EINVAL.
_CLOSED_PIPE = {errno.EPIPE, errno.EINVAL} if sys.platform == "win32" else {errno.EPIPE}


class OutputError(EaspcapError):
    """The output cannot be written."""


def check_output(output: str, inputs: Sequence[str]) -> None:
    """Raise OutputError if ``output`` is one of the inputs, under any name, or cannot be created."""
    if output == "-":
        return
    for path in inputs:
        if path != "-" and _same_file(output, path):
            msg = f"{output}: is also an input ({path}) and will not be overwritten"
            raise OutputError(msg)
    if "-" in inputs and _is_standard_input(output):
        msg = f"{output}: standard input reads from this file, so it will not be overwritten"
        raise OutputError(msg)
    target = Path(os.path.realpath(output))
    if target.is_dir():
        msg = f"{output}: is a folder"
        raise OutputError(msg)
    if not target.parent.is_dir():
        msg = f"{output}: the folder {target.parent} does not exist"
        raise OutputError(msg)


def _same_file(one: str, other: str) -> bool:
    with contextlib.suppress(OSError):
        return Path(one).samefile(other)
    return os.path.normcase(os.path.realpath(one)) == os.path.normcase(os.path.realpath(other))


def _is_standard_input(output: str) -> bool:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return os.path.samestat(os.fstat(sys.stdin.fileno()), os.stat(output))  # noqa: PTH116  # beside fstat
    return False


def write_output(pieces: Iterable[str], output: str) -> None:
    """Write all pieces; it is not an error if the reader of a pipe closes it early.

    Raises:
        OutputError: the file cannot be written; no part of it remains.
    """
    if output == "-":
        _write_standard_output(pieces)
        return
    try:
        target = Path(os.path.realpath(output))
        if target.exists() and not stat.S_ISREG(target.stat().st_mode):
            with target.open("wb") as device:  # a named pipe or /dev/null: not to be replaced by a file
                _write(device, pieces)
            return
        with _replacing(target) as file:
            _write(file, pieces)
    except OSError as error:
        msg = f"{output}: cannot be written: {error.strerror or error}"
        raise OutputError(msg) from error


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[IO[bytes]]:
    """A new file in the folder of ``target`` that replaces it once it is complete and on the disk."""
    temporary = target.with_name(f".{target.name[:100]}.{os.urandom(8).hex()}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():  # keep who may read it
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _write_standard_output(pieces: Iterable[str]) -> None:
    if sys.stdout is None:  # closed by the process that started this one
        raise OutputError("standard output is closed")
    try:
        _write(sys.stdout.buffer, pieces)
        sys.stdout.buffer.flush()
    except OSError as error:
        # Otherwise the interpreter flushes the rest of the buffer at exit, and prints another error.
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, sys.stdout.fileno())
            os.close(null)
        if error.errno not in _CLOSED_PIPE:
            msg = f"standard output cannot be written: {error.strerror or error}"
            raise OutputError(msg) from error


def _write(file: IO[bytes], pieces: Iterable[str]) -> None:
    write = file.write
    for piece in pieces:
        write(piece.encode("utf-8", "backslashreplace"))
