"""How much of a protected record is no plaintext: what bounds the plaintext of records that cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.tls.codepoints import RECORD_HEADER_SIZE, SSL3, TLS11
from easpcap.tls.suites.suite import CIPHERS, MAC_SIZES

if TYPE_CHECKING:
    from easpcap.tls.handshake.negotiation import Agreement


def unproven_chaining(agreement: Agreement | None) -> bool:
    """Whether no MAC proves the first block of a record found after lost bytes.

    TLS 1.0 chains it to the record before, and under RFC 7366 the MAC covers the ciphertext of its own record only.
    """
    if agreement is None or not agreement.encrypt_then_mac or agreement.version >= TLS11:
        return False
    shape = CIPHERS.get(agreement.suite.cipher)
    return shape is not None and shape.kind == "block"


def plain_bounds(agreement: Agreement | None, lost_bytes: int, records: int) -> tuple[int, int]:
    """The least and the most application bytes in ``lost_bytes`` bytes that were ``records`` whole records of it."""
    shape = CIPHERS.get(agreement.suite.cipher) if agreement else None
    if agreement is None or shape is None or records <= 0 or agreement.compression:
        return 0, max(lost_bytes, 0)
    mac = MAC_SIZES[agreement.suite.mac]
    least = most = RECORD_HEADER_SIZE + mac + shape.explicit + shape.tag
    if shape.kind == "block":
        explicit = shape.fixed_iv if agreement.version >= TLS11 else 0
        # RFC 5246 section 6.2.3.2: 1 to 256 bytes of padding with its length byte; SSL 3.0: at most a block
        least, most = least + explicit + 1, most + explicit + (shape.fixed_iv if agreement.version == SSL3 else 256)
    return max(lost_bytes - records * most, 0), max(lost_bytes - records * least, 0)
