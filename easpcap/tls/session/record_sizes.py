"""How much of a protected record is not plaintext: limits for the plaintext in records that were lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.tls.codepoints import RECORD_HEADER_SIZE, TLS11
from easpcap.tls.suites.record_layout import record_layout

if TYPE_CHECKING:
    from easpcap.tls.handshake.negotiation import Agreement


def unproven_chaining(agreement: Agreement | None) -> bool:
    """Whether the MAC does not prove the first block of a record found after lost bytes.

    TLS 1.0 chains it to the previous record, and under RFC 7366 the MAC covers the ciphertext of one record only.
    """
    if agreement is None or not agreement.encrypt_then_mac or agreement.version >= TLS11:
        return False
    layout = record_layout(agreement.version, agreement.suite)
    return layout is not None and layout.block > 0


def plain_bounds(agreement: Agreement | None, lost_bytes: int, records: int) -> tuple[int, int]:
    """The least and the most application bytes in ``records`` whole records of ``lost_bytes`` bytes."""
    layout = record_layout(agreement.version, agreement.suite) if agreement else None
    if agreement is None or layout is None or records <= 0 or agreement.compression:
        return 0, max(lost_bytes, 0)
    least, most = (RECORD_HEADER_SIZE + overhead for overhead in layout.overhead())
    return max(lost_bytes - records * most, 0), max(lost_bytes - records * least, 0)
