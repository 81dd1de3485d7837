"""Records under CBC block ciphers: MAC then encrypt, or encrypt then MAC.

CBC decryption needs only the previous ciphertext block. One context therefore serves all records of an epoch: up to
TLS 1.0 the records are one chain (RFC 2246 section 6.2.3.2); from TLS 1.1 on each record carries its IV, which is
decrypted like any block and dropped (RFC 5246 section 6.2.3.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography.hazmat.decrepit.ciphers import algorithms as legacy
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from easpcap.tls.codepoints import MAX_FRAGMENT, SSL3, TLS11
from easpcap.tls.protection.mac import PLAIN, RecordMac, lost_records, scratch_buffer
from easpcap.tls.suites.suite import CIPHERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm

    from easpcap.tls.protection.record_protection import Protection
    from easpcap.tls.secrets.schedule import EpochKeys
    from easpcap.tls.suites.suite import CipherSuite

    Decrypt = Callable[[bytes | memoryview, memoryview], int]

#: By padding length: the bytes of padding and its length byte, which all have the same value (RFC 5246 6.2.3.2).
_PADDINGS: Final = tuple(bytes([length]) * (length + 1) for length in range(256))

_ALGORITHMS: Final[dict[str, Callable[[bytes], BlockCipherAlgorithm]]] = {
    "AES_128_CBC": algorithms.AES,
    "AES_256_CBC": algorithms.AES,
    "3DES_EDE_CBC": legacy.TripleDES,
    "DES_CBC": lambda key: legacy.TripleDES(key * 3),  # EDE with the same key three times is DES
    "DES40_CBC": lambda key: legacy.TripleDES(key * 3),
    "DES_CBC_40": lambda key: legacy.TripleDES(key * 3),
    "RC2_CBC_40": legacy.RC2,  # 128 effective bits: only the secret that the key is derived from is short
    "RC2_CBC_56": legacy.RC2,
    "IDEA_CBC": legacy.IDEA,
    "SEED_CBC": legacy.SEED,
    "CAMELLIA_128_CBC": legacy.Camellia,
    "CAMELLIA_256_CBC": legacy.Camellia,
}


def block_protection(version: int, suite: CipherSuite, keys: EpochKeys, *, encrypt_then_mac: bool) -> Protection:
    """The Protection of a CBC suite; ``version`` is 0x0300 to 0x0303."""
    cipher = _BlockCipher(suite.cipher, keys.key, keys.iv, chained=version < TLS11)
    mac = RecordMac(version, suite.mac, keys.mac_key)
    if encrypt_then_mac:
        return EncryptThenMac(cipher, mac)
    return MacThenEncrypt(cipher, mac, strict_padding=version > SSL3)


class _BlockCipher:
    """One direction's CBC decryption. ``explicit``: bytes of IV in each record, 0 if the records are ``chained``."""

    __slots__ = ("_algorithm", "block", "chained", "decrypt_into", "explicit")

    def __init__(self, cipher: str, key: bytes, iv: bytes, *, chained: bool) -> None:
        self._algorithm = _ALGORITHMS[cipher](key)
        self.block = CIPHERS[cipher].fixed_iv
        self.chained = chained
        self.explicit = 0 if chained else self.block
        self.decrypt_into: Decrypt = self.decryptor_after(iv if chained else bytes(self.block))

    def decryptor_after(self, block: bytes) -> Decrypt:
        """A decryption function for the data that follows this ciphertext block."""
        return Cipher(self._algorithm, modes.CBC(block)).decryptor().update_into


