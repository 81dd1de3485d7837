"""Private keys in OpenSSL's first encrypted form: PEM with a DEK-Info header (RFC 1421 section 4.6.1.3).

The key is made of the password by EVP_BytesToKey: MD5, one round, the first eight bytes of the IV as salt.
"""

from __future__ import annotations

from hashlib import md5
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm


def load_traditional_key(
    data: bytes, password: bytes | None, *, dek_info: str, unsafe_skip_rsa_key_validation: bool
) -> object:
    """The key in the body of a PEM block with a DEK-Info header, in the manner of the library's loaders.

    Raises TypeError without a password, ValueError for a wrong one, a cipher that is unknown, or a damaged block.
    """
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    if password is None:
        raise TypeError("a password is needed")
    name, _, salt = dek_info.partition(",")
    iv = bytes.fromhex(salt)
    size, make = _cipher(name)
    decrypted = _cbc(make(_key(password, iv[:8], size)), iv, data)
    padding = decrypted[-1] if decrypted else 0
    if not 0 < padding <= len(iv) or decrypted[-padding:] != bytes([padding]) * padding:
        raise ValueError("wrong password")
    return load_der_private_key(
        decrypted[:-padding], None, unsafe_skip_rsa_key_validation=unsafe_skip_rsa_key_validation
    )


def _cipher(name: str) -> tuple[int, Callable[[bytes], BlockCipherAlgorithm]]:
    """Key size and cipher of a DEK-Info name."""
    from cryptography.hazmat.decrepit.ciphers import algorithms as legacy
    from cryptography.hazmat.primitives.ciphers.algorithms import AES

    known: dict[str, tuple[int, Callable[[bytes], BlockCipherAlgorithm]]] = {
        "AES-128-CBC": (16, AES),
        "AES-192-CBC": (24, AES),
        "AES-256-CBC": (32, AES),
        "DES-EDE3-CBC": (24, legacy.TripleDES),
        "DES-CBC": (8, lambda key: legacy.TripleDES(key * 3)),  # EDE with one key thrice is DES
        "RC2-CBC": (16, legacy.RC2),
        "IDEA-CBC": (16, legacy.IDEA),
        "SEED-CBC": (16, legacy.SEED),
        "CAMELLIA-128-CBC": (16, legacy.Camellia),
        "CAMELLIA-192-CBC": (24, legacy.Camellia),
        "CAMELLIA-256-CBC": (32, legacy.Camellia),
    }
    if name not in known:
        raise ValueError("unknown cipher")
    return known[name]


def _key(password: bytes, salt: bytes, size: int) -> bytes:
    key = link = b""
    while len(key) < size:
        link = md5(link + password + salt, usedforsecurity=False).digest()
        key += link
    return key[:size]


def _cbc(algorithm: BlockCipherAlgorithm, iv: bytes, encrypted: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher, modes

    decryptor = Cipher(algorithm, modes.CBC(iv)).decryptor()
    return decryptor.update(encrypted) + decryptor.finalize()
