"""Record protection: the state in which one direction of one epoch is read, for every cipher suite opened here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from easpcap.tls.codepoints import SSL3, TLS12
from easpcap.tls.suites.suite import CIPHERS, UnsupportedSuite

if TYPE_CHECKING:
    from easpcap.tls.secrets.schedule import EpochKeys
    from easpcap.tls.suites.suite import CipherSuite

__all__ = ["Protection", "UnsupportedSuite", "protection"]


class Protection(Protocol):
    """The reading state of one direction in one epoch. It belongs to the thread that made it (scratch buffer).

    ``sequence`` is the number of the next record (RFC 5246 section 6.1).
    """

    sequence: int

    def open(self, content_type: int, version: int, fragment: bytes | memoryview) -> bytes | None:
        """The plaintext of the next record; None where MAC, tag or padding is wrong or the fragment is too short.

        ``version`` is the one in the record's header. The sequence number advances in any case.
        """

    def reopen(
        self,
        content_type: int,
        version: int,
        fragment: bytes | memoryview,
        before: bytes,
        lost_bytes: int,
        tries: int,
        /,
    ) -> bytes | None:
        """The plaintext of the first record found after a gap, and reading goes on behind it.

        None where no sequence number makes MAC or tag hold: the state is then as before, a later record can be tried.
        ``lost_bytes``: stream bytes (headers and fragments of the lost records) between the last record opened and
        this record's header. ``before``: up to limits.RESYNC_CONTEXT_BYTES ciphertext bytes that stand directly
        before this record's header; SSL 3.0 and TLS 1.0 chain their IV through them (16 suffice unless MACs are
        outside the encryption). ``tries`` bounds the sequence numbers tried (never more than
        limits.MAX_RESYNC_TRIES).
        """


def protection(version: int, suite: CipherSuite, keys: EpochKeys, *, encrypt_then_mac: bool = False) -> Protection:
    """The state for reading records under ``keys``; ``version`` is 0x0300 to 0x0303.

    ``encrypt_then_mac``: the extension of RFC 7366 was agreed; it changes block ciphers only.
    Raises UnsupportedSuite where this suite cannot be opened, or not in this version.
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
