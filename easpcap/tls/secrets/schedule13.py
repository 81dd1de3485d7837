"""The key schedule of TLS 1.3 and its drafts, beginning with the traffic secrets of a key log (RFC 8446 section 7)."""

from __future__ import annotations

from hmac import digest
from typing import TYPE_CHECKING, Final

from easpcap.tls.secrets.schedule import EpochKeys
from easpcap.tls.suites.suite import CIPHERS

if TYPE_CHECKING:
    from easpcap.tls.suites.suite import CipherSuite

HASH_SIZES: Final[dict[str, int]] = {"sha256": 32, "sha384": 48}
IV_SIZE: Final = 12  # RFC 8446 section 5.3: max(8, N_MIN) of every registered suite


def expand_label(hash_name: str, secret: bytes, label: bytes, context: bytes, size: int, draft: int = 0) -> bytes:
    """HKDF-Expand-Label (RFC 8446 section 7.1); ``size`` is at most that of the hash: one block of HKDF (RFC 5869)."""
    full = (b"TLS 1.3, " if 0 < draft < 20 else b"tls13 ") + label
    info = size.to_bytes(2, "big") + bytes([len(full)]) + full + bytes([len(context)]) + context
    return digest(secret, info + b"\x01", hash_name)[:size]


def traffic_keys(suite: CipherSuite, secret: bytes, draft: int = 0) -> EpochKeys:
    """The key and IV that a traffic secret gives (RFC 8446 section 7.3)."""
    key = expand_label(suite.prf_hash, secret, b"key", b"", CIPHERS[suite.cipher].key, draft)
    return EpochKeys(b"", key, expand_label(suite.prf_hash, secret, b"iv", b"", IV_SIZE, draft))


def next_secret(suite: CipherSuite, secret: bytes, draft: int = 0) -> bytes:
    """The application traffic secret after a KeyUpdate (RFC 8446 section 7.2)."""
    label = b"application traffic secret" if 0 < draft < 20 else b"traffic upd"
    return expand_label(suite.prf_hash, secret, label, b"", HASH_SIZES[suite.prf_hash], draft)


def finished_contents(suite: CipherSuite, secret: bytes, transcript_hash: bytes, draft: int = 0) -> bytes:
    """The contents of the Finished sent by the side that writes with ``secret`` (RFC 8446 section 4.4.4)."""
    key = expand_label(suite.prf_hash, secret, b"finished", b"", HASH_SIZES[suite.prf_hash], draft)
    return digest(key, transcript_hash, suite.prf_hash)
