"""HMAC from two copied hash states: for short messages twice as fast as a call that processes the key each time."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _hashlib import HASH
    from collections.abc import Callable

_CONSTRUCTORS: Final = {
    "md5": hashlib.md5,
    "sha1": hashlib.sha1,
    "sha256": hashlib.sha256,
    "sha384": hashlib.sha384,
}
_INNER_PAD: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD: Final = bytes(byte ^ 0x5C for byte in range(256))


def hash_state(name: str, data: bytes) -> HASH:
    """An md5, sha1, sha256 or sha384 object that has been updated with ``data``."""
    return _CONSTRUCTORS[name](data, usedforsecurity=False)


def hmac_states(name: str, key: bytes) -> tuple[Callable[[], HASH], Callable[[], HASH]]:
    """Two functions that copy the inner and the outer hash of HMAC (RFC 2104): HMAC is outer(inner(message))."""
    new = _CONSTRUCTORS[name]
    block = 128 if name == "sha384" else 64
    if len(key) > block:
        key = new(key, usedforsecurity=False).digest()
    padded = key.ljust(block, b"\0")
    inner = new(padded.translate(_INNER_PAD), usedforsecurity=False)
    return inner.copy, new(padded.translate(_OUTER_PAD), usedforsecurity=False).copy
