"""One RSA private key out of a PEM block, a DER file or a PKCS #12 bundle; else the word for what it is."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Final

from easpcap.errors import KeyFileError
from easpcap.keyfiles.names import MISSING, NO_RSA, PEM_LABELS, STRANGE, WANTED, WRONG
from easpcap.tls.secrets.certificate import certificate_public_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    Loader = Callable[..., object]

_PEM_PRIVATE: Final = frozenset({"PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "ANY PRIVATE KEY"})

# What follows the outer SEQUENCE of a DER file.
_DER_PKCS12: Final = b"\x02\x01\x03"  # PFX version 3 (RFC 7292 section 4)
_DER_SEC1: Final = b"\x02\x01\x01\x04"  # ECPrivateKey (RFC 5915 section 3)
_DER_PRIVATE: Final = (b"\x02\x01\x00", b"\x02\x01\x01\x30")  # PKCS #1 and PKCS #8
_DER_PKCS7: Final = bytes.fromhex("06092a864886f70d010702")  # OID of signedData


def rsa_key(label: str, data: bytes, password: bytes | None) -> RSAPrivateKey:
    """The RSA private key in a PEM block (by its label) or, without label, in a DER file.

    Raises KeyFileError, which says what it is instead, or what is wrong with the password.
    """
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    if label in PEM_LABELS:
        raise KeyFileError(PEM_LABELS[label])
    with warnings.catch_warnings():  # of the library, about old encryption and odd encodings: that is why we are here
        warnings.simplefilter("ignore")
        key = _pem_key(label, data, password) if label else _der_key(data, password)
    if not isinstance(key, RSAPrivateKey):
        msg = f"{_key_type(key)}, {NO_RSA}"
        raise KeyFileError(msg)
    return key


def _pem_key(label: str, data: bytes, password: bytes | None) -> object:
    if label not in _PEM_PRIVATE:
        msg = f"a PEM file, but not of a private key: {WANTED}"
        raise KeyFileError(msg)
    if not data:
        raise KeyFileError("a private key whose END line is missing: the file was cut")
    if b"\nDEK-Info:" in data:
        from easpcap.keyfiles.traditional import load_traditional_key

        return _decrypted(load_traditional_key, data, password)
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return _decrypted(load_pem_private_key, data, password)


def _der_key(data: bytes, password: bytes | None) -> object:
    inner = _inside_sequence(data)
    if inner.startswith(_DER_PKCS12):
        return _pkcs12_key(data, password)
    if inner.startswith(_DER_SEC1):
        raise KeyFileError(PEM_LABELS["EC PRIVATE KEY"])
    if not inner.startswith(_DER_PRIVATE):
        what = _der_without_key(data, inner)
        if what is not None:
            raise KeyFileError(what)
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    return _decrypted(load_der_private_key, data, password)


def _inside_sequence(data: bytes) -> bytes:
    """The first bytes behind the header of a DER SEQUENCE."""
    size = data[1] if len(data) > 1 else 0
    return data[2 + (size & 0x7F if size & 0x80 else 0) :][:16]


def _der_without_key(data: bytes, inner: bytes) -> str | None:
    """What a DER file without a private key is; None where it may be an encrypted one."""
    if certificate_public_key(data) is not None:
        return PEM_LABELS["CERTIFICATE"]
    if inner.startswith(_DER_PKCS7):
        return PEM_LABELS["PKCS7"]
    from cryptography.hazmat.primitives.serialization import load_der_public_key
    from cryptography.x509 import load_der_x509_crl, load_der_x509_csr

    loaders: tuple[tuple[Callable[[bytes], object], str], ...] = (
        (load_der_x509_csr, "CERTIFICATE REQUEST"),
        (load_der_public_key, "PUBLIC KEY"),
        (load_der_x509_crl, "X509 CRL"),
    )
    for loader, label in loaders:
        try:
            loader(data)
        except Exception:  # noqa: BLE001, S112 (whatever the library finds wrong: it is not that)
            continue
        return PEM_LABELS[label]
    return None


def _decrypted(loader: Loader, data: bytes, password: bytes | None) -> object:
    """A private key, by its password only where it has one.

    The library's test of the primes is left out: it takes longer than all the rest of a small capture, and whether a
    key fits is proven by the certificate, a Finished or a MAC.
    """
    try:
        return loader(data, None, unsafe_skip_rsa_key_validation=True)
    except TypeError:  # the library's word for: a password is needed
        pass
    except Exception:  # noqa: BLE001 (ValueError, UnsupportedAlgorithm and others; their texts help nobody here)
        raise KeyFileError("a private key that is damaged or of an unknown kind") from None
    if not password:
        msg = f"a private key, {MISSING}"
        raise KeyFileError(msg)
    fault = WRONG
    for spelling in _spellings(password):
        try:
            return loader(data, spelling, unsafe_skip_rsa_key_validation=True)
        except Exception as error:  # noqa: BLE001 (the same)
            if "unknown" in str(error).lower() or type(error).__name__ == "UnsupportedAlgorithm":
                fault = STRANGE
    msg = f"a private key, {fault}"
    raise KeyFileError(msg)


def _spellings(password: bytes) -> list[bytes]:
    """The bytes that a password can be on the system where the file was made: UTF-8, and for umlauts what came before.

    OpenSSL before 1.1 took the bytes of a password for Latin-1 when it wrote PKCS #12.
    """
    spellings = [password]
    try:
        text = password.decode()
        if not text.isascii():
            spellings += [text.encode("cp1252"), password.decode("latin-1").encode()]
    except UnicodeError:  # no UTF-8, or letters that no Western Windows has
        pass
    return list(dict.fromkeys(spellings))


def _pkcs12_key(data: bytes, password: bytes | None) -> object:
    from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates

    # no password and an empty one are different things in PKCS #12, and files of both kinds exist
    for attempt in dict.fromkeys((*_spellings(password or b""), None, b"")):
        try:
            key, _, _ = load_key_and_certificates(data, attempt)
        except Exception:  # noqa: BLE001, S112 (a wrong password and a damaged file look the same here)
            continue
        if key is None:
            raise KeyFileError("a PKCS #12 file without a private key: export it again together with the key")
        return key
    what = f"{WRONG}, or it is damaged" if password else MISSING
    msg = f"a PKCS #12 file, {what}"
    raise KeyFileError(msg)


def _key_type(key: object) -> str:
    name = type(key).__name__
    for prefix in ("EllipticCurve", "EC", "Ed25519", "Ed448", "DSA", "X25519", "X448", "DH"):
        if name.startswith(prefix):
            kind = "EC" if prefix == "EllipticCurve" else prefix
            return f"a{'n' * (kind[0] in 'EX')} {kind} private key"
    return "a private key of another kind than RSA"
