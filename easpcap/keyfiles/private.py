"""Reads the RSA private keys in a PEM block or a DER structure, or says what is there instead.

The contents decide: a PEM label only explains what cannot be read otherwise.
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Final

import easpcap.limits as limits
from easpcap.key_problems import KeyProblem, KeyProblemCode
from easpcap.keyfiles.asn1 import inside_sequence
from easpcap.keyfiles.contents import PEM_LABELS, UnusableKeyError
from easpcap.keyfiles.passwords import spellings
from easpcap.tls.secrets.certificate import certificate_public_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from easpcap.key_problems import Contents
    from easpcap.keyfiles.cost import WorkBudget
    from easpcap.keyfiles.pem import Block

    Loader = Callable[..., object]

# What follows the outer SEQUENCE of a DER structure.
_PKCS12: Final = b"\x02\x01\x03"  # PFX version 3 (RFC 7292 section 4)
_SEC1: Final = b"\x02\x01\x01\x04"  # ECPrivateKey (RFC 5915 section 3)
_PRIVATE: Final = (b"\x02\x01\x00", b"\x02\x01\x01\x30", b"\x02\x01\x01\x02")  # PKCS #1 and PKCS #8
_PKCS7: Final = bytes.fromhex("06092a864886f70d010702")  # OID of signedData

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


def rsa_keys(block: Block, password: bytes | None, budget: WorkBudget) -> Iterator[RSAPrivateKey | KeyProblem]:
    """The RSA private keys of a block, one or, of a PKCS #12 file, all; and what is wrong with the others."""
    try:
        with warnings.catch_warnings():  # the library warns of old encryption and odd encodings, expected here
            warnings.simplefilter("ignore")
            keys = _private_keys(block, password, budget)
    except UnusableKeyError as error:
        yield error.problem
    else:
        yield from map(_only_rsa, keys)


def _only_rsa(key: object) -> RSAPrivateKey | KeyProblem:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    if isinstance(key, KeyProblem):
        return key
    if not isinstance(key, RSAPrivateKey):
        return KeyProblem("other-contents", _key_type(key))
    if key.key_size > limits.MAX_RSA_BITS:
        return KeyProblem("key-too-long", limit=limits.MAX_RSA_BITS)
    return key


def _key_type(key: object) -> Contents:
    name = type(key).__name__
    return next((contents for begin, contents in _KEY_CLASSES.items() if name.startswith(begin)), "other-private-key")


def _private_keys(block: Block, password: bytes | None, budget: WorkBudget) -> list[object]:
    inner = inside_sequence(block.data)
    try:
        if block.dek_info:
            return [_traditional_key(block, password, budget)]
        if inner.startswith(_PKCS12):
            from easpcap.keyfiles.pkcs12 import pkcs12_keys

            return pkcs12_keys(block.data, password, budget)
        return [_der_key(block.data, inner, password, budget)]
    except UnusableKeyError as error:
        if error.problem.code == "damaged" and block.label:
            raise UnusableKeyError(_by_label(block)) from None
        raise


def _by_label(block: Block) -> KeyProblem:
    """What is wrong with a PEM block whose contents say nothing."""
    contents = PEM_LABELS.get(block.label)
    if contents is None and not block.label.endswith("PRIVATE KEY"):
        contents = "other-pem"
    if contents is not None:
        return KeyProblem("other-contents", contents)
    return KeyProblem("damaged" if block.ended else "end-missing")


def _traditional_key(block: Block, password: bytes | None, budget: WorkBudget) -> object:
    from easpcap.keyfiles.traditional import load_traditional_key

    contents = PEM_LABELS.get(block.label)
    if contents is not None and not password:  # no need for the password of, say, an EC key
        raise UnusableKeyError(KeyProblem("other-contents", contents))
    return _decrypted(partial(load_traditional_key, dek_info=block.dek_info), block.data, password, budget)


def _der_key(data: bytes, inner: bytes, password: bytes | None, budget: WorkBudget) -> object:
    contents = _without_private_key(data, inner)
    if contents is not None:
        raise UnusableKeyError(KeyProblem("other-contents", contents))
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    return _decrypted(load_der_private_key, data, password, budget)


def _without_private_key(data: bytes, inner: bytes) -> Contents | None:
    """What DER without an RSA private key holds; None where it may hold one, perhaps encrypted."""
    if inner.startswith(_SEC1):
        return "ec-private-key"
    if inner.startswith(_PRIVATE):
        return None
    if certificate_public_key(data) is not None:
        return "certificate"
    if inner.startswith(_PKCS7):
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
    code: KeyProblemCode = "password-wrong"
    for number, spelling in enumerate(spellings(password)):
        if number and not budget.suffices(data):
            break
        if not number:
            budget.spend(data, "private-key")
        try:
            return loader(data, spelling, unsafe_skip_rsa_key_validation=True)
        except Exception as error:  # noqa: BLE001 (the same)
            if "unknown" in str(error).lower() or type(error).__name__ == "UnsupportedAlgorithm":
                code = "cipher-unsupported"
    raise UnusableKeyError(KeyProblem(code, "private-key"))
