"""Key files and folders from disk, bounded; what cannot be read raises UnusableKeyError."""

from __future__ import annotations

from typing import TYPE_CHECKING

import easpcap.limits as limits
from easpcap.key_problems import KeyProblem
from easpcap.keyfiles.contents import UnusableKeyError, recognised_by_first_bytes
from easpcap.tls.secrets.key_log import looks_like_key_log

if TYPE_CHECKING:
    from pathlib import Path

_HEAD = 64 * 1024


def read_file(path: Path, *, expect_log: bool) -> bytes:
    """The contents of a key file or, by its first bytes or by the option it was given with, of a key log."""
    try:
        with path.open("rb") as file:
            data = file.read(_HEAD)
            contents = recognised_by_first_bytes(data)
            if contents is not None:
                raise UnusableKeyError(KeyProblem("other-contents", contents))
            log = expect_log or looks_like_key_log(data)
            limit = limits.MAX_KEY_LOG if log else limits.MAX_KEY_FILE
            data += file.read(max(limit + 1 - len(data), 0))
    except (OSError, ValueError) as error:
        raise UnusableKeyError(_problem_of(error)) from None
    if len(data) > limit:
        raise UnusableKeyError(KeyProblem("file-too-large", limit=limit))
    return data


def files_in(folder: Path) -> list[Path]:
    """The files of a folder by name, those of folders in it left out; at most limits.MAX_KEY_FOLDER_FILES."""
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise UnusableKeyError(_problem_of(error)) from None
    if len(files) > limits.MAX_KEY_FOLDER_FILES:
        raise UnusableKeyError(KeyProblem("too-many-files", limit=limits.MAX_KEY_FOLDER_FILES))
    return files


def _problem_of(error: OSError | ValueError) -> KeyProblem:
    match error:
        case FileNotFoundError():
            return KeyProblem("no-such-file")
        case PermissionError():
            return KeyProblem("permission-denied")
        case OSError(strerror=str(text)):
            return KeyProblem("unreadable", system_error=text)
        case _:  # ValueError: a null byte in the name
            return KeyProblem("not-a-file-name")
