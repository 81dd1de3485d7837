"""Turns arguments into existing files, and reads the password."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from easpcap.errors import CaptureError, KeyFileError

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_PASSWORD_BYTES = 64 * 1024


def expanded(traces: Sequence[str]) -> list[str]:
    """The captures with patterns (``*`` and ``?``) expanded, as Windows shells leave that to the program.

    A file whose name contains ``*`` or ``?`` is taken as it is.

    Raises:
        CaptureError: no file matches a pattern.
    """
    paths: list[str] = []
    for trace in traces:
        if ("*" in trace or "?" in trace) and not os.path.lexists(trace):
            import glob

            matches = sorted(glob.glob(trace))  # noqa: PTH207  # takes absolute and relative patterns alike
            if not matches:
                msg = f"{trace}: no file matches this pattern"
                raise CaptureError(msg)
            paths.extend(matches)
        else:
            paths.append(trace)
    return paths


def files_in_folders(paths: Sequence[str]) -> list[str]:
    """The files in those paths that are folders; a folder of keys counts as its files."""
    found: list[str] = []
    for path in paths:
        with contextlib.suppress(OSError, ValueError):  # not a folder, or not readable
            found.extend(str(file) for file in Path(path).iterdir())
    return found


def read_password(password_file: str | None) -> bytes | None:
    """The password from the file without its last line break; else from EASPCAP_PASSWORD; else None.

    Raises:
        KeyFileError: the file cannot be read, or is too long for a password.
    """
    if password_file is None:
        from_environment = os.environ.get("EASPCAP_PASSWORD")
        return None if from_environment is None else from_environment.encode("utf-8", "surrogateescape")
    try:
        if password_file == "-":  # noqa: S105  # standard input
            data = sys.stdin.buffer.read(_MAX_PASSWORD_BYTES + 1)
        else:
            with Path(password_file).open("rb") as file:
                data = file.read(_MAX_PASSWORD_BYTES + 1)
    except OSError as error:
        msg = f"{password_file}: cannot read the password: {error.strerror or error}"
        raise KeyFileError(msg) from error
    if len(data) > _MAX_PASSWORD_BYTES:
        msg = f"{password_file}: too long for a password"
        raise KeyFileError(msg)
    return _line(data)


def _line(data: bytes) -> bytes:
    """The password as UTF-8: Windows editors and shells write byte order marks and UTF-16."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        data = data.decode("utf-16", "replace").encode()
    data = data.removeprefix(b"\xef\xbb\xbf")
    return data.removesuffix(b"\n").removesuffix(b"\r") if data.endswith(b"\n") else data
