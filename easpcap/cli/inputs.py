"""Turns arguments into existing files, and reads the password."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from easpcap.cli.messages import say
from easpcap.errors import CaptureError, KeyFileError

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_PASSWORD_BYTES = 64 * 1024


def captures(traces: Sequence[str]) -> list[str]:
    """The captures that the arguments name, with patterns and folders expanded; standard input stays as it is.

    What a pattern or a folder yields and is no capture is skipped, with a warning.

    Raises:
        CaptureError: no capture matches a pattern, or is in a folder.
    """
    paths: list[str] = []
    for trace in traces:
        if _is_folder(trace):
            paths += _captures_among(_files_in(trace), f"{trace}: no capture is in this folder; name the captures")
        elif (matches := _matches(trace)) is None:
            paths.append(trace)
        else:
            files = [path for path in matches if not _is_folder(path)]
            paths += _captures_among(files, f"{trace}: no capture matches this pattern")
    return paths


def keys(arguments: Sequence[str]) -> list[str]:
    """The files and folders that the arguments name, with patterns expanded.

    A pattern that matches nothing stays: who reads it as a file says that there is none.
    """
    return [path for argument in arguments for path in (_matches(argument) or [argument])]


def _matches(argument: str) -> list[str] | None:
    """The sorted files and folders that match a pattern; None where the argument is none, or names a file itself.

    Windows shells leave patterns to the program. Folders that exist are taken as they are, whatever their names.
    """
    if not any(sign in argument for sign in "*?[") or os.path.lexists(argument):
        return None
    import glob

    path = Path(argument)
    fixed = next((folder for folder in path.parents if _is_folder(folder)), Path())
    pattern = str(path.relative_to(fixed))
    found = glob.glob(pattern, root_dir=fixed, recursive=True)  # noqa: PTH207  # without the folder's own signs
    return [str(fixed / name) for name in sorted(found)]


def _is_folder(path: str | Path) -> bool:
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):  # a name that is too long, a null byte in the name
        return False


def _files_in(folder: str) -> list[str]:
    try:
        return [str(path) for path in sorted(Path(folder).iterdir()) if path.is_file()]
    except OSError as error:
        msg = f"{folder}: this folder cannot be read ({error.strerror or error}); check your rights"
        raise CaptureError(msg) from error


def _captures_among(paths: Sequence[str], otherwise: str) -> list[str]:
    """Those of the paths that are captures; if there is none, a CaptureError that says ``otherwise``."""
    from easpcap.capture import why_no_capture

    reasons = {path: why_no_capture(path) for path in paths}
    skipped = [reason for reason in reasons.values() if reason is not None]
    if len(skipped) == len(paths):
        raise CaptureError(skipped[0] if len(skipped) == 1 else otherwise)
    if skipped:
        left = len(skipped) - 1
        more = f" (and {left:,} more file{'s' if left > 1 else ''})" if left else ""
        say(f"warning: skipped {skipped[0]}{more}")
    return [path for path, reason in reasons.items() if reason is None]


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
