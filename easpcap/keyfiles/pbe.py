"""Decrypts what a PKCS #12 file encrypts with a password: PBES2 (RFC 8018 section 6.2) and the schemes of PKCS #12.

The library does this for the first private key of a file only. Hashes and ciphers are the library's, and Python's.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from easpcap.keyfiles.asn1 import INTEGER, structures

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, CipherAlgorithm

    from easpcap.keyfiles.asn1 import Element

_PBES2: Final = bytes.fromhex("2a864886f70d01050d")
_PBKDF2: Final = bytes.fromhex("2a864886f70d01050c")
_SCRYPT: Final = bytes.fromhex("2b06010401da47040b")
_HMAC_SHA1: Final = bytes.fromhex("2a864886f70d0207")
_HASHES: Final = {
    bytes.fromhex(f"2a864886f70d02{last:02x}"): name
    for last, name in ((7, "sha1"), (8, "sha224"), (9, "sha256"), (10, "sha384"), (11, "sha512"))
}
_AES: Final = {bytes.fromhex(f"6086480165030401{last}"): size for last, size in (("02", 16), ("16", 24), ("2a", 32))}
_3DES: Final = bytes.fromhex("2a864886f70d0307")

_PKCS12: Final = bytes.fromhex("2a864886f70d010c01")  # RFC 7292 appendix C; the library has no RC2 of 40 bits (6)
_RC4_128, _RC4_40, _3DES_3, _3DES_2, _RC2_128 = range(1, 6)
_PKCS12_KEY_SIZES: Final = {_RC4_128: 16, _RC4_40: 5, _3DES_3: 24, _3DES_2: 16, _RC2_128: 16}
_FOR_KEY, _FOR_IV = 1, 2  # RFC 7292 appendix B.3
_SHA1_BLOCK: Final = 64


class UnknownSchemeError(Exception):
    """A way of encrypting that this module does not know. The library may."""


def decrypt(algorithm: Element, encrypted: bytes, password: bytes | None) -> bytes:
    """The SEQUENCE that was encrypted with a password in UTF-8. None and b"" differ in the schemes of PKCS #12.

    Raises UnknownSchemeError, and ValueError for a wrong password, damage, or parameters that make no sense.
    """
    try:
        scheme, parameters = algorithm.children[:2]
        decrypted = _by_scheme(scheme.contents)(scheme.contents, parameters.children, encrypted, password)
    except UnknownSchemeError:
        raise
    except Exception as error:
        raise ValueError("wrong password, or damaged") from error
    if structures(decrypted) != [decrypted]:
        raise ValueError("wrong password")
    return decrypted


def _by_scheme(oid: bytes) -> Callable[[bytes, list[Element], bytes, bytes | None], bytes]:
    if oid == _PBES2:
        return _pbes2
    if oid[:-1] == _PKCS12 and oid[-1] in _PKCS12_KEY_SIZES:
        return _pkcs12
    raise UnknownSchemeError


# -- PBES2 -------------------------------------------------------------------------------------------------------------


def _pbes2(_scheme: bytes, parameters: list[Element], encrypted: bytes, password: bytes | None) -> bytes:
    derivation, encryption = (element.children for element in parameters)
    size, cipher = _cipher(encryption[0].contents)
    key = _derived_key(derivation, password or b"", size)
    return _cbc(cipher(key), encryption[1].contents, encrypted)


def _cipher(oid: bytes) -> tuple[int, Callable[[bytes], BlockCipherAlgorithm]]:
    """Key size and cipher."""
    if oid in _AES:
        from cryptography.hazmat.primitives.ciphers.algorithms import AES

        return _AES[oid], AES
    if oid == _3DES:
        from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES

        return 24, TripleDES
    raise UnknownSchemeError


def _derived_key(derivation: list[Element], password: bytes, size: int) -> bytes:
    """The key that PBKDF2 (RFC 8018 appendix A.2) or scrypt (RFC 7914 section 7.1) makes of a password."""
    name, (salt, *rest) = derivation[0].contents, derivation[1].children
    numbers = [int.from_bytes(element.contents, "big") for element in rest if element.tag == INTEGER]
    if name == _SCRYPT:
        from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

        n, r, p = numbers[:3]
        return Scrypt(salt.contents, size, n, r, p).derive(password)
    if name != _PBKDF2:
        raise UnknownSchemeError
    prf = next((element.children[0].contents for element in rest if element.children), _HMAC_SHA1)
    if prf not in _HASHES:
        raise UnknownSchemeError
    return hashlib.pbkdf2_hmac(_HASHES[prf], password, salt.contents, numbers[0], size)


# -- the schemes of PKCS #12 -------------------------------------------------------------------------------------------


def _pkcs12(scheme: bytes, parameters: list[Element], encrypted: bytes, password: bytes | None) -> bytes:
    from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4, RC2, TripleDES

    cipher, (salt, rounds) = scheme[-1], parameters[:2]
    text = b"" if password is None else password.decode().encode("utf-16-be") + b"\0\0"  # RFC 7292 appendix B.1

    def derived(purpose: int, size: int) -> bytes:
        return _pkcs12_derived(text, salt.contents, int.from_bytes(rounds.contents, "big"), purpose, size)

    key = derived(_FOR_KEY, _PKCS12_KEY_SIZES[cipher])
    if cipher in (_RC4_128, _RC4_40):
        return _decrypted(ARC4(key), encrypted)
    if cipher == _RC2_128:
        return _cbc(RC2(key), derived(_FOR_IV, 8), encrypted)
    return _cbc(TripleDES(key if cipher == _3DES_3 else key + key[:8]), derived(_FOR_IV, 8), encrypted)


def _pkcs12_derived(password: bytes, salt: bytes, rounds: int, purpose: int, size: int) -> bytes:
    """RFC 7292 appendix B.2 with SHA-1."""
    diversifier = bytes([purpose]) * _SHA1_BLOCK
    state = _filled(salt) + _filled(password)
    derived = b""
    while len(derived) < size:
        digest = hashlib.sha1(diversifier + state, usedforsecurity=False).digest()
        for _ in range(rounds - 1):
            digest = hashlib.sha1(digest, usedforsecurity=False).digest()
        derived += digest
        state = _added_to_each_block(state, int.from_bytes(_filled(digest), "big") + 1)
    return derived[:size]


def _added_to_each_block(state: bytes, number: int) -> bytes:
    blocks = (int.from_bytes(state[at : at + _SHA1_BLOCK], "big") for at in range(0, len(state), _SHA1_BLOCK))
    return b"".join(((block + number) % 2 ** (8 * _SHA1_BLOCK)).to_bytes(_SHA1_BLOCK, "big") for block in blocks)


def _filled(part: bytes) -> bytes:
    """A part repeated until it fills whole blocks; the last copy is cut."""
    size = -(-len(part) // _SHA1_BLOCK) * _SHA1_BLOCK
    return (part * (size // len(part) + 1))[:size] if part else b""


# -- ciphers -----------------------------------------------------------------------------------------------------------


def _cbc(algorithm: BlockCipherAlgorithm, iv: bytes, encrypted: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher, modes
    from cryptography.hazmat.primitives.padding import PKCS7

    decryptor = Cipher(algorithm, modes.CBC(iv)).decryptor()
    unpadder = PKCS7(algorithm.block_size).unpadder()
    return unpadder.update(decryptor.update(encrypted) + decryptor.finalize()) + unpadder.finalize()


def _decrypted(algorithm: CipherAlgorithm, encrypted: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher

    decryptor = Cipher(algorithm, None).decryptor()
    return decryptor.update(encrypted) + decryptor.finalize()
