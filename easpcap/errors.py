"""The errors easpcap raises: two for files that cannot be used, one for bytes that break a format.

- EaspcapError
    - CaptureError: a capture file that cannot be opened or is no capture
    - KeyFileError: a key or key log file that cannot be used
- DecodeError: bytes that break their format; caught once per layer, never leaves it
"""

from __future__ import annotations


class EaspcapError(Exception):
    """Something the user can mend; its text is one line that says what to do."""


class CaptureError(EaspcapError):
    """A capture that cannot be read at all (one that is cut off at its end is read and reported as truncated)."""


class KeyFileError(EaspcapError):
    """A key or key log file that cannot be used."""


class DecodeError(Exception):
    """Bytes that are not what their format says they must be."""
