"""Cipher suites: key exchange, cipher, MAC and PRF of each value."""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

from easpcap.errors import DecodeError
from easpcap.tls.suites.registry import DEPLOYED, REGISTERED


class UnsupportedSuite(DecodeError):  # noqa: N818 (a reason in the verdict, not an error)
    """easpcap cannot decrypt the records of this cipher suite, or not in this protocol version."""


class CipherShape(NamedTuple):
    """Sizes in bytes of the parts of a cipher's key block and records.

    ``kind``: block (CBC), stream (RC4), aead, null. ``fixed_iv``: the IV in the key block; CBC takes it from there
    only up to TLS 1.0. ``explicit``: the part of the nonce that each record carries. ``tag``: the tag of an AEAD.
    """

    kind: str
    key: int
    fixed_iv: int
    explicit: int = 0
    tag: int = 0


#: Every cipher that easpcap can decrypt (RFC 5246 appendix C; 5288, 5932, 4162, 5469, 6655, 7905 for the later ones).
CIPHERS: Final[dict[str, CipherShape]] = {
    "NULL": CipherShape("null", 0, 0),
    "RC4_128": CipherShape("stream", 16, 0),
    "RC4_56": CipherShape("stream", 16, 0),
    "RC4_40": CipherShape("stream", 16, 0),
    "RC2_CBC_56": CipherShape("block", 16, 8),
    "RC2_CBC_40": CipherShape("block", 16, 8),
    "DES40_CBC": CipherShape("block", 8, 8),
    "DES_CBC_40": CipherShape("block", 8, 8),
    "DES_CBC": CipherShape("block", 8, 8),
    "3DES_EDE_CBC": CipherShape("block", 24, 8),
    "IDEA_CBC": CipherShape("block", 16, 8),
    "SEED_CBC": CipherShape("block", 16, 16),
    "AES_128_CBC": CipherShape("block", 16, 16),
    "AES_256_CBC": CipherShape("block", 32, 16),
    "CAMELLIA_128_CBC": CipherShape("block", 16, 16),
    "CAMELLIA_256_CBC": CipherShape("block", 32, 16),
    "AES_128_GCM": CipherShape("aead", 16, 4, 8, 16),
    "AES_256_GCM": CipherShape("aead", 32, 4, 8, 16),
    "AES_128_CCM": CipherShape("aead", 16, 4, 8, 16),
    "AES_256_CCM": CipherShape("aead", 32, 4, 8, 16),
    "AES_128_CCM_8": CipherShape("aead", 16, 4, 8, 8),
    "AES_256_CCM_8": CipherShape("aead", 32, 4, 8, 8),
    "CHACHA20_POLY1305": CipherShape("aead", 32, 12, 0, 16),
}

#: Bytes of the key block from which an export suite's key is made: RFC 6101 appendix C.3, RFC 2246 appendix C, and
#: draft-ietf-tls-56-bit-ciphersuites-01 for the suites of 1024-bit export keys.
EXPORT_KEYS: Final[dict[str, int]] = {
    "RC4_40": 5,
    "RC2_CBC_40": 5,
    "DES40_CBC": 5,
    "DES_CBC_40": 5,
    "RC4_56": 7,
    "RC2_CBC_56": 7,
    "DES_CBC": 8,
}

#: Bytes of the MAC and of its key (RFC 5246 section 6.2.3.1).
MAC_SIZES: Final[dict[str, int]] = {"NULL": 0, "AEAD": 0, "MD5": 16, "SHA": 20, "SHA256": 32, "SHA384": 48}

_EPHEMERAL: Final = ("DHE", "ECDHE", "DH_anon", "ECDH_anon", "PSK_DHE", "ECCPWD", "ECJPAKE")
_RSA_TRANSPORT: Final = frozenset({"RSA", "RSA_EXPORT", "RSA_EXPORT1024", "RSA_FIPS"})
_HASHES: Final = ("SHA512", "SHA384", "SHA256", "SHA", "MD5", "SM3")


class CipherSuite(NamedTuple):
    """One cipher suite and its parts. An unknown value has its number as name and "unknown" in every part.

    ``key_exchange``: as in the name (RSA, RSA_EXPORT, DHE_RSA, PSK); "TLS13" for suites of TLS 1.3, which name none.
    ``prf_hash``: sha256 or sha384, the hash of the TLS 1.2 PRF (RFC 5246 section 5) or of HKDF in TLS 1.3.
    """

    value: int
    name: str
    key_exchange: str
    cipher: str
    mac: str
    prf_hash: str

    @property
    def rsa_key_transport(self) -> bool:
        """Whether the client sends the premaster secret encrypted with RSA, and it is the only secret (not RSA_PSK).

        An export suite may encrypt it with a short-lived key: see Negotiation.private_key_suffices.
        """
        return self.key_exchange in _RSA_TRANSPORT

    @property
    def export(self) -> bool:
        """Whether this is an export suite: its keys are cut short and expanded again."""
        return "EXPORT" in self.key_exchange

    @property
    def forward_secret(self) -> bool:
        """Whether the key exchange is ephemeral by name (an export suite's ephemeral RSA key is not)."""
        return self.key_exchange == "TLS13" or self.key_exchange.startswith(_EPHEMERAL)

    @property
    def decryptable(self) -> bool:
        """Whether easpcap can decrypt its records, given the keys."""
        return (
            self.cipher in CIPHERS
            and self.mac in MAC_SIZES
            and (not self.export or self.cipher in EXPORT_KEYS)
            and (self.mac != "NULL" or self.name == "TLS_NULL_WITH_NULL_NULL")
        )


@cache
def suite(value: int) -> CipherSuite:
    """The cipher suite of a value as it is on the wire (0 to 0xffff). Never raises."""
    name = REGISTERED.get(value) or DEPLOYED.get(value)
    if name is None:
        return CipherSuite(value, f"0x{value:04x}", "unknown", "unknown", "unknown", "sha256")
    key_exchange, separator, rest = name.partition("_WITH_")
    key_exchange = key_exchange.removeprefix("TLS_").removeprefix("SSL_")
    if not separator:
        key_exchange, rest = ("TLS13" if value >> 8 == 0x13 else "unknown"), name.removeprefix("TLS_")
        if key_exchange == "unknown":
            return CipherSuite(value, name, "unknown", "unknown", "unknown", "sha256")
    cipher, mac = _cipher_and_hash(rest)
    prf_hash = "sha384" if mac == "SHA384" else "sha256"
    if cipher.startswith(("CHACHA20", "AEGIS")) or cipher.endswith(("_GCM", "_CCM", "_CCM_8")):
        mac = "AEAD"
    return CipherSuite(value, name, key_exchange, cipher, mac, prf_hash)


def suite_named(name: str | None) -> CipherSuite | None:
    """The cipher suite of an IANA name; None for a name that no suite has."""
    value = _values().get(name) if name else None
    return None if value is None else suite(value)


@cache
def _values() -> dict[str, int]:
    return {name: value for value, name in (DEPLOYED | REGISTERED).items()}


def _cipher_and_hash(rest: str) -> tuple[str, str]:
    """Cipher and hash from the part after WITH. CCM suites of RFC 6655 name no hash; theirs is SHA-256."""
    for name in _HASHES:
        if rest.endswith("_" + name):
            return rest.removesuffix("_" + name), name
    if rest.endswith(("_CCM", "_CCM_8")):
        return rest, "AEAD"
    cipher, _, mac = rest.rpartition("_")
    return (cipher or "unknown"), mac
