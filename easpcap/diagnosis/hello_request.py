"""How long an encrypted HelloRequest is: the mark by which it is recognised without keys.

Its plaintext is always four bytes (RFC 5246 section 7.4.1.1), so the fragment has one size per suite and version.
"""

from __future__ import annotations

from functools import lru_cache

from easpcap.tls.suites.suite import MAC_SIZES

PLAINTEXT = 4

BLOCK_SIZES = {"AES": 16, "CAMELLIA": 16, "ARIA": 16, "SEED": 16, "3DES": 8, "DES": 8, "DES40": 8, "IDEA": 8, "RC2": 8}

EXPLICIT_IV = frozenset({"TLS 1.1", "TLS 1.2"})
CHAINED_IV = frozenset({"SSL 3.0", "TLS 1.0"})


@lru_cache(maxsize=256)
def hello_request_sizes(version: str | None, cipher_suite: str | None) -> frozenset[int]:
    """Fragment sizes that a HelloRequest can have; empty where they are not known, or where none exists (TLS 1.3).

    CBC suites have two, for MAC then encrypt and encrypt then MAC (RFC 7366): which one was agreed is not looked at.
    Peers that add more padding than they need are not recognised: a miss is better than a false alarm.
    """
    if version not in EXPLICIT_IV | CHAINED_IV or not cipher_suite or "_WITH_" not in cipher_suite:
        return frozenset()
    words = cipher_suite.partition("_WITH_")[2].split("_")
    if not {"GCM", "CCM", "POLY1305"}.isdisjoint(words) and version != "TLS 1.2":
        return frozenset()  # there are no such suites before (RFC 5288 section 4)
    if "GCM" in words:
        return frozenset({8 + PLAINTEXT + 16})  # explicit nonce and tag, RFC 5288 section 3
    if "CCM" in words:
        return frozenset({8 + PLAINTEXT + (8 if "8" in words else 16)})  # RFC 6655 sections 3 and 4
    if "POLY1305" in words:
        return frozenset({PLAINTEXT + 16})  # RFC 7905 section 2: no explicit nonce
    mac = MAC_SIZES.get(words[-1])
    if not mac:  # not known, or without a MAC
        return frozenset()
    if words[0] in {"RC4", "NULL"}:
        return frozenset({PLAINTEXT + mac})
    block = BLOCK_SIZES.get(words[0])
    if block is None or "CBC" not in words:
        return frozenset()
    iv = block if version in EXPLICIT_IV else 0
    mac_then_encrypt = iv + _padded(PLAINTEXT + mac, block)
    if version == "SSL 3.0":
        return frozenset({mac_then_encrypt})
    return frozenset({mac_then_encrypt, iv + _padded(PLAINTEXT, block) + mac})


def _padded(size: int, block: int) -> int:
    """CBC padding is at least its own length byte (RFC 5246 section 6.2.3.2)."""
    return (size // block + 1) * block
