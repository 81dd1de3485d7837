"""Records without a block cipher: RC4, NULL with a MAC, and the plaintext of epoch 0 (RFC 5246 section 6.2.3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import easpcap.limits as limits
from easpcap.tls.codepoints import HANDSHAKE, MAX_FRAGMENT, RECORD_HEADER_SIZE
from easpcap.tls.protection.mac import PLAIN, RecordMac, lost_records, scratch_buffer
from easpcap.tls.protection.null_unverified import may_begin_epoch
from easpcap.tls.suites.suite import CIPHERS

if TYPE_CHECKING:
    from easpcap.tls.protection.record_protection import Protection
    from easpcap.tls.secrets.schedule import EpochKeys
    from easpcap.tls.suites.suite import CipherSuite

_PIECE: Final = bytes(2**16)


def stream_protection(version: int, suite: CipherSuite, keys: EpochKeys, *, encrypt_then_mac: bool) -> Protection:
    """The Protection of an RC4 or NULL suite. RFC 7366 changes neither, but makes NULL doubtful (see NullCipher)."""
    if suite.mac == "NULL":
        return Unprotected()
    mac = RecordMac(version, suite.mac, keys.mac_key)
    return (
        StreamCipher(keys.key, mac)
        if CIPHERS[suite.cipher].kind == "stream"
        else NullCipher(mac, doubtful=encrypt_then_mac)
    )


class Unprotected:
    """TLS_NULL_WITH_NULL_NULL, with which every connection begins (RFC 5246 section 6.1)."""

    __slots__ = ("sequence",)

    def __init__(self) -> None:
        self.sequence = 0

    def open(self, content_type: int, version: int, fragment: bytes | memoryview) -> bytes | None:  # noqa: ARG002 (unprotected)
        """See Protection."""
        self.sequence += 1
        return bytes(fragment)

    def reopen(
        self,
        content_type: int,
        version: int,
        fragment: bytes | memoryview,
        before: bytes,  # noqa: ARG002 (a record's number is unknown, and nothing depends on it)
        lost_bytes: int,  # noqa: ARG002 (the same)
        tries: int,  # noqa: ARG002 (the same)
    ) -> bytes | None:
        """See Protection."""
        return self.open(content_type, version, fragment)


class NullCipher:
    """Content in the clear, followed by a MAC.

    ``doubtful``: encrypt-then-MAC was agreed. That MAC is also right if the suite is another one and only a damaged
    ServerHello says NULL; so the first handshake record must be readable.
    """

    __slots__ = ("_doubtful", "_mac", "_room", "_view", "sequence")

    def __init__(self, mac: RecordMac, *, doubtful: bool = False) -> None:
        self.sequence = 0
        self._mac = mac
        self._doubtful = doubtful
        _, self._view, self._room = scratch_buffer()

    def open(self, content_type: int, version: int, fragment: bytes | memoryview) -> bytes | None:
        """See Protection."""
        sequence = self.sequence
        self.sequence = sequence + 1
        end = self._place(fragment)
        if end < PLAIN or not self._mac.verify(sequence, content_type, version, PLAIN, end):
            return None
        content = self._view[PLAIN:end].tobytes()
        if self._doubtful and not sequence and content_type == HANDSHAKE and not may_begin_epoch(HANDSHAKE, content):
            return None
        return content

    def reopen(
        self,
        content_type: int,
        version: int,
        fragment: bytes | memoryview,
        before: bytes,  # noqa: ARG002 (no chained IV)
        lost_bytes: int,
        tries: int,
    ) -> bytes | None:
        """See Protection."""
        end = self._place(fragment)
        if end < PLAIN:
            return None
        sequences = lost_records(self.sequence, lost_bytes, self._mac.size, tries)
        sequence = self._mac.find(sequences, content_type, version, PLAIN, end)
        if sequence is None:
            return None
        self.sequence = sequence + 1
        return self._view[PLAIN:end].tobytes()

    def _place(self, fragment: bytes | memoryview) -> int:
        """Copy a fragment into the buffer; returns where its content ends there, 0 for an impossible size."""
        size = len(fragment)
        if not self._mac.size <= size <= MAX_FRAGMENT:
            return 0
        self._room[:size] = fragment
        return PLAIN + size - self._mac.size


class StreamCipher:
    """RC4: content and MAC under one keystream that runs through all records of the epoch."""

    __slots__ = ("_keystream", "_mac", "_room", "_view", "sequence")

    def __init__(self, key: bytes, mac: RecordMac) -> None:
        self.sequence = 0
        self._mac = mac
        self._keystream = _Keystream(key)
        _, self._view, self._room = scratch_buffer()

    def open(self, content_type: int, version: int, fragment: bytes | memoryview) -> bytes | None:
        """See Protection."""
        sequence = self.sequence
        self.sequence = sequence + 1
        size = len(fragment)
        if size > MAX_FRAGMENT:
            return None
        self._keystream.decrypt_into(fragment, self._room)
        end = PLAIN + size - self._mac.size
        if end < PLAIN or not self._mac.verify(sequence, content_type, version, PLAIN, end):
            return None
        return self._view[PLAIN:end].tobytes()

    def reopen(
        self,
        content_type: int,
        version: int,
        fragment: bytes | memoryview,
        before: bytes,  # noqa: ARG002 (no chained IV)
        lost_bytes: int,
        tries: int,
    ) -> bytes | None:
        """See Protection. Each possible number of lost records implies another position in the keystream."""
        size = len(fragment)
        if not self._mac.size <= size <= MAX_FRAGMENT or lost_bytes > limits.MAX_RESYNC_KEYSTREAM:
            return None
        sequences = lost_records(self.sequence, lost_bytes, self._mac.size, tries)
        if not sequences:
            return None
        after_gap = self._keystream.position + lost_bytes  # where the keystream would be without record headers
        first = after_gap - RECORD_HEADER_SIZE * (sequences[-1] - self.sequence)
        last = after_gap - RECORD_HEADER_SIZE * (sequences[0] - self.sequence)
        keystream = self._keystream.peek(first, last + size)
        end = PLAIN + size - self._mac.size
        for sequence in sequences:
            at = after_gap - RECORD_HEADER_SIZE * (sequence - self.sequence) - first
            self._room[:size] = _xor(fragment, keystream[at : at + size])
            if self._mac.verify(sequence, content_type, version, PLAIN, end):
                self.sequence = sequence + 1
                self._keystream.position = first + at + size
                return self._view[PLAIN:end].tobytes()
        return None


class _Keystream:
    """An RC4 keystream that is mostly read forward, but can also be read ahead and rewound.

    ``position``: offset of the next keystream byte to use; it may be set to any offset.
    """

    __slots__ = ("_ahead", "_key", "_made", "_update", "_update_into", "position")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.position = 0
        self._restart()

    def _restart(self) -> None:
        from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
        from cryptography.hazmat.primitives.ciphers import Cipher

        context = Cipher(ARC4(self._key), None).decryptor()
        self._update, self._update_into = context.update, context.update_into
        self._made = 0  # offset up to which the context has generated it
        self._ahead = b""  # generated keystream that may not be used yet: [made - len(ahead), made)

    def decrypt_into(self, fragment: bytes | memoryview, output: memoryview) -> None:
        """Decrypt the next bytes."""
        size = len(fragment)
        position = self.position
        self.position = position + size
        if position == self._made:
            self._update_into(fragment, output)
            self._made = position + size
            self._ahead = b""
        else:
            output[:size] = _xor(fragment, self.peek(position, position + size))

    def peek(self, start: int, end: int) -> bytes:
        """The keystream's [start, end)."""
        if start < self._made - len(self._ahead):
            self._restart()
        if start > self._made:
            self._skip(start - self._made)
        if end > self._made:
            self._ahead += self._update(bytes(end - self._made))
            self._made = end
        kept_from = self._made - len(self._ahead)
        keystream = self._ahead[start - kept_from : end - kept_from]
        # the record tried next may begin slightly before this one (see lost_records)
        self._ahead = self._ahead[max(0, start - kept_from - 64) :]
        return keystream

    def _skip(self, size: int) -> None:
        self._made += size
        while size > 0:
            self._ahead = self._update(_PIECE[:size])
            size -= len(_PIECE)


def _xor(data: bytes | memoryview, keystream: bytes) -> bytes:
    return (int.from_bytes(data, "big") ^ int.from_bytes(keystream, "big")).to_bytes(len(data), "big")
