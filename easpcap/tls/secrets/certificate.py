"""The public key in a certificate, parsed leniently: old and odd certificates must still match their private key."""

from __future__ import annotations

from hashlib import sha256
from typing import Final, NamedTuple

from easpcap.errors import DecodeError
from easpcap.wire import Reader

_INTEGER: Final = 0x02
_BIT_STRING: Final = 0x03
_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0  # [0] EXPLICIT, absent in version 1 certificates

_RSA_ENCRYPTION: Final = bytes.fromhex("06092a864886f70d010101")  # OID 1.2.840.113549.1.1.1 with its tag and length


class PublicKey(NamedTuple):
    """A certificate's public key. ``modulus`` and ``exponent`` are 0 if it is not an RSA key."""

    fingerprint: str  # sha256 of the SubjectPublicKeyInfo, hex
    modulus: int
    exponent: int


def certificate_public_key(certificate: bytes) -> PublicKey | None:
    """The public key of a DER certificate (RFC 5280 section 4.1); None if the bytes are not a certificate."""
    try:
        outer = Reader(_element(Reader(certificate), _SEQUENCE))
        fields = Reader(_element(outer, _SEQUENCE))
        tag, _ = _next(fields)
        if tag == _VERSION:
            _next(fields)  # serialNumber
        for _ in ("signature", "issuer", "validity", "subject"):
            _element(fields, _SEQUENCE)
        body = _element(fields, _SEQUENCE)
        return _public_key(body)
    except DecodeError:
        return None


def certificate_fingerprint(certificate: bytes) -> str | None:
    """The sha256 of the certificate's SubjectPublicKeyInfo as hex; None if the bytes are not a certificate."""
    key = certificate_public_key(certificate)
    return key and key.fingerprint


def _public_key(body: bytes) -> PublicKey:
    """The public key in the contents of a SubjectPublicKeyInfo."""
    fingerprint = sha256(_header(_SEQUENCE, len(body)) + body).hexdigest()
    info = Reader(body)
    algorithm = _element(info, _SEQUENCE)
    if not algorithm.startswith(_RSA_ENCRYPTION):
        return PublicKey(fingerprint, 0, 0)
    bits = _element(info, _BIT_STRING)
    numbers = Reader(_element(Reader(bits[1:]), _SEQUENCE))  # the first byte counts unused bits
    modulus = int.from_bytes(_element(numbers, _INTEGER), "big")
    return PublicKey(fingerprint, modulus, int.from_bytes(_element(numbers, _INTEGER), "big"))


def _element(reader: Reader, wanted: int) -> bytes:
    tag, body = _next(reader)
    if tag != wanted:
        msg = f"the DER tag is 0x{tag:02x} instead of 0x{wanted:02x}"
        raise DecodeError(msg)
    return body


def _next(reader: Reader) -> tuple[int, bytes]:
    """Tag and contents of the next DER element (X.690 section 8.1)."""
    tag = reader.uint(1)
    length = reader.uint(1)
    if length > 0x80:
        length = reader.uint(length - 0x80)
    elif length == 0x80:
        msg = "a DER element of indefinite length"
        raise DecodeError(msg)
    return tag, reader.take(length)


def _header(tag: int, length: int) -> bytes:
    """Tag and length in DER, even if the certificate encodes its own length otherwise."""
    if length < 0x80:
        return bytes([tag, length])
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size
