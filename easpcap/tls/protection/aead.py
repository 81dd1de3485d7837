"""Records under AEAD ciphers of TLS 1.2: GCM (RFC 5288), CCM and CCM_8 (RFC 6655), ChaCha20-Poly1305 (RFC 7905)."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import aead

from easpcap.tls.codepoints import MAX_FRAGMENT
from easpcap.tls.protection.mac import lost_records

if TYPE_CHECKING:
    from collections.abc import Callable

    from easpcap.tls.protection.record_protection import Protection
    from easpcap.tls.secrets.schedule import EpochKeys
    from easpcap.tls.suites.suite import CipherShape

    Decrypt = Callable[[bytes, bytes | memoryview, bytes], bytes]

_additional_data: Final = Struct(">QBHH").pack  # RFC 5246 section 6.2.3.3


def aead_protection(cipher: str, shape: CipherShape, keys: EpochKeys) -> Protection:
    """The Protection of an AEAD suite in TLS 1.2."""
    decrypt = decrypt_function(cipher, shape, keys.key)
    return ExplicitNonce(decrypt, keys.iv, shape.tag) if shape.explicit else ImplicitNonce(decrypt, keys.iv)


def decrypt_function(cipher: str, shape: CipherShape, key: bytes) -> Decrypt:
    """The function that decrypts under an AEAD cipher, given nonce, ciphertext with its tag, and additional data.

    That raises InvalidTag where the tag is wrong.
    """
    if cipher == "CHACHA20_POLY1305":
        return aead.ChaCha20Poly1305(key).decrypt
    if "_CCM" in cipher:
        return aead.AESCCM(key, tag_length=shape.tag).decrypt
    return aead.AESGCM(key).decrypt


class _Aead:
    """The search after a gap, which is the same for both forms of nonce."""

    __slots__ = ("_decrypt", "_overhead", "sequence")

    def __init__(self, decrypt: Decrypt, overhead: int) -> None:
        self.sequence = 0
        self._decrypt = decrypt
        self._overhead = overhead

    def open(self, content_type: int, version: int, fragment: bytes | memoryview) -> bytes | None:
        """See Protection."""
        raise NotImplementedError

    def reopen(
        self,
        content_type: int,
        version: int,
        fragment: bytes | memoryview,
        before: bytes,  # noqa: ARG002 (records are independent of each other)
        lost_bytes: int,
        tries: int,
    ) -> bytes | None:
        """See Protection. Only the tag proves a sequence number, so each possible one is tried."""
        first = self.sequence
        if len(fragment) <= MAX_FRAGMENT:
            for sequence in lost_records(first, lost_bytes, self._overhead, tries):
                self.sequence = sequence
                plaintext = self.open(content_type, version, fragment)
                if plaintext is not None:
                    return plaintext
        self.sequence = first
        return None


class ExplicitNonce(_Aead):
    """GCM and CCM: four nonce bytes from the key block, eight in each record."""

    __slots__ = ("_salt",)

    def __init__(self, decrypt: Decrypt, salt: bytes, tag: int) -> None:
        super().__init__(decrypt, 8 + tag)
        self._salt = salt

    def open(self, content_type: int, version: int, fragment: bytes | memoryview) -> bytes | None:
        """See Protection."""
        sequence = self.sequence
        self.sequence = sequence + 1
        size = len(fragment) - self._overhead
        if size < 0:
            return None
        try:
            return self._decrypt(
                self._salt + fragment[:8], fragment[8:], _additional_data(sequence, content_type, version, size)
            )
        except InvalidTag:
            return None


class ImplicitNonce(_Aead):
    """ChaCha20-Poly1305: the nonce is the sequence number, masked with the key block's IV."""

    __slots__ = ("_mask",)

    def __init__(self, decrypt: Decrypt, mask: bytes) -> None:
        super().__init__(decrypt, 16)
        self._mask = int.from_bytes(mask, "big")

    def open(self, content_type: int, version: int, fragment: bytes | memoryview) -> bytes | None:
        """See Protection."""
        sequence = self.sequence
        self.sequence = sequence + 1
        size = len(fragment) - self._overhead
        if size < 0:
            return None
        nonce = (self._mask ^ sequence).to_bytes(12, "big")
        try:
            return self._decrypt(nonce, fragment, _additional_data(sequence, content_type, version, size))
        except InvalidTag:
            return None
