"""How long a protected record is, by protocol version and cipher suite (RFC 5246 section 6.2.3).

The shorter MAC of the extension truncated_hmac (RFC 6066 section 7) is not considered: easpcap does not decrypt it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from easpcap.tls.codepoints import SSL3, TLS11, TLS12
from easpcap.tls.suites.suite import CIPHERS, MAC_SIZES, CipherShape

if TYPE_CHECKING:
    from easpcap.tls.suites.suite import CipherSuite

#: Ciphers that easpcap cannot decrypt, but whose records it can measure: RFC 6209 (ARIA) and RFC 6367 (Camellia).
_MEASURED_ONLY: Final[dict[str, CipherShape]] = {
    "ARIA_128_CBC": CipherShape("block", 16, 16),
    "ARIA_256_CBC": CipherShape("block", 32, 16),
    "ARIA_128_GCM": CipherShape("aead", 16, 4, 8, 16),
    "ARIA_256_GCM": CipherShape("aead", 32, 4, 8, 16),
    "CAMELLIA_128_GCM": CipherShape("aead", 16, 4, 8, 16),
    "CAMELLIA_256_GCM": CipherShape("aead", 32, 4, 8, 16),
}


class RecordLayout(NamedTuple):
    """What a fragment holds besides its plaintext, in bytes.

    ``explicit``: the IV or the part of the nonce before it. ``mac``: the MAC, or the tag of an AEAD. ``block``: the
    block size of CBC, 0 for other ciphers. ``most_padding``: the longest padding with its length byte.
    """

    explicit: int
    mac: int
    block: int = 0
    most_padding: int = 0

    def fragment_size(self, plaintext: int, *, encrypt_then_mac: bool = False) -> int:
        """The size of a fragment of ``plaintext`` bytes with the least padding.

        ``encrypt_then_mac``: the extension of RFC 7366 was agreed; it changes CBC only.
        """
        if not self.block:
            return self.explicit + plaintext + self.mac
        before, after = (0, self.mac) if encrypt_then_mac else (self.mac, 0)
        padding = self.block - (plaintext + before) % self.block  # at least its length byte
        return self.explicit + plaintext + before + padding + after

    def overhead(self) -> tuple[int, int]:
        """The least and the most bytes of a fragment that are no plaintext, whatever padding the sender chose."""
        fixed = self.explicit + self.mac
        return fixed + (1 if self.block else 0), fixed + self.most_padding


def record_layout(version: int, suite: CipherSuite) -> RecordLayout | None:
    """The layout of records up to TLS 1.2.

    None where it is not known, and where the version has no such suite: TLS 1.3 has records of another form, and
    versions before TLS 1.2 have no AEAD (RFC 5246 section 6.2.3.3).
    """
    shape = CIPHERS.get(suite.cipher) or _MEASURED_ONLY.get(suite.cipher)
    mac = MAC_SIZES.get(suite.mac)
    if shape is None or mac is None or suite.key_exchange == "TLS13" or not SSL3 <= version <= TLS12:
        return None
    if shape.kind == "aead":
        return RecordLayout(shape.explicit, shape.tag) if version == TLS12 else None
    if shape.kind == "block":
        block = shape.fixed_iv
        # RFC 6101 section 5.2.3.2: at most a block; RFC 5246 section 6.2.3.2: at most 255 bytes and their length
        return RecordLayout(block if version >= TLS11 else 0, mac, block, block if version == SSL3 else 256)
    return RecordLayout(0, mac)
