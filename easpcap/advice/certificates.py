"""Reads a certificate as administrators look for it: names, validity, thumbprints as Windows shows them.

A certificate from the wire may be anything: parts that cannot be read are None; the thumbprints are always known.
"""

from __future__ import annotations

import hashlib
import warnings
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from easpcap.stream import NANOSECONDS
from easpcap.tls.secrets.certificate import certificate_public_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from cryptography.x509 import Certificate, Name

    _T = TypeVar("_T")

#: Attribute types without a short name in RFC 4514 section 3, as Windows names them.
_ATTRIBUTES: Final = {
    "1.2.840.113549.1.9.1": "E",
    "2.5.4.4": "SN",
    "2.5.4.5": "SERIALNUMBER",
    "2.5.4.15": "businessCategory",
    "2.5.4.17": "PostalCode",
    "2.5.4.42": "G",
}


class CertificateFacts(NamedTuple):
    """A certificate (RFC 5280 section 4.1). Times are nanoseconds since 1970 UTC; what cannot be read is None."""

    sha1: str  # of the DER, upper-case hex: the thumbprint of Windows
    sha256: str
    fingerprint: str | None  # sha256 of the SubjectPublicKeyInfo, as key files have it
    subject: str | None
    issuer: str | None
    serial: str | None  # upper-case hex, with the leading 00 that DER gives and Windows shows
    not_before: int | None
    not_after: int | None
    key_type: str | None  # RSA, EC, Ed25519, ...
    key_bits: int | None
    names: tuple[str, ...]  # DNS names and addresses of the subjectAltName
    readable: bool  # False: it is not an X.509 certificate, and only the thumbprints are known


def certificate_facts(der: bytes) -> CertificateFacts:
    """Read a certificate's DER; never raises, whatever the bytes are."""
    key = certificate_public_key(der)
    parsed = _parsed(der)
    key_type, key_bits = ("RSA", key.modulus.bit_length()) if key and key.modulus else _key_kind(parsed)
    return CertificateFacts(
        # A name to find the certificate by; it protects nothing.
        sha1=hashlib.sha1(der, usedforsecurity=False).hexdigest().upper(),
        sha256=hashlib.sha256(der).hexdigest().upper(),
        fingerprint=key.fingerprint if key else None,
        subject=_tried(lambda: _name(_read(parsed).subject)),
        issuer=_tried(lambda: _name(_read(parsed).issuer)),
        serial=_tried(lambda: _serial(_read(parsed).serial_number)),
        not_before=_tried(lambda: _nanoseconds(_read(parsed).not_valid_before_utc)),
        not_after=_tried(lambda: _nanoseconds(_read(parsed).not_valid_after_utc)),
        key_type=key_type,
        key_bits=key_bits,
        names=_tried(lambda: _alternative_names(_read(parsed))) or (),
        readable=parsed is not None,
    )


def _parsed(der: bytes) -> Certificate | None:
    def load() -> Certificate:
        from cryptography.x509 import load_der_x509_certificate

        return load_der_x509_certificate(der)

    return _tried(load)


def _tried(read: Callable[[], _T]) -> _T | None:
    """The result of ``read``, or None: the library raises many kinds of error, and warns of what it will refuse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read()
    except Exception:  # noqa: BLE001  # whatever it finds wrong: this part cannot be read
        return None


def _read(parsed: Certificate | None) -> Certificate:
    if parsed is None:
        raise ValueError("no certificate")
    return parsed


def _name(name: Name) -> str:
    """RFC 4514, the most specific part first, with a blank after each comma as Windows and OpenSSL write it."""
    from cryptography.x509 import ObjectIdentifier

    named = {ObjectIdentifier(oid): short for oid, short in _ATTRIBUTES.items()}
    return ", ".join(part.rfc4514_string(named) for part in reversed(name.rdns))


def _serial(number: int) -> str:
    """The contents octets of the INTEGER (X.690 section 8.3)."""
    size = (number if number >= 0 else number + 1).bit_length() // 8 + 1
    return number.to_bytes(size, "big", signed=True).hex().upper()


def _nanoseconds(moment: datetime) -> int:
    return round(moment.timestamp()) * NANOSECONDS


def _key_kind(parsed: Certificate | None) -> tuple[str | None, int | None]:
    """Type and size of a public key that is not an RSA key."""
    if parsed is None:
        return None, None
    key = _tried(parsed.public_key)
    kind = type(key).__name__.removesuffix("PublicKey")
    if key is None or not kind:
        return None, None
    kind = {"EllipticCurve": "EC", "_EllipticCurve": "EC", "EC": "EC"}.get(kind, kind)
    return kind, getattr(key, "key_size", None)


def _alternative_names(parsed: Certificate) -> tuple[str, ...]:
    from cryptography.x509 import DNSName, IPAddress, SubjectAlternativeName

    names = parsed.extensions.get_extension_for_class(SubjectAlternativeName).value
    return (*names.get_values_for_type(DNSName), *(str(ip) for ip in names.get_values_for_type(IPAddress)))
