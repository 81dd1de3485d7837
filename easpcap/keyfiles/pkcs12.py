"""All private keys of a PKCS #12 file (RFC 7292); the library returns only the first one."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import easpcap.limits as limits
from easpcap.key_problems import KeyProblem
from easpcap.keyfiles.asn1 import (
    EXPLICIT_0,
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    BerReader,
    encode,
    joined_octets,
    tagged,
)
from easpcap.keyfiles.contents import UnusableKeyError
from easpcap.keyfiles.passwords import spellings
from easpcap.keyfiles.pbe import UnknownSchemeError, decrypt

if TYPE_CHECKING:
    from collections.abc import Callable

    from easpcap.key_problems import KeyProblemCode
    from easpcap.keyfiles.asn1 import Element
    from easpcap.keyfiles.cost import WorkBudget

_KEY_BAG: Final = bytes.fromhex("2a864886f70d010c0a0101")
_SHROUDED_KEY_BAG: Final = bytes.fromhex("2a864886f70d010c0a0102")
_DATA: Final = bytes.fromhex("2a864886f70d010701")
_ENCRYPTED_DATA: Final = bytes.fromhex("2a864886f70d010706")

_T = TypeVar("_T")


class _Bag(NamedTuple):
    """A key, an encrypted key, or a safe that is encrypted as a whole; ``kind``: its OBJECT IDENTIFIER."""

    kind: bytes
    value: Element


def pkcs12_keys(data: bytes, password: bytes | None, budget: WorkBudget) -> list[object]:
    """The private keys of a PKCS #12 file, of whatever kind, and a KeyProblem for each that cannot be opened.

    Raises UnusableKeyError where there is no key, or where the password opens none. The MAC of the file is not checked:
    a wrong password shows all the same.
    """
    attempts = _Attempts(password, budget)
    pending = deque(_bags(data))
    keys: list[object] = []
    of_keys: list[KeyProblem] = []
    of_safes: list[KeyProblem] = []
    for _ in range(limits.MAX_KEY_BLOCKS):
        if not pending:
            break
        bag = pending.popleft()
        try:
            found, inner = _contents(bag, attempts)
        except UnusableKeyError as error:
            (of_safes if bag.kind == _ENCRYPTED_DATA else of_keys).append(error.problem)
            continue
        keys += found
        pending.extend(inner)
    return [*keys, *of_keys] if keys else [_only_key(data, attempts, [*of_keys, *of_safes])]


def _only_key(data: bytes, attempts: _Attempts, problems: list[KeyProblem]) -> object:
    """The key of a file whose bags gave none. By its MAC the library tells an empty password from none."""
    try:
        key = attempts.first_key(data)
    except UnusableKeyError as error:
        raise UnusableKeyError(problems[0] if problems else error.problem) from None
    if key is None:
        raise UnusableKeyError(problems[0] if problems else KeyProblem("no-private-key"))
    return key


class _Attempts:
    """The passwords to be tried on one file. The one that was right is tried first from then on."""

    def __init__(self, password: bytes | None, budget: WorkBudget) -> None:
        self._budget = budget
        self._problem: KeyProblemCode = "password-wrong" if password else "password-missing"
        # no password and an empty one are different things in PKCS #12, and files of both kinds exist
        self._passwords: list[bytes | None] = list(dict.fromkeys((*spellings(password or b""), None, b"")))

    def decrypt(self, encrypted: Element, algorithm: Element, data: bytes) -> bytes:
        """What ``data`` is without its encryption. ``encrypted``: the element that the work is counted for."""
        return self._first_success(encode(encrypted), partial(decrypt, algorithm, data))

    def first_key(self, file: bytes) -> object | None:
        """The first private key in a PKCS #12 file; None where it was opened and has none."""
        from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates

        return self._first_success(file, partial(load_key_and_certificates, file))[0]

    def _first_success(self, cost: bytes, attempt: Callable[[bytes | None], _T]) -> _T:
        for number, password in enumerate(self._passwords):
            if number == 0:
                self._budget.spend(cost, "pkcs12")
            elif not self._budget.suffices(cost):
                break
            try:
                result = attempt(password)
            except UnknownSchemeError:
                raise
            except Exception:  # noqa: BLE001, S112 (a wrong password and a damaged file look the same here)
                continue
            self._passwords.insert(0, self._passwords.pop(number))
            return result
        raise UnusableKeyError(KeyProblem(self._problem, "pkcs12"))


