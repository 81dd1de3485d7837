"""Chooses the Protection for a cipher suite; each module of ciphers is loaded when it is first needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.tls.codepoints import SSL3, TLS12
from easpcap.tls.suites.suite import CIPHERS, UnsupportedSuite

if TYPE_CHECKING:
    from easpcap.tls.protection.record_protection import Protection
    from easpcap.tls.secrets.schedule import EpochKeys
    from easpcap.tls.suites.suite import CipherSuite

__all__ = ["UnsupportedSuite", "protection"]


def protection(version: int, suite: CipherSuite, keys: EpochKeys, *, encrypt_then_mac: bool = False) -> Protection:
    """The Protection that decrypts records with ``keys``; ``version`` is 0x0300 to 0x0303.

    ``encrypt_then_mac``: the extension of RFC 7366 was agreed; it changes block ciphers only.
    Raises UnsupportedSuite if easpcap cannot decrypt this suite, or not in this version.
    """
    shape = CIPHERS.get(suite.cipher)
    if shape is None or not suite.decryptable or not SSL3 <= version <= TLS12:
        raise UnsupportedSuite(suite.name)
    if version == SSL3 and suite.mac not in {"MD5", "SHA", "NULL"}:
        raise UnsupportedSuite(suite.name)  # RFC 6101 defines its MAC for these hashes only
    if shape.kind == "aead":
        if version < TLS12:
            raise UnsupportedSuite(suite.name)
        from easpcap.tls.protection.aead import aead_protection

        return aead_protection(suite.cipher, shape, keys)
    if shape.kind == "block":
        from easpcap.tls.protection.cbc import block_protection

        return block_protection(version, suite, keys, encrypt_then_mac=encrypt_then_mac and version > SSL3)
    from easpcap.tls.protection.stream import stream_protection

    return stream_protection(version, suite, keys, encrypt_then_mac=encrypt_then_mac)