class MacThenEncrypt:
    """RFC 6101 section 5.2.3.2 and RFC 5246 section 6.2.3.2: content, MAC and padding are encrypted together."""

    __slots__ = (
        "_block",
        "_buffer",
        "_cipher",
        "_decrypt_into",
        "_least",
        "_mac",
        "_mac_size",
        "_room",
        "_start",
        "_strict",
        "_verify",
        "_view",
        "sequence",
    )

    def __init__(self, cipher: _BlockCipher, mac: RecordMac, *, strict_padding: bool) -> None:
        self.sequence = 0
        self._cipher = cipher
        self._mac = mac
        self._mac_size = mac.size
        self._verify = mac.verify
        self._strict = strict_padding
        self._block = cipher.block
        self._start = PLAIN + cipher.explicit
        self._least = cipher.explicit + (mac.size // cipher.block + 1) * cipher.block
        self._buffer, self._view, self._room = scratch_buffer()
        self._decrypt_into = cipher.decrypt_into

    def open(self, content_type: int, version: int, fragment: bytes | memoryview) -> bytes | None:
        """See Protection."""
        sequence = self.sequence
        self.sequence = sequence + 1
        size = len(fragment)
        if size % self._block or not self._least <= size <= MAX_FRAGMENT:
            return None
        self._decrypt_into(fragment, self._room)
        buffer = self._buffer
        stop = PLAIN + size
        padding = buffer[stop - 1]
        end = stop - 1 - padding  # as in _content_end, which would cost one call per record
        if self._strict:
            if not buffer.startswith(_PADDINGS[padding], end):
                return None
        elif padding >= self._block:
            return None
        end -= self._mac_size
        start = self._start
        if end < start or not self._verify(sequence, content_type, version, start, end):
            return None
        return self._view[start:end].tobytes()

    def reopen(
        self, content_type: int, version: int, fragment: bytes | memoryview, before: bytes, lost_bytes: int, tries: int
    ) -> bytes | None:
        """See Protection."""
        size = len(fragment)
        if size % self._block or not self._least <= size <= MAX_FRAGMENT:
            return None
        decrypt_into = self._decrypt_into
        if self._cipher.chained:
            if len(before) < self._block:
                return None
            decrypt_into = self._cipher.decryptor_after(bytes(before[-self._block :]))
        decrypt_into(fragment, self._room)
        start, end = self._start, self._content_end(size)
        if end < start:
            return None
        sequences = lost_records(self.sequence, lost_bytes, self._least, tries)
        sequence = self._mac.find(sequences, content_type, version, start, end)
        if sequence is None:
            return None
        self.sequence = sequence + 1
        self._decrypt_into = decrypt_into
        return self._view[start:end].tobytes()

    def _content_end(self, size: int) -> int:
        """Where the content of a decrypted fragment ends in the buffer; 0 if its padding is wrong."""
        buffer = self._buffer
        stop = PLAIN + size
        padding = buffer[stop - 1]
        end = stop - 1 - padding
        if end < PLAIN:
            return 0
        if self._strict:
            if buffer[end:stop] != _PADDINGS[padding]:
                return 0
        elif padding >= self._block:  # RFC 6101 section 5.2.3.2: shorter than a block, of any bytes
            return 0
        return end - self._mac.size


class EncryptThenMac:
    """RFC 7366: the MAC is outside the encryption and covers IV and ciphertext."""

    __slots__ = ("_block", "_cipher", "_decrypt_into", "_least", "_mac", "_room", "_view", "sequence")

    def __init__(self, cipher: _BlockCipher, mac: RecordMac) -> None:
        self.sequence = 0
        self._cipher = cipher
        self._mac = mac
        self._block = cipher.block
        self._least = cipher.explicit + cipher.block + mac.size
        _, self._view, self._room = scratch_buffer()
        self._decrypt_into = cipher.decrypt_into

    def open(self, content_type: int, version: int, fragment: bytes | memoryview) -> bytes | None:
        """See Protection."""
        sequence = self.sequence
        self.sequence = sequence + 1
        end = self._place(fragment)
        if not end or not self._mac.verify(sequence, content_type, version, PLAIN, end):
            return None
        return self._decrypt(fragment, end)

    def reopen(
        self, content_type: int, version: int, fragment: bytes | memoryview, before: bytes, lost_bytes: int, tries: int
    ) -> bytes | None:
        """See Protection."""
        end = self._place(fragment)
        if not end:
            return None
        cipher, mac = self._cipher, self._mac
        last_block = bytes(
            before[: max(len(before) - mac.size, 0)][-cipher.block :]
        )  # the previous record ends with its MAC
        if cipher.chained and len(last_block) < cipher.block:
            return None
        sequences = lost_records(self.sequence, lost_bytes, self._least, tries)
        sequence = mac.find(sequences, content_type, version, PLAIN, end)
        if sequence is None:
            return None
        self.sequence = sequence + 1
        if cipher.chained:
            self._decrypt_into = cipher.decryptor_after(last_block)
        return self._decrypt(fragment, end)

    def _place(self, fragment: bytes | memoryview) -> int:
        """Copy a fragment into the buffer; returns where its ciphertext ends there, 0 for an impossible size."""
        size = len(fragment)
        encrypted = size - self._mac.size
        if encrypted % self._block or not self._least <= size <= MAX_FRAGMENT:
            return 0
        self._view[PLAIN : PLAIN + size] = fragment
        return PLAIN + encrypted

    def _decrypt(self, fragment: bytes | memoryview, end: int) -> bytes | None:
        """The plaintext of a fragment whose ciphertext ends at ``end`` in the buffer; its padding is checked too."""
        view = self._view
        self._decrypt_into(fragment[: end - PLAIN], self._room)
        padding = view[end - 1]
        stop = end - 1 - padding
        start = PLAIN + self._cipher.explicit
        if stop < start or view[stop:end] != _PADDINGS[padding]:
            return None
        return view[start:stop].tobytes()
