"""The MAC of records, its scratch buffer, and the search for the sequence number after a gap.

HMAC (RFC 2104) and the MAC of SSL 3.0 (RFC 6101 section 5.2.3.1) have one form: hash(outer + hash(inner + header +
content)), with two key-dependent prefixes. Hash states that have processed the prefixes are kept and copied.
"""

from __future__ import annotations

import threading
from struct import Struct
from typing import TYPE_CHECKING, Final

import easpcap.limits as limits
from easpcap.tls.codepoints import MAX_FRAGMENT, RECORD_HEADER_SIZE, SSL3
from easpcap.tls.secrets.keyed_hash import hash_state, hmac_states
from easpcap.tls.suites.suite import MAC_SIZES

if TYPE_CHECKING:
    from _hashlib import HASH
    from collections.abc import Callable

#: Where a record's plaintext begins in the scratch buffer; the MAC header is written into the room before it.
PLAIN: Final = 16

_TLS_HEADER: Final = Struct(">QBHH")  # sequence, type, version, length (RFC 5246 section 6.2.3.1)
_SSL3_HEADER: Final = Struct(">QBH")  # sequence, type, length

_HASHES: Final = {"MD5": "md5", "SHA": "sha1", "SHA256": "sha256", "SHA384": "sha384"}


class _Scratch(threading.local):
    """One buffer per thread for all its records: it stays in the processor's cache with any number of connections."""

    def __init__(self) -> None:
        buffer = bytearray(PLAIN + MAX_FRAGMENT + 32)
        view = memoryview(buffer)
        self.parts = buffer, view, view[PLAIN:]


_scratch = _Scratch()


def scratch_buffer() -> tuple[bytearray, memoryview, memoryview]:
    """This thread's buffer, PLAIN + MAX_FRAGMENT + 32 bytes long: itself, a view of it, and one from PLAIN on.

    The next record overwrites it.
    """
    return _scratch.parts


class RecordMac:
    """The keyed MAC of one direction and epoch, computed over the scratch buffer."""

    __slots__ = ("_buffer", "_header", "_inner", "_outer", "_pack", "_view", "size")
    _pack: Callable[..., None]

    def __init__(self, version: int, mac: str, key: bytes) -> None:
        self.size = MAC_SIZES[mac]
        self._buffer, self._view, _ = scratch_buffer()
        if version == SSL3:
            self._inner, self._outer = _ssl3_states(_HASHES[mac], key)
            self._header, self._pack = _SSL3_HEADER.size, _pack_ssl3
        else:
            self._inner, self._outer = hmac_states(_HASHES[mac], key)
            self._header, self._pack = _TLS_HEADER.size, _pack_tls

    def verify(self, sequence: int, content_type: int, version: int, start: int, end: int) -> bool:
        """Whether the MAC of the buffer's [start, end) follows at ``end``; overwrites the bytes before ``start``."""
        buffer = self._buffer
        begin = start - self._header
        self._pack(buffer, begin, sequence, content_type, version, end - start)
        inner = self._inner()
        inner.update(self._view[begin:end])
        outer = self._outer()
        outer.update(inner.digest())
        return buffer.startswith(outer.digest(), end)  # constant time is not needed: no peer can measure it

    def find(self, sequences: range, content_type: int, version: int, start: int, end: int) -> int | None:
        """The first of ``sequences`` whose MAC of the buffer's [start, end) follows at ``end``."""
        for sequence in sequences:
            if self.verify(sequence, content_type, version, start, end):
                return sequence
        return None


def lost_records(sequence: int, lost_bytes: int, least_fragment: int, tries: int) -> range:
    """The sequence numbers a record can have after ``lost_bytes`` of records that began with number ``sequence``.

    Some of the bytes may be no numbered record: a ChangeCipherSpec of TLS 1.3 (RFC 8446 section 5), or the rest of a
    record whose header was damaged and named a smaller length.
    """
    fewest = max(-(-lost_bytes // (RECORD_HEADER_SIZE + MAX_FRAGMENT)) - 1, 0)
    most = lost_bytes // (RECORD_HEADER_SIZE + least_fragment)
    stop = min(most + 1, fewest + min(tries, limits.MAX_RESYNC_TRIES))
    return range(sequence + fewest, sequence + stop)


_pack_tls: Final = _TLS_HEADER.pack_into


def _pack_ssl3(buffer: bytearray, at: int, sequence: int, content_type: int, _version: int, length: int) -> None:
    _SSL3_HEADER.pack_into(buffer, at, sequence, content_type, length)


def _ssl3_states(name: str, key: bytes) -> tuple[Callable[[], HASH], Callable[[], HASH]]:
    pads = 48 if name == "md5" else 40
    return hash_state(name, key + b"\x36" * pads).copy, hash_state(name, key + b"\x5c" * pads).copy
