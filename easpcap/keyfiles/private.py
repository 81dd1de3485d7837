"""Reads one RSA private key from a PEM block, a DER file or a PKCS #12 bundle, or says what is there instead."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Final

from easpcap.key_problems import KeyProblem, KeyProblemCode
from easpcap.keyfiles.contents import PEM_LABELS, UnusableKeyError
from easpcap.keyfiles.pem import der_of
from easpcap.tls.secrets.certificate import certificate_public_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from easpcap.key_problems import Contents
    from easpcap.keyfiles.cost import WorkBudget

    Loader = Callable[..., object]

_PEM_PRIVATE: Final = frozenset({"PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "ANY PRIVATE KEY"})

# What follows the outer SEQUENCE of a DER file.
_DER_PKCS12: Final = b"\x02\x01\x03"  # PFX version 3 (RFC 7292 section 4)
_DER_SEC1: Final = b"\x02\x01\x01\x04"  # ECPrivateKey (RFC 5915 section 3)
_DER_PRIVATE: Final = (b"\x02\x01\x00", b"\x02\x01\x01\x30")  # PKCS #1 and PKCS #8
_DER_PKCS7: Final = bytes.fromhex("06092a864886f70d010702")  # OID of signedData


#: Names of the library's classes for keys that cannot decrypt, by how they begin.
_KEY_CLASSES: Final[dict[str, Contents]] = {
    "EllipticCurve": "ec-private-key",
    "EC": "ec-private-key",
    "Ed25519": "ed25519-private-key",
    "Ed448": "ed448-private-key",
    "DSA": "dsa-private-key",
    "X25519": "x25519-private-key",
    "X448": "x448-private-key",
    "DH": "dh-private-key",
}


def rsa_key(label: str, data: bytes, password: bytes | None, budget: WorkBudget) -> RSAPrivateKey:
    """The RSA private key in a PEM block (by its label) or, without label, in a DER file.

    Raises UnusableKeyError where there is none, or where the password does not open it.
    """
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    if label in PEM_LABELS:
        raise UnusableKeyError(KeyProblem("other-contents", PEM_LABELS[label]))
    with warnings.catch_warnings():  # the library warns of old encryption and odd encodings, which are expected here
        warnings.simplefilter("ignore")
        key = _pem_key(label, data, password, budget) if label else _der_key(data, password, budget)
    if not isinstance(key, RSAPrivateKey):
        raise UnusableKeyError(KeyProblem("other-contents", _key_type(key)))
    return key


def _pem_key(label: str, data: bytes, password: bytes | None, budget: WorkBudget) -> object:
    if label not in _PEM_PRIVATE:
        raise UnusableKeyError(KeyProblem("other-contents", "other-pem"))
    if not data:
        raise UnusableKeyError(KeyProblem("end-missing"))
    if b"\nDEK-Info:" in data:
        from easpcap.keyfiles.traditional import load_traditional_key

        return _decrypted(load_traditional_key, data, password, budget)
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return _decrypted(load_pem_private_key, data, password, budget)


def _der_key(data: bytes, password: bytes | None, budget: WorkBudget) -> object:
    inner = _inside_sequence(data)
    if inner.startswith(_DER_PKCS12):
        return _pkcs12_key(data, password, budget)
    contents = _der_without_key(data, inner)
    if contents is not None:
        raise UnusableKeyError(KeyProblem("other-contents", contents))
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    return _decrypted(load_der_private_key, data, password, budget)


def _inside_sequence(data: bytes) -> bytes:
    """The first bytes after the header of a DER SEQUENCE."""
    size = data[1] if len(data) > 1 else 0
    return data[2 + (size & 0x7F if size & 0x80 else 0) :][:16]


def _der_without_key(data: bytes, inner: bytes) -> Contents | None:
    """What a DER file without an RSA private key holds; None where it may hold one, perhaps encrypted."""
    if inner.startswith(_DER_SEC1):
        return "ec-private-key"
    if inner.startswith(_DER_PRIVATE):
        return None
    if certificate_public_key(data) is not None:
        return "certificate"
    if inner.startswith(_DER_PKCS7):
        return "certificate-chain"
    from cryptography.hazmat.primitives.serialization import load_der_public_key
    from cryptography.x509 import load_der_x509_crl, load_der_x509_csr

    loaders: tuple[tuple[Callable[[bytes], object], Contents], ...] = (
        (load_der_x509_csr, "certificate-request"),
        (load_der_public_key, "public-key"),
        (load_der_x509_crl, "revocation-list"),
    )
    for loader, contents in loaders:
        try:
            loader(data)
        except Exception:  # noqa: BLE001, S112 (whatever the library finds wrong: it is not that)
            continue
        return contents
    return None


def _decrypted(loader: Loader, data: bytes, password: bytes | None, budget: WorkBudget) -> object:
    """A private key; the password is used only where the key is encrypted.

    The library's test of the primes is left out: it takes longer than the analysis of a small capture, and whether a
    key fits is proven by the certificate, a Finished or a MAC.
    """
    try:
        return loader(data, None, unsafe_skip_rsa_key_validation=True)
    except TypeError:  # the library says so that a password is needed
        pass
    except Exception:  # noqa: BLE001 (ValueError, UnsupportedAlgorithm and others; their texts help nobody here)
        raise UnusableKeyError(KeyProblem("damaged")) from None
    if not password:
        raise UnusableKeyError(KeyProblem("password-missing", "private-key"))
    budget.spend(data if data[:1] == b"\x30" else der_of(data), "private-key")
    code: KeyProblemCode = "password-wrong"
    for spelling in _spellings(password):
        try:
            return loader(data, spelling, unsafe_skip_rsa_key_validation=True)
        except Exception as error:  # noqa: BLE001 (the same)
            if "unknown" in str(error).lower() or type(error).__name__ == "UnsupportedAlgorithm":
                code = "cipher-unsupported"
    raise UnusableKeyError(KeyProblem(code, "private-key"))


def _spellings(password: bytes) -> list[bytes]:
    """The bytes that a password may have been when the file was made: UTF-8, or an older encoding of umlauts.

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


def _pkcs12_key(data: bytes, password: bytes | None, budget: WorkBudget) -> object:
    from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates

    budget.spend(data, "pkcs12")
    # no password and an empty one are different things in PKCS #12, and files of both kinds exist
    for attempt in dict.fromkeys((*_spellings(password or b""), None, b"")):
        try:
            key, _, _ = load_key_and_certificates(data, attempt)
        except Exception:  # noqa: BLE001, S112 (a wrong password and a damaged file look the same here)
            continue
        if key is None:
            raise UnusableKeyError(KeyProblem("no-private-key"))
        return key
    raise UnusableKeyError(KeyProblem("password-wrong" if password else "password-missing", "pkcs12"))


def _key_type(key: object) -> Contents:
    name = type(key).__name__
    return next((contents for begin, contents in _KEY_CLASSES.items() if name.startswith(begin)), "other-private-key")
