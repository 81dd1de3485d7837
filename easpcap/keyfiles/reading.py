"""Key files and folders from disk, bounded; whatever cannot be read is a KeyFileError that says why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import easpcap.limits as limits
from easpcap.errors import KeyFileError
from easpcap.keyfiles.names import named_by_magic
from easpcap.tls.secrets.key_log import looks_like_key_log

if TYPE_CHECKING:
    from pathlib import Path

_HEAD = 64 * 1024


def read_file(path: Path, *, expect_log: bool) -> bytes:
    """The contents of a key file or, by its first bytes or by the option it was given with, of a key log."""
    try:
        with path.open("rb") as file:
            data = file.read(_HEAD)
            named = named_by_magic(data)
            if named is not None:
                raise KeyFileError(named)
            log = expect_log or looks_like_key_log(data)
            limit = limits.MAX_KEY_LOG if log else limits.MAX_KEY_FILE
            data += file.read(max(limit + 1 - len(data), 0))
    except FileNotFoundError:
        raise KeyFileError("no such file") from None
    except PermissionError:
        raise KeyFileError("may not be read (permission denied)") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise _unreadable(error) from None
    if len(data) > limit:
        msg = f"too large for a key or key log (more than {limit // 2**20} MiB)"
        raise KeyFileError(msg)
    return data


def files_in(folder: Path) -> list[Path]:
    """The files of a folder by name, those of folders in it left out; at most limits.MAX_KEY_FOLDER_FILES."""
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise _unreadable(error) from None
    if len(files) > limits.MAX_KEY_FOLDER_FILES:
        msg = f"a folder of more than {limits.MAX_KEY_FOLDER_FILES:,} files: put the keys into one of their own"
        raise KeyFileError(msg)
    return files


def _unreadable(error: OSError | ValueError) -> KeyFileError:
    return KeyFileError(f"cannot be read ({getattr(error, 'strerror', None) or 'not a file name'})")
