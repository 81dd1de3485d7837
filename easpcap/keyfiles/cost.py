"""How much work the password of a key file costs, read from its DER before the work is done.

A password becomes a key by many rounds of a hash, and the file says how many: a hostile file takes hours, or all
memory. The library does that work without looking for Ctrl-C, so it must not begin. The parameters are in the clear,
except those of a key that a PKCS #12 file encrypts twice.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import easpcap.limits as limits
from easpcap.key_problems import Contents, KeyProblem
from easpcap.keyfiles.asn1 import CONSTRUCTED_OCTETS, INTEGER, OCTET_STRING, OID, SEQUENCE, BerReader
from easpcap.keyfiles.contents import UnusableKeyError

if TYPE_CHECKING:
    from easpcap.keyfiles.asn1 import Element

_SCRYPT: Final = bytes.fromhex("2b06010401da47040b")  # RFC 7914 section 7.1
_PKCS12_SCHEMES: Final = bytes.fromhex("2a864886f70d010c01")  # RFC 7292 appendix C
_KEYS_OF_PKCS12: Final = 3  # such a scheme derives up to two hashes for the key and one for the IV


class WorkBudget:
    """What the passwords of all files may cost together, and (``for_file``) those of one file."""

    def __init__(
        self,
        rounds: int = limits.MAX_KEY_ROUNDS_OF_ALL_FILES,
        scrypt_bytes: int = limits.MAX_KEY_SCRYPT_BYTES_OF_ALL_FILES,
        whole: WorkBudget | None = None,
    ) -> None:
        self._rounds = rounds
        self._scrypt_bytes = scrypt_bytes
        self._whole = whole

    def for_file(self) -> WorkBudget:
        """The budget of one file. What is taken from it is taken from this one as well."""
        return WorkBudget(limits.MAX_KEY_ROUNDS, limits.MAX_KEY_SCRYPT_BYTES, self)

    def spend(self, der: bytes, contents: Contents) -> None:
        """Take the cost of trying one password from the budget. Raises UnusableKeyError where it does not suffice."""
        if not self.suffices(der):
            raise UnusableKeyError(KeyProblem("password-too-slow", contents))

    def suffices(self, der: bytes) -> bool:
        """Take the cost of trying one password from the budget; False where it does not suffice."""
        reader = BerReader()
        rounds, scrypt_bytes = _cost(reader.elements(der))
        affordable = self.take(rounds, scrypt_bytes)
        return affordable and reader.left > 0

    def take(self, rounds: int, scrypt_bytes: int) -> bool:
        """Take so much work from the budget; False, and nothing is taken, where it does not suffice."""
        if rounds > self._rounds or scrypt_bytes > self._scrypt_bytes:
            return False
        if self._whole is not None and not self._whole.take(rounds, scrypt_bytes):
            return False
        self._rounds -= rounds
        self._scrypt_bytes -= scrypt_bytes
        return True


def _cost(elements: list[Element]) -> tuple[int, int]:
    """Rounds of a hash, and bytes that scrypt works on (128 * N * r * p), of these elements and all in them."""
    rounds = scrypt_bytes = 0
    pending = [elements]
    while pending:
        level = pending.pop()
        tags = [element.tag for element in level]
        if tags[:2] == [OID, SEQUENCE] and level[0].contents == _SCRYPT:
            scrypt_bytes += _scrypt_bytes(level[1].children)
            continue
        if tags[:2] == [OID, SEQUENCE] and level[0].contents[:-1] == _PKCS12_SCHEMES:
            rounds += _KEYS_OF_PKCS12 * _rounds(level[1].children)
            continue
        # PBKDF2-params (RFC 8018 A.2), PBEParameter (A.3) and MacData (RFC 7292 section 4): a salt, then the rounds
        rounds += _rounds(level)
        pending += [element.children for element in level if element.children]
    return rounds, scrypt_bytes


def _rounds(level: list[Element]) -> int:
    """The INTEGERs that follow a salt."""
    return sum(
        int.from_bytes(number.contents, "big")
        for salt, number in pairwise(level)
        if salt.tag in (OCTET_STRING, CONSTRUCTED_OCTETS) and number.tag == INTEGER
    )


def _scrypt_bytes(parameters: list[Element]) -> int:
    product = 128
    for number in [element for element in parameters if element.tag == INTEGER][:3]:
        product *= int.from_bytes(number.contents, "big")
    return product