def _contents(bag: _Bag, attempts: _Attempts) -> tuple[list[object], list[_Bag]]:
    """The keys in a bag, and the bags in it."""
    try:
        if bag.kind == _ENCRYPTED_DATA:
            return [], _bags(attempts.decrypt(bag.value, *_parts_of_safe(bag.value)))
        return [_key(bag, attempts)], []
    except UnknownSchemeError:  # the library knows more of them
        key = attempts.first_key(_file(bag))
        return ([] if key is None else [key]), []


def _bags(data: bytes) -> list[_Bag]:
    """The key bags and encrypted safes in BER, at whatever depth (RFC 7292 section 4)."""
    found: list[_Bag] = []
    reader = BerReader()
    pending = deque([reader.elements(data)])
    if not reader.left:
        raise UnusableKeyError(KeyProblem("password-too-slow", "pkcs12"))
    while pending:
        level = pending.popleft()
        if [element.tag for element in level[:2]] == [OID, EXPLICIT_0] and level[1].children:
            kind = level[0].contents
            if kind in (_KEY_BAG, _SHROUDED_KEY_BAG, _ENCRYPTED_DATA):
                found.append(_Bag(kind, level[1].children[0]))
                continue
        pending.extend(element.children for element in level if element.children)
    return found


def _parts_of_safe(encrypted_data: Element) -> tuple[Element, bytes]:
    """Algorithm and encrypted content of an EncryptedData (RFC 2315 section 13)."""
    try:
        _, algorithm, encrypted = encrypted_data.children[1].children[:3]
    except (IndexError, ValueError):
        raise UnusableKeyError(KeyProblem("damaged")) from None
    return algorithm, encrypted.contents or joined_octets(encrypted.children)


def _key(bag: _Bag, attempts: _Attempts) -> object:
    """The private key in a key bag."""
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    if bag.kind == _KEY_BAG:
        info = encode(bag.value)
    elif len(bag.value.children) == 2:  # EncryptedPrivateKeyInfo, RFC 5958 section 3
        algorithm, encrypted = bag.value.children
        info = attempts.decrypt(bag.value, algorithm, encrypted.contents)
    else:
        raise UnusableKeyError(KeyProblem("damaged"))
    try:
        return load_der_private_key(info, None, unsafe_skip_rsa_key_validation=True)
    except Exception:  # noqa: BLE001 (ValueError, UnsupportedAlgorithm and others)
        raise UnusableKeyError(KeyProblem("damaged")) from None


def _file(bag: _Bag) -> bytes:
    """A PKCS #12 file that holds only this bag or safe, without a MAC (RFC 7292 section 4)."""
    inner = tagged(SEQUENCE, tagged(OID, bag.kind), tagged(EXPLICIT_0, encode(bag.value)))
    safe = inner if bag.kind == _ENCRYPTED_DATA else _in_the_clear(inner)
    return tagged(SEQUENCE, tagged(INTEGER, b"\x03"), _in_the_clear(safe))


def _in_the_clear(contents: bytes) -> bytes:
    """The ContentInfo of a SEQUENCE of one element (RFC 2315 section 14)."""
    octets = tagged(OCTET_STRING, tagged(SEQUENCE, contents))
    return tagged(SEQUENCE, tagged(OID, _DATA), tagged(EXPLICIT_0, octets))
